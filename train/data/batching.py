"""Batches of a network: dialogues, padded, or windows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from gscon_live.model.networks.network import Conversations, windows
from gscon_live.train.corpora.dataset import FeaturedDialogue, batch
from gscon_live.train.engine.losses import Targets


@dataclass(frozen=True)
class Batch:
    """Conversations or windows, and the labels of the predicted utterances: [B, N], or [B, 1]
    where only the last one is predicted (`last`); -1 where there is none. `soft` [B, N or 1, C]
    are soft labels, used in place of the labels; None: there are none."""

    conversations: Conversations
    labels: Tensor
    last: bool
    soft: Tensor | None = None

    @property
    def targets(self) -> Targets:
        """The utterances that have a label."""
        rows = (self.labels.flatten() >= 0).nonzero()[:, 0]
        answered = self.conversations.present[:, -self.labels.shape[1] :]
        soft = None if self.soft is None else self.soft.flatten(0, 1)[rows]
        return Targets(rows, self.labels.flatten()[rows], answered.flatten(0, 1)[rows], soft)

    def _at(self, places: Any) -> "Batch":
        """Every tensor at an index of its first dimensions."""
        soft = None if self.soft is None else self.soft[places]
        conversations = self.conversations.map_tensors(itemgetter(places))
        return Batch(conversations, self.labels[places], self.last, soft)

    def and_alone(self, share: float, random: torch.Generator) -> "Batch":
        """Appends a random share of the conversations again, each with one random modality alone.
        The share of the batch may be fractional; it then holds on average."""
        count, modalities = len(self.labels), self.conversations.present.shape[-1]
        most = int(share * count + float(torch.rand((), generator=random)))
        repeated = torch.randperm(count, generator=random)[:most]
        alone = torch.randint(modalities, (len(repeated), 1, 1), generator=random)
        rows = torch.cat([torch.arange(count), repeated])
        mask = torch.ones(len(rows), 1, modalities, dtype=torch.bool)
        mask[count:] = torch.arange(modalities) == alone
        extended = self._at(rows)
        present = extended.conversations.present & mask
        return replace(extended, conversations=replace(extended.conversations, present=present))

    def split(self, parts: int) -> list["Batch"]:
        """Splits into at most `parts` batches, each trimmed to its longest conversation."""
        batches = []
        for rows in torch.arange(len(self.labels)).tensor_split(parts):
            if not len(rows):
                continue
            part = self._at(rows)
            if not self.last:
                longest = int(part.conversations.valid.sum(1).max())
                part = part._at((slice(None), slice(longest)))
            batches.append(part)
        return batches


class Source(Protocol):
    """A split from which batches are taken; `lengths` [n] are those of its conversations or
    windows."""

    lengths: Tensor

    def take(self, rows: Sequence[int]) -> Batch:
        """The batch of these conversations or windows."""
        ...


class Dialogues:
    """Complete dialogues, in which every utterance is predicted."""

    def __init__(self, dialogues: Sequence[FeaturedDialogue]) -> None:
        self._dialogues = dialogues
        self.lengths = torch.tensor([len(dialogue.labels) for dialogue in dialogues])

    def take(self, rows: Sequence[int]) -> Batch:
        dialogues = [self._dialogues[row] for row in rows]
        conversations, labels = batch(dialogues)
        soft = [dialogue.soft for dialogue in dialogues if dialogue.soft is not None]
        return Batch(
            conversations, labels, False, pad_sequence(soft, batch_first=True) if soft else None
        )


class Windows:
    """The windows of `context` utterances that end with a labelled utterance."""

    def __init__(self, dialogues: Sequence[FeaturedDialogue], context: int) -> None:
        self._features = {
            m: torch.cat([dialogue.features[m] for dialogue in dialogues])
            for m in dialogues[0].features
        }
        endings, labels, soft, start = [], [], list[Tensor](), 0
        for dialogue in dialogues:
            # Indices into the split stand for the features, which `take` gathers.
            places = torch.arange(start, start + len(dialogue.labels))[None, :, None]
            start += len(dialogue.labels)
            conversation, dialogue_labels = batch([dialogue])
            labelled = dialogue_labels[0] >= 0
            ending = windows(replace(conversation, features={"place": places}), context)
            endings.append(ending.map_tensors(itemgetter(labelled)))
            labels.append(dialogue_labels[0][labelled])
            if dialogue.soft is not None:
                soft.append(dialogue.soft[labelled])
        self._places = torch.cat([ending.features["place"][..., 0] for ending in endings])
        self._present = torch.cat([ending.present for ending in endings])
        self._speakers = torch.cat([ending.speakers for ending in endings])
        self._valid = torch.cat([ending.valid for ending in endings])
        self._labels = torch.cat(labels)
        self._soft = torch.cat(soft) if soft else None
        self.lengths = torch.full((len(self._labels),), context)

    def take(self, rows: Sequence[int]) -> Batch:
        index = torch.as_tensor(rows)
        places = self._places[index]
        conversations = Conversations(
            {m: x[places] for m, x in self._features.items()},
            self._present[index],
            self._speakers[index],
            self._valid[index],
        )
        soft = None if self._soft is None else self._soft[index][:, None]
        return Batch(conversations, self._labels[index][:, None], True, soft)


def source(dialogues: Sequence[FeaturedDialogue], mode: str, context: int) -> Source:
    """A split for a network of that mode: windows for `buffer`, else dialogues."""
    return Windows(dialogues, context) if mode == "buffer" else Dialogues(dialogues)


def shuffled(lengths: Tensor, size: int, random: torch.Generator) -> list[list[int]]:
    """All rows once, in batches of `size` (the last may be smaller), in random order. Rows of
    similar length share a batch, which saves padding."""
    pool, long = 8 * size, lengths.tolist()
    order: list[int] = torch.randperm(len(lengths), generator=random).tolist()
    batches = []
    for first in range(0, len(order), pool):
        similar = sorted(order[first : first + pool], key=long.__getitem__)
        batches += [similar[start : start + size] for start in range(0, len(similar), size)]
    return [batches[place] for place in torch.randperm(len(batches), generator=random).tolist()]


def ordered(lengths: Tensor, size: int) -> list[list[int]]:
    """All rows once, in batches of `size`, the shortest first."""
    rows: list[int] = lengths.argsort(stable=True).tolist()
    return [rows[start : start + size] for start in range(0, len(rows), size)]
