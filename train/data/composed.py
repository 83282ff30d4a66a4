"""Composed conversations: real dialogues combined with acted voices and photographed faces.

There is no open corpus of real conversations with words, voice and face whose recordings may be
used here. So words, speakers, order and emotions come from MELD's dialogues. Each speaker gets an
actor, each utterance one of the actor's clips and a face. Voice and face agree with the utterance's
label only with a given probability (`Agreement`); otherwise they are neutral or random. Composed
conversations are not real ones: scores on them measure how well the parts work together, not how
well the model reads people.
"""

from collections.abc import Mapping, Sequence
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
from gscon_live.train.corpora.dataset import FeaturedCorpus, FeaturedDialogue
from gscon_live.train.corpora.schema import Utterance
from gscon_live.train.data.feature_banks import VARIANTS, Bank

Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Agreement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Probabilities that a modality shows the utterance's emotion (`same`) or is `neutral`;
    otherwise it shows any of the seven.

    `habit` is the share of speakers with a constant expression in a dialogue: a permanent smile, a
    voice that always sounds annoyed. From them a model learns to weigh an expression by how unusual
    it is for the speaker.
    """

    same: Probability
    neutral: Probability
    habit: Probability = 0.0


class Absence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Probabilities, in training, that a modality is missing in a complete window or in a single
    utterance, and that the speakers of a window are merged."""

    window: Probability = 0.25
    utterance: Probability = 0.1
    speakers: Probability = 0.2


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
    """A random draw of voices and faces for a split: features [n, dim], presence [n, 3]."""

    features: dict[str, Tensor]
    present: Tensor

    def dialogues(
        self, split: ComposedSplit, keep: Sequence[str] = MODALITIES
    ) -> tuple[FeaturedDialogue, ...]:
        """The split's dialogues with these voices and faces, restricted to the modalities in
        `keep`."""
        lengths = [len(turns) for turns in split.dialogues]
        present = self.present & torch.tensor([m in keep for m in MODALITIES])
        features = {m: torch.split(rows, lengths) for m, rows in self.features.items()}
        return tuple(
            FeaturedDialogue(
                str(place),
                {m: rows[place] for m, rows in features.items()},
                presence,
                torch.tensor(speakers_by_appearance([turn.speaker for turn in turns])),
                torch.tensor([turn.label for turn in turns]),
            )
            for place, (turns, presence) in enumerate(
                zip(split.dialogues, torch.split(present, lengths), strict=True)
            )
        )


@dataclass(frozen=True)
class ComposedCorpus(FeaturedCorpus):
    """A corpus whose training dialogues are composed anew in each epoch, from `parts`. Training
    has only the modalities in `keep`."""

    parts: ComposedSplit
    agreement: Mapping[str, Agreement]
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
        return compose(self.parts, self.agreement, draw, clean=False).dialogues(
            self.parts, self.keep
        )


def compose(
    split: ComposedSplit,
    agreement: Mapping[str, Agreement],
    random: np.random.Generator,
    clean: bool,
) -> Composition:
    """Draws a voice and a face for every utterance; `clean` draws from the originals only."""
    clips = _by_owner(split.voices)
    actors = sorted({owner for owner, _ in clips})
    shown_faces = _by_owner(split.faces)
    voice_rows, face_rows = [], []
    for turns in split.dialogues:
        cast = {
            name: str(random.choice(actors)) for name in dict.fromkeys(t.speaker for t in turns)
        }
        habits = {m: {name: _habit(agreement[m], random) for name in cast} for m in agreement}
        for turn in turns:
            voice, face = (
                _expression(turn.label, agreement[m], habits[m][turn.speaker], random)
                for m in ("audio", "visual")
            )
            voice_rows.append(_draw(clips, (cast[turn.speaker], voice), random))
            face_rows.append(_draw(shown_faces, ("", face), random))
    features, present = dict[str, Tensor](), []
    for name, vectors, rows in (
        ("text", split.text, np.arange(len(split.text))),
        ("audio", torch.from_numpy(split.voices.vectors), np.asarray(voice_rows)),
        ("visual", torch.from_numpy(split.faces.vectors), np.asarray(face_rows)),
    ):
        variant = np.zeros(len(rows), int) if clean else random.integers(0, VARIANTS, len(rows))
        features[name] = vectors[rows, variant]
        present.append(torch.from_numpy(rows >= 0))
    return Composition(features, torch.stack(present, -1))


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


def _by_owner(bank: Bank) -> dict[tuple[str, int], NDArray[np.int64]]:
    owners = {str(owner) for owner in bank.owners}
    by_owner = {
        (owner, emotion): np.flatnonzero((bank.owners == owner) & (bank.emotions == emotion))
        for owner in owners
        for emotion in range(len(EMOTIONS))
    }
    return {key: rows for key, rows in by_owner.items() if len(rows)}


def _habit(agreement: Agreement, random: np.random.Generator) -> int | None:
    """The constant expression of a speaker, or None."""
    return int(random.integers(len(EMOTIONS))) if random.random() < agreement.habit else None


def _expression(
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
