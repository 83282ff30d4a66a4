"""Composed conversations: real dialogues given acted voices and photographed faces.

There is no open corpus of real conversations with words, voice and face whose recordings may be
used here. So words, speakers, order and emotions come from MELD's dialogues; each speaker of a
dialogue is given one actor, each utterance one of the actor's clips and one face. What voice and
face show agrees with the utterance's label only so often (`Agreement`), as in life; otherwise they
are neutral or show anything. A composed conversation is not a real one, and scores on it say how
well the parts work together, not how well the model reads people.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gscon_live.model.conversations import speakers_by_appearance
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.model.networks.network import Conversations
from gscon_live.train.corpora.meld import Turn
from gscon_live.train.data.feature_banks import VARIANTS, Bank

Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Agreement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often a modality shows the utterance's emotion, and how often it stays neutral instead;
    the rest of the time it shows any of the seven.

    `habit` is the share of a dialogue's speakers who show one and the same expression whatever they
    say: a smile that is kept up, a voice that always sounds annoyed. From them a model learns to
    weigh an expression by how unusual it is for the speaker.
    """

    same: Probability
    neutral: Probability
    habit: Probability = 0.0


class Absence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Probabilities with which, in training, a modality is missing in a whole window or in single
    utterances, and with which the speakers of a window are not told apart."""

    window: Probability = 0.25
    utterance: Probability = 0.1
    speakers: Probability = 0.2


@dataclass(frozen=True)
class Corpus:
    """One split: all utterances in a row, their windows, and the clips and faces to draw from.

    `text` [n, VARIANTS, dim] has the words' features in several versions, the first undisturbed;
    `windows` int64 [n, K] holds for each utterance the places of the last K of its dialogue, -1
    where there are fewer, itself last; `speakers` [n, K] their speakers by appearance.
    """

    text: Tensor
    emotions: Tensor
    windows: Tensor
    speakers: Tensor
    dialogues: list[list[Turn]]
    voices: Bank
    faces: Bank


@dataclass(frozen=True)
class Composition:
    """One way to give a corpus voices and faces: features [n, dim] and where they are [n, 3]."""

    features: dict[str, Tensor]
    present: Tensor


def corpus_of(
    dialogues: list[list[Turn]], text: NDArray[np.float32], voices: Bank, faces: Bank, context: int
) -> Corpus:
    """Lays out a split; `text` are the features of all utterances in order, [n, VARIANTS, dim]."""
    windows, speakers, emotions = [], [], []
    start = 0
    for turns in dialogues:
        for index, turn in enumerate(turns):
            first = max(0, index - context + 1)
            gap = context - (index - first + 1)
            windows.append([-1] * gap + list(range(start + first, start + index + 1)))
            names = [one.speaker for one in turns[first : index + 1]]
            speakers.append([0] * gap + speakers_by_appearance(names))
            emotions.append(turn.emotion)
        start += len(turns)
    return Corpus(
        torch.from_numpy(text),
        torch.tensor(emotions),
        torch.tensor(windows),
        torch.tensor(speakers),
        dialogues,
        voices,
        faces,
    )


def compose(
    corpus: Corpus,
    agreement: dict[str, Agreement],
    random: np.random.Generator,
    clean: bool,
) -> Composition:
    """Draws a voice and a face for every utterance; `clean` takes undisturbed ones only."""
    clips = _by_owner(corpus.voices)
    actors = sorted({owner for owner, _ in clips})
    shown_faces = _by_owner(corpus.faces)
    voice_rows, face_rows = [], []
    for turns in corpus.dialogues:
        cast = {
            name: str(random.choice(actors)) for name in dict.fromkeys(t.speaker for t in turns)
        }
        habits = {m: {name: _habit(agreement[m], random) for name in cast} for m in agreement}
        for turn in turns:
            heard, seen = (
                _shown(turn.emotion, agreement[m], habits[m][turn.speaker], random)
                for m in ("audio", "visual")
            )
            voice_rows.append(_draw(clips, (cast[turn.speaker], heard), random))
            face_rows.append(_draw(shown_faces, ("", seen), random))
    features, present = dict[str, Tensor](), []
    for name, vectors, rows in (
        ("text", corpus.text, np.arange(len(corpus.text))),
        ("audio", torch.from_numpy(corpus.voices.vectors), np.asarray(voice_rows)),
        ("visual", torch.from_numpy(corpus.faces.vectors), np.asarray(face_rows)),
    ):
        variant = np.zeros(len(rows), int) if clean else random.integers(0, VARIANTS, len(rows))
        features[name] = vectors[rows, variant]
        present.append(torch.from_numpy(rows >= 0))
    return Composition(features, torch.stack(present, -1))


def batch(
    corpus: Corpus, composition: Composition, rows: Tensor, keep: Sequence[str] = MODALITIES
) -> Conversations:
    """The windows of some utterances, with no other modalities than those in `keep`."""
    windows = corpus.windows[rows]
    valid = windows >= 0
    places = windows.clamp(min=0)
    kept = torch.tensor([name in keep for name in MODALITIES])
    return Conversations(
        features={name: composition.features[name][places] for name in MODALITIES},
        present=composition.present[places] & valid[..., None] & kept,
        speakers=corpus.speakers[rows],
        valid=valid,
    )


def with_absences(
    windows: Conversations, absence: Absence, random: torch.Generator
) -> Conversations:
    """The windows with modalities and the distinction of speakers missing at random."""
    count, length, modalities = windows.present.shape
    whole = torch.rand(count, 1, modalities, generator=random) < absence.window
    single = torch.rand(count, length, modalities, generator=random) < absence.utterance
    merged = torch.rand(count, 1, generator=random) < absence.speakers
    return Conversations(
        features=windows.features,
        present=windows.present & ~whole & ~single,
        speakers=windows.speakers.masked_fill(merged, 0),
        valid=windows.valid,
    )


def _by_owner(bank: Bank) -> dict[tuple[str, int], NDArray[np.int64]]:
    owners = {str(owner) for owner in bank.owners}
    found = {
        (owner, emotion): np.flatnonzero((bank.owners == owner) & (bank.emotions == emotion))
        for owner in owners
        for emotion in range(len(EMOTIONS))
    }
    return {key: rows for key, rows in found.items() if len(rows)}


def _habit(agreement: Agreement, random: np.random.Generator) -> int | None:
    """The one expression of a speaker who has only one."""
    return int(random.integers(len(EMOTIONS))) if random.random() < agreement.habit else None


def _shown(
    emotion: int, agreement: Agreement, habit: int | None, random: np.random.Generator
) -> int:
    if habit is not None:
        return habit
    chance = random.random()
    if chance < agreement.same:
        return emotion
    if chance < agreement.same + agreement.neutral:
        return EMOTIONS.index("neutral")
    return int(random.integers(len(EMOTIONS)))


def _draw(
    bank: dict[tuple[str, int], NDArray[np.int64]],
    key: tuple[str, int],
    random: np.random.Generator,
) -> int:
    """A row of the bank; -1 where there is none (EMO-DB's actors are never surprised)."""
    rows = bank.get(key)
    return -1 if rows is None else int(random.choice(rows))
