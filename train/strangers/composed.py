"""Composed conversations of strangers: words, voices and faces that no encoder was trained on.

Each utterance is of one of four kinds. The voices come from a corpus that was left out of the
training of their encoder and of the network, cut as live; the faces are FER+'s, by votes, without
near-copies of training pictures; the words are plain sentences. Composed conversations are not real
ones.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from gscon_live.model.checkpoint import Checkpoint, modality_set_name
from gscon_live.model.encoders.face.face_encoder import FaceEncoder
from gscon_live.model.encoders.text.text_encoder import TextEncoder
from gscon_live.model.encoders.voice.audio_encoder import AudioEncoder
from gscon_live.model.features import UtteranceFeatures
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.model.recogniser import EmotionRecogniser
from gscon_live.train.data.composed import by_owner
from gscon_live.train.encoders.voice.left_out import LeftOutVoices
from gscon_live.train.encoders.voice.voice_data import Voices
from gscon_live.train.progress import Report
from gscon_live.train.scoring.stranger_scores import StrangerScores, at_prior, stranger_scores
from gscon_live.train.strangers import words
from gscon_live.train.strangers.answers import Conversation, answers, restricted
from gscon_live.train.strangers.faces import face_features, unmet_faces

#: What an utterance's words, voice and face show.
Kind = Literal["all agree", "neutral words", "emotional words", "disagreement"]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: The corpora of voices: acted, with many emotions each.
CORPORA = ("ravdess", "emodb", "nemo")
#: Conversations of each corpus, and their utterances, by two speakers in turn.
CONVERSATIONS, LENGTH = 100, 10
#: The sets of modalities that are given.
SUBSETS = tuple(kept for size in (1, 2, 3) for kept in combinations(MODALITIES, size))
#: Confidence under which an answer is called unsure, as in the settings that ship.
UNSURE = 0.35

_NEUTRAL = EMOTIONS.index("neutral")


@dataclass(frozen=True)
class Turn:
    """One utterance: its kind, what words, voice and face show (indices of `EMOTIONS`), and the
    emotion that is right; where they disagree, none is."""

    kind: Kind
    shown: tuple[int, int, int]
    label: int | None


@dataclass(frozen=True)
class Composed:
    """Conversations, and the turns of all of them in order."""

    conversations: list[Conversation]
    turns: list[Turn]


def turns(emotions: Sequence[int], count: int, random: np.random.Generator) -> list[Turn]:
    """Draws turns, of each kind as many as of the others in the long run.

    Args:
        emotions: what can be shown, indices of `EMOTIONS`; neutral and three others at least.
        count: number of turns.
        random: source of all draws.
    """
    expressive = [emotion for emotion in emotions if emotion != _NEUTRAL]
    drawn = []
    for _ in range(count):
        kind: Kind = KINDS[random.integers(len(KINDS))]
        emotion = int(random.choice(emotions if kind == "all agree" else expressive))
        match kind:
            case "all agree":
                drawn.append(Turn(kind, (emotion, emotion, emotion), emotion))
            case "neutral words":
                drawn.append(Turn(kind, (_NEUTRAL, emotion, emotion), emotion))
            case "emotional words":
                drawn.append(Turn(kind, (emotion, _NEUTRAL, _NEUTRAL), emotion))
            case "disagreement":
                text, voice, face = map(int, random.choice(expressive, 3, replace=False))
                drawn.append(Turn(kind, (text, voice, face), None))
    return drawn


def compose(
    voices: Voices,
    encoder: AudioEncoder,
    faces: Mapping[int, NDArray[np.float32]],
    random: np.random.Generator,
    conversations: int = CONVERSATIONS,
) -> Composed:
    """Conversations with the voices of a corpus, two of its speakers in each.

    Args:
        voices: the corpus' utterances.
        encoder: never heard them.
        faces: visual features [n, dim] by emotion.
        random: source of all draws.
        conversations: how many are composed.
    """
    text_encoder = TextEncoder()
    lines = words.sentences()
    by_emotion = {EMOTIONS.index(kind): texts for kind, texts in lines.items() if kind in EMOTIONS}
    by_emotion[_NEUTRAL] = by_emotion[_NEUTRAL] + lines["facts"]
    clips = by_owner(voices.speakers, voices.emotions)
    emotions = sorted({emotion for _, emotion in clips})
    complete = sorted(
        speaker
        for speaker in {speaker for speaker, _ in clips}
        if all((speaker, emotion) in clips for emotion in emotions)
    )
    composed = Composed([], [])
    for _ in range(conversations):
        cast = random.choice(complete, 2, replace=False)
        drawn = turns(emotions, LENGTH, random)
        text_encoder.reset()
        encoder.reset()
        conversation = []
        for place, turn in enumerate(drawn):
            speaker = f"S{place % 2}"
            text, voice, face = turn.shown
            statistics = voices.statistics[random.choice(clips[str(cast[place % 2]), voice])]
            visual = faces[face][random.integers(len(faces[face]))]
            words_shown = text_encoder.final(str(random.choice(by_emotion[text])), speaker)
            audio = encoder.final(statistics.astype(np.float32), speaker)
            conversation.append((UtteranceFeatures(words_shown, audio, visual), speaker))
        composed.conversations.append(conversation)
        composed.turns.extend(drawn)
    return composed


def composed_strangers(
    model: Checkpoint,
    left_out: LeftOutVoices,
    without: Callable[[str], Checkpoint],
    report: Report,
    conversations: int = CONVERSATIONS,
) -> tuple[dict[str, dict[str, StrangerScores]], dict[str, float]]:
    """Scores by kind of utterance and by the modalities that are given, at the model's prior and at
    a flat one; and figures of utterances whose modalities disagree.

    Args:
        model: has the prior.
        left_out: audio encoders that never heard a corpus.
        without: the model that never heard a corpus.
        report: takes (done, total, what).
        conversations: composed conversations of each corpus of voices.

    Raises:
        InputError: a corpus is missing.
    """
    faces = _faces(report)
    parts: dict[str, Composed] = {}
    answered: dict[str, list[NDArray[np.float64]]] = {}
    for number, name in enumerate(CORPORA):
        random = np.random.default_rng(100 + number)
        voices, encoder = left_out.sets[name], left_out.encoder(name)
        parts[name] = compose(voices, encoder, faces, random, conversations)
        recogniser = EmotionRecogniser(without(name))
        for row, predictions in _predictions(recogniser, parts[name].conversations):
            answered.setdefault(row, []).append(predictions)
        report(number + 1, len(CORPORA), "composed strangers")
    every_turn = [turn for part in parts.values() for turn in part.turns]
    corpus = np.array([name for name, part in parts.items() for _ in part.turns])
    prior = np.asarray(model.card.prior, np.float64)
    flat = np.full(len(EMOTIONS), 1 / len(EMOTIONS))
    labels = np.array([turn.label or 0 for turn in every_turn])
    disagree = np.array([turn.kind == "disagreement" for turn in every_turn])
    scored: dict[str, NDArray[np.bool_]] = {
        kind: np.array([turn.kind == kind for turn in every_turn])
        for kind in KINDS
        if kind != "disagreement"
    }
    scored["the three together"] = ~disagree
    sections: dict[str, dict[str, StrangerScores]] = {}
    figures: dict[str, float] = {}
    for name, by_corpus in answered.items():
        predictions = np.concatenate(by_corpus)
        confidence = predictions[disagree].max(1)
        figures[f"disagreement, {name}: mean confidence"] = float(confidence.mean())
        figures[f"disagreement, {name}: unsure"] = float((confidence < UNSURE).mean())
        for kind, rows in scored.items():
            table = sections.setdefault(f"composed: {kind}", {})
            table[name] = stranger_scores(predictions[rows], labels[rows])
            if not name.endswith("encoder"):
                at_flat = sections.setdefault(f"composed: {kind}, at a flat prior", {})
                at_flat[name] = stranger_scores(
                    at_prior(predictions[rows], prior, flat), labels[rows]
                )
            if name == modality_set_name(MODALITIES):
                for other in CORPORA:
                    own = rows & (corpus == other)
                    table[f"{name}, voices of {other}"] = stranger_scores(
                        predictions[own], labels[own]
                    )
    return sections, figures


def _predictions(
    recogniser: EmotionRecogniser, conversations: Sequence[Conversation]
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """The answers [n, 7] to all utterances: of each encoder by itself, and of the model by the
    modalities that it is given."""
    for modality in MODALITIES:
        vectors = [getattr(features, modality) for c in conversations for features, _ in c]
        yield f"{modality} encoder", np.exp(np.stack(vectors)[:, -len(EMOTIONS) :].astype(float))
    for kept in SUBSETS:
        yield (
            modality_set_name(kept),
            answers(recogniser, [restricted(c, kept) for c in conversations]),
        )


def _faces(report: Report) -> dict[int, NDArray[np.float32]]:
    """Visual features of the faces whose votes agree, by emotion."""
    test, unmet = unmet_faces()
    features = face_features(test.pixels, FaceEncoder(), report)
    rows, votes = unmet & test.agreed(), test.votes.argmax(1)
    return {emotion: features[rows & (votes == emotion)] for emotion in range(len(EMOTIONS))}
