"""Conversations as networks see them.

Shapes: B conversations or windows, N utterances, M modalities.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import torch
from torch import Tensor


@dataclass(frozen=True)
class Conversations:
    """A batch of conversations or windows.

    `features[m]` [B, N, dim of m] (anything where missing, NaN too); `present` bool [B, N, M];
    `speakers` int64 [B, N], numbered from 0 in order of appearance; `valid` bool [B, N], false on
    padding, which may stand on either side.
    """

    features: dict[str, Tensor]
    present: Tensor
    speakers: Tensor
    valid: Tensor

    def map_tensors(self, change: Callable[[Tensor], Tensor]) -> "Conversations":
        """The same with every tensor changed."""
        return Conversations(
            {m: change(x) for m, x in self.features.items()},
            change(self.present),
            change(self.speakers),
            change(self.valid),
        )


def windows(batch: Conversations, context: int) -> Conversations:
    """The window that ends with each utterance of [B, N]: [B * N, context], padded at its start."""

    def ending_everywhere(x: Tensor) -> Tensor:
        before = x.new_zeros(x.shape[0], context - 1, *x.shape[2:])
        return torch.cat([before, x], 1).unfold(1, context, 1).movedim(-1, 2).flatten(0, 1)

    endings = batch.map_tensors(ending_everywhere)
    return replace(endings, speakers=by_appearance(endings.speakers, endings.valid))


def by_appearance(speakers: Tensor, valid: Tensor) -> Tensor:
    """Speakers int64 [B, N], numbered in any way, as numbers from 0 in order of appearance; 0 on
    padding."""
    same = (speakers[:, :, None] == speakers[:, None]) & valid[:, None]
    # The first of several largest values is taken: the place where a speaker first spoke.
    first = same.to(torch.uint8).argmax(-1)
    new = (first == torch.arange(speakers.shape[1], device=speakers.device)) & valid
    return (new.cumsum(-1) - 1).gather(1, first).masked_fill(~valid, 0)


def speakers_by_appearance(speakers: Sequence[str | int]) -> list[int]:
    """Speakers as numbers from 0, in the order in which they first appear."""
    numbers: dict[str | int, int] = {}
    return [numbers.setdefault(speaker, len(numbers)) for speaker in speakers]


def speaker_number(name: str) -> int:
    """A number for a name, always the same; it is hashed, since a table of names would grow."""
    return int.from_bytes(blake2b(name.encode(), digest_size=7).digest())


def together(before: Conversations, after: Conversations) -> Conversations:
    """The same conversations, longer: [B, N] and [B, n] make [B, N + n]."""
    return Conversations(
        {m: torch.cat([x, after.features[m]], 1) for m, x in before.features.items()},
        torch.cat([before.present, after.present], 1),
        torch.cat([before.speakers, after.speakers], 1),
        torch.cat([before.valid, after.valid], 1),
    )
