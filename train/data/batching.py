"""What a network is shown at a time: whole dialogues side by side, or windows."""

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
    """Conversations or windows, and the labels of the places that are answered: [B, N], or
    [B, 1] where only the last place is (`last`); -1 where there is none. `soft` [B, N or 1, C]
    are the probabilities that are learned in the labels' place; None: the labels are."""

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
        """What an index of the first dimensions finds, of everything."""
        soft = None if self.soft is None else self.soft[places]
        conversations = self.conversations.each(itemgetter(places))
        return Batch(conversations, self.labels[places], self.last, soft)

    def and_alone(self, share: float, random: torch.Generator) -> "Batch":
        """The same and, once more, this share of the conversations (on average, where it is no
        whole number), drawn at random, each with one of its modalities alone, drawn too."""
        count, modalities = len(self.labels), self.conversations.present.shape[-1]
        most = int(share * count + float(torch.rand((), generator=random)))
        again = torch.randperm(count, generator=random)[:most]
        alone = torch.randint(modalities, (len(again), 1, 1), generator=random)
        rows = torch.cat([torch.arange(count), again])
        kept = torch.ones(len(rows), 1, modalities, dtype=torch.bool)
        kept[count:] = torch.arange(modalities) == alone
        longer = self._at(rows)
        present = longer.conversations.present & kept
        return replace(longer, conversations=replace(longer.conversations, present=present))

    def split(self, parts: int) -> list["Batch"]:
        """The same in at most so many batches, each no longer than its longest conversation."""
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
    """One split, ready to be taken in batches; `lengths` has one entry for each conversation or
    window."""

    lengths: Tensor

    def take(self, rows: Sequence[int]) -> Batch:
        """Some conversations or windows."""
        ...


class Dialogues:
    """Whole dialogues, of which every place is answered."""

    def __init__(self, dialogues: Sequence[FeaturedDialogue]) -> None:
        self._dialogues = dialogues
        self.lengths = torch.tensor([len(dialogue.labels) for dialogue in dialogues])

    def take(self, rows: Sequence[int]) -> Batch:
        chosen = [self._dialogues[row] for row in rows]
        conversations, labels = batch(chosen)
        soft = [dialogue.soft for dialogue in chosen if dialogue.soft is not None]
        return Batch(
            conversations, labels, False, pad_sequence(soft, batch_first=True) if soft else None
        )


class Windows:
    """The windows of `context` utterances that end with an utterance that has a label."""

    def __init__(self, dialogues: Sequence[FeaturedDialogue], context: int) -> None:
        self._features = {
            m: torch.cat([dialogue.features[m] for dialogue in dialogues])
            for m in dialogues[0].features
        }
        endings, labels, soft, start = [], [], list[Tensor](), 0
        for dialogue in dialogues:
            # The places in the split take the features' seat: features are fetched when needed.
            places = torch.arange(start, start + len(dialogue.labels))[None, :, None]
            start += len(dialogue.labels)
            whole, mine = batch([dialogue])
            wanted = mine[0] >= 0
            ending = windows(replace(whole, features={"place": places}), context)
            endings.append(ending.each(itemgetter(wanted)))
            labels.append(mine[0][wanted])
            if dialogue.soft is not None:
                soft.append(dialogue.soft[wanted])
        self._places = torch.cat([ending.features["place"][..., 0] for ending in endings])
        self._present = torch.cat([ending.present for ending in endings])
        self._speakers = torch.cat([ending.speakers for ending in endings])
        self._valid = torch.cat([ending.valid for ending in endings])
        self._labels = torch.cat(labels)
        self._soft = torch.cat(soft) if soft else None
        self.lengths = torch.full((len(self._labels),), context)

    def take(self, rows: Sequence[int]) -> Batch:
        chosen = torch.as_tensor(rows)
        places = self._places[chosen]
        conversations = Conversations(
            {m: x[places] for m, x in self._features.items()},
            self._present[chosen],
            self._speakers[chosen],
            self._valid[chosen],
        )
        soft = None if self._soft is None else self._soft[chosen][:, None]
        return Batch(conversations, self._labels[chosen][:, None], True, soft)


def source(dialogues: Sequence[FeaturedDialogue], mode: str, context: int) -> Source:
    """A split as a network of that mode takes it."""
    return Windows(dialogues, context) if mode == "buffer" else Dialogues(dialogues)


def shuffled(lengths: Tensor, size: int, random: torch.Generator) -> list[list[int]]:
    """All rows once, in batches of `size` (the last may be smaller), in random order; rows of alike
    length come together, so that little is padded."""
    pool, long = 8 * size, lengths.tolist()
    order: list[int] = torch.randperm(len(lengths), generator=random).tolist()
    batches = []
    for first in range(0, len(order), pool):
        alike = sorted(order[first : first + pool], key=long.__getitem__)
        batches += [alike[start : start + size] for start in range(0, len(alike), size)]
    return [batches[place] for place in torch.randperm(len(batches), generator=random).tolist()]


def ordered(lengths: Tensor, size: int) -> list[list[int]]:
    """All rows once, in batches of `size`, the shortest first."""
    rows: list[int] = lengths.argsort(stable=True).tolist()
    return [rows[start : start + size] for start in range(0, len(rows), size)]
