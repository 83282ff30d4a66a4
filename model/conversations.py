"""Batches of conversations: the input of the networks.

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

    `features[m]` [B, N, dim of m], any values where missing, NaN included; `present` bool
    [B, N, M], false where missing; `speakers` int64 [B, N], numbered from 0 in order of appearance;
    `valid` bool [B, N], false on padding, which may be on either side.
    """

    features: dict[str, Tensor]
    present: Tensor
    speakers: Tensor
    valid: Tensor

    def map_tensors(self, change: Callable[[Tensor], Tensor]) -> "Conversations":
        """Applies a function to every tensor."""
        return Conversations(
            {m: change(x) for m, x in self.features.items()},
            change(self.present),
            change(self.speakers),
            change(self.valid),
        )


def windows(batch: Conversations, context: int) -> Conversations:
    """The windows that end with each utterance: [B, N] to [B * N, context], padded at the start."""

    def windows_of(x: Tensor) -> Tensor:
        padding = x.new_zeros(x.shape[0], context - 1, *x.shape[2:])
        return torch.cat([padding, x], 1).unfold(1, context, 1).movedim(-1, 2).flatten(0, 1)

    all_windows = batch.map_tensors(windows_of)
    return replace(all_windows, speakers=by_appearance(all_windows.speakers, all_windows.valid))


def by_appearance(speakers: Tensor, valid: Tensor) -> Tensor:
    """Renumbers speakers int64 [B, N] from 0 in order of appearance; 0 on padding."""
    same_speaker = (speakers[:, :, None] == speakers[:, None]) & valid[:, None]
    # argmax takes the first of several largest values: where a speaker first spoke.
    first = same_speaker.to(torch.uint8).argmax(-1)
    is_first = (first == torch.arange(speakers.shape[1], device=speakers.device)) & valid
    return (is_first.cumsum(-1) - 1).gather(1, first).masked_fill(~valid, 0)


def speakers_by_appearance(speakers: Sequence[str | int]) -> list[int]:
    """Numbers speakers from 0 in order of appearance."""
    numbers: dict[str | int, int] = {}
    return [numbers.setdefault(speaker, len(numbers)) for speaker in speakers]


def speaker_number(name: str) -> int:
    """The number of a speaker's name: its hash, since a table of names would grow."""
    return int.from_bytes(blake2b(name.encode(), digest_size=7).digest())


def concatenate(before: Conversations, after: Conversations) -> Conversations:
    """Appends utterances to conversations: [B, N] and [B, n] to [B, N + n]."""
    return Conversations(
        {m: torch.cat([x, after.features[m]], 1) for m, x in before.features.items()},
        torch.cat([before.present, after.present], 1),
        torch.cat([before.speakers, after.speakers], 1),
        torch.cat([before.valid, after.valid], 1),
    )
