"""Composed conversations: real dialogues combined with acted voices and photographed faces.

There is no open corpus of real conversations with words, voice and face whose recordings may be
used here. So words, speakers, order and emotions come from MELD's dialogues. Each speaker gets an
actor, each utterance one of the actor's clips and a face. An emotion is not always shown by all
three: in real conversations, angry people often say neutral words. `Kinds` says how often. Composed
conversations are not real ones: scores on them measure how well the parts work together, not how
well the model reads people.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gscon_live.common.errors import InputError
from gscon_live.model.conversations import speakers_by_appearance
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.model.networks.network import Conversations
from gscon_live.train.bounds import UpTo1
from gscon_live.train.corpora.dataset import FeaturedCorpus, FeaturedDialogue
from gscon_live.train.corpora.schema import Utterance
from gscon_live.train.data.feature_banks import VARIANTS, Bank

NEUTRAL = EMOTIONS.index("neutral")


class Kinds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often an utterance's emotion, where it is not neutral, is shown by some modalities only;
    the others are neutral. Otherwise all modalities agree."""

    #: Probability that voice and face show the emotion, and the words are neutral.
    neutral_words: UpTo1 = 0.3
    #: Probability that the words show the emotion, and voice and face are neutral.
    emotional_words: UpTo1 = 0.3
    #: Probability that one of voice and face shows the emotion, with or without the words.
    single: UpTo1 = 0.1
    #: Probability that one modality shows the emotion, and the two others two other emotions.
    disagreement: UpTo1 = 0.05

    @property
    def agree(self) -> float:
        """The probability that all modalities show the emotion; below 0 where the others are too
        large."""
        some = self.neutral_words + self.emotional_words + self.single + self.disagreement
        return round(1 - some, 9)

    def check(self) -> None:
        """Raises `InputError` where the probabilities sum to more than 1."""
        if self.agree < 0:
            raise InputError(
                f"kinds: their probabilities sum to {1 - self.agree:g}; give at most 1 in all"
            )


#: All modalities always agree.
AGREE = Kinds(0.0, 0.0, 0.0, 0.0)


class Absence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Probabilities, in training, that a modality is missing in a complete window or in a single
    utterance, and that the speakers of a window are merged."""

    #: Probability that a modality is missing in a complete dialogue or window.
    window: UpTo1 = 0.25
    #: Probability that a modality is missing in an utterance.
    utterance: UpTo1 = 0.1
    #: Probability that the speakers are merged into one.
    speakers: UpTo1 = 0.2


@dataclass(frozen=True)
class ComposedSplit:
    """The parts of a split: dialogues, and the clips and faces to draw from.

    `text` [n, VARIANTS, dim] has the text features of all utterances, in order and in several
    versions, the first without recognition errors.
    """

    text: Tensor
    dialogues: Sequence[Sequence[Utterance]]
    voices: Bank
    faces: Bank

    @property
    def emotions(self) -> Tensor:
        """The emotions of all utterances, in order, int64 [n]."""
        return torch.tensor([turn.label for turns in self.dialogues for turn in turns])


@dataclass(frozen=True)
class Composition:
    """A random draw of voices and faces for a split: features [n, dim] by modality."""

    features: dict[str, Tensor]

    def dialogues(
        self, split: ComposedSplit, keep: Sequence[str] = MODALITIES
    ) -> tuple[FeaturedDialogue, ...]:
        """The split's dialogues with these voices and faces, restricted to the modalities in
        `keep`."""
        lengths = [len(turns) for turns in split.dialogues]
        present = torch.tensor([m in keep for m in MODALITIES])
        features = {m: torch.split(rows, lengths) for m, rows in self.features.items()}
        return tuple(
            FeaturedDialogue(
                str(place),
                {m: rows[place] for m, rows in features.items()},
                present.expand(len(turns), -1),
                torch.tensor(speakers_by_appearance([turn.speaker for turn in turns])),
                torch.tensor([turn.label for turn in turns]),
            )
            for place, turns in enumerate(split.dialogues)
        )


@dataclass(frozen=True)
class ComposedCorpus(FeaturedCorpus):
    """A corpus whose training dialogues are composed anew in each epoch, from `parts`. Training
    has only the modalities in `keep`."""

    parts: ComposedSplit
    kinds: Kinds
    keep: tuple[str, ...]

    def training_features(self, modality: str) -> Tensor:
        """The features to draw from, in all versions, [n, dim]."""
        parts = self.parts
        return {
            "text": parts.text,
            "audio": torch.from_numpy(parts.voices.vectors),
            "visual": torch.from_numpy(parts.faces.vectors),
        }[modality].flatten(0, 1)

    def epoch(self, random: torch.Generator) -> tuple[FeaturedDialogue, ...]:
        """The training dialogues with newly drawn voices and faces."""
        draw = np.random.default_rng(int(torch.randint(2**62, (), generator=random)))
        composition = compose(self.parts, self.kinds, draw, clean=False)
        return composition.dialogues(self.parts, self.keep)


def compose(
    split: ComposedSplit, kinds: Kinds, random: np.random.Generator, clean: bool
) -> Composition:
    """Draws a voice and a face for every utterance.

    Args:
        split: the parts.
        kinds: what the modalities show. Where words have to show another emotion than their own,
            they are replaced by those of another utterance; if no utterance has such words, they
            stay.
        random: source of all draws.
        clean: only the originals of words, clips and faces are drawn.

    Raises:
        InputError: an emotion has no voice or no face.
    """
    bank = split.voices
    clips, faces = by_owner(bank.owners, bank.emotions), _by_emotion(split.faces.emotions)
    actors = sorted({owner for owner, _ in clips})
    voices, words = _by_emotion(split.voices.emotions), _by_emotion(split.emotions.numpy())
    _check(voices, "voices", "give more corpora of voices")
    _check(faces, "faces", "give a complete corpus of faces")
    rows: list[tuple[int, int, int]] = []
    for turns in split.dialogues:
        names = dict.fromkeys(turn.speaker for turn in turns)
        cast = {name: str(random.choice(actors)) for name in names}
        for turn in turns:
            text, voice, face = shown(turn.label, kinds, random)
            # What an actor never shows is lent by another.
            own = clips.get((cast[turn.speaker], voice), voices[voice])
            rows.append(
                (
                    _drawn(words[text], random)
                    if text != turn.label and len(words[text])
                    else len(rows),
                    _drawn(own, random),
                    _drawn(faces[face], random),
                )
            )
    features = {}
    for name, vectors, chosen in (
        ("text", split.text, np.asarray(rows)[:, 0]),
        ("audio", torch.from_numpy(split.voices.vectors), np.asarray(rows)[:, 1]),
        ("visual", torch.from_numpy(split.faces.vectors), np.asarray(rows)[:, 2]),
    ):
        variant = np.zeros(len(rows), int) if clean else random.integers(0, VARIANTS, len(rows))
        features[name] = vectors[chosen, variant]
    return Composition(features)


def shown(emotion: int, kinds: Kinds, random: np.random.Generator) -> tuple[int, int, int]:
    """What words, voice and face show where an utterance has an emotion, indices of `EMOTIONS`."""
    chance = random.random()
    if emotion == NEUTRAL:
        return (NEUTRAL,) * 3
    if chance < kinds.neutral_words:
        return NEUTRAL, emotion, emotion
    chance -= kinds.neutral_words
    if chance < kinds.emotional_words:
        return emotion, NEUTRAL, NEUTRAL
    chance -= kinds.emotional_words
    if chance < kinds.single:
        words = emotion if random.random() < 0.5 else NEUTRAL
        return (words, emotion, NEUTRAL) if random.random() < 0.5 else (words, NEUTRAL, emotion)
    chance -= kinds.single
    if chance < kinds.disagreement:
        others = [other for other in range(len(EMOTIONS)) if other not in (NEUTRAL, emotion)]
        three = [emotion, *map(int, random.choice(others, 2, replace=False))]
        first, second, third = random.permutation(three).tolist()
        return first, second, third
    return (emotion,) * 3


def with_absences(
    windows: Conversations, absence: Absence, random: torch.Generator
) -> Conversations:
    """The windows with randomly missing modalities and merged speakers."""
    count, length, modalities = windows.present.shape
    in_window = torch.rand(count, 1, modalities, generator=random) < absence.window
    in_utterance = torch.rand(count, length, modalities, generator=random) < absence.utterance
    merged = torch.rand(count, 1, generator=random) < absence.speakers
    return Conversations(
        features=windows.features,
        present=windows.present & ~in_window & ~in_utterance,
        speakers=windows.speakers.masked_fill(merged, 0),
        valid=windows.valid,
    )


def by_owner(
    owners: NDArray[np.str_], emotions: NDArray[np.int64]
) -> dict[tuple[str, int], NDArray[np.int64]]:
    """The rows of each owner's clips [n] of each emotion; none where the owner never shows it."""
    rows = {
        (owner, emotion): np.flatnonzero((owners == owner) & (emotions == emotion))
        for owner in {str(owner) for owner in owners}
        for emotion in range(len(EMOTIONS))
    }
    return {key: own for key, own in rows.items() if len(own)}


def _by_emotion(emotions: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    return {emotion: np.flatnonzero(emotions == emotion) for emotion in range(len(EMOTIONS))}


def _check(rows: Mapping[int, NDArray[np.int64]], what: str, remedy: str) -> None:
    """Raises `InputError` where an emotion has no rows."""
    missing = [EMOTIONS[emotion] for emotion, own in rows.items() if not len(own)]
    if missing:
        raise InputError(
            f"composed conversations: no {what} show {', '.join(missing)} in a split; {remedy}"
        )


def _drawn(rows: NDArray[np.int64], random: np.random.Generator) -> int:
    return int(random.choice(rows))
