"""What networks have that let modalities ask each other: convolutions over the utterances, and
attention of one modality to another, in whole conversations and one utterance after the other.

Shapes: B conversations or windows, N utterances, d width.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.conversations import Conversations
from gscon_live.model.networks.architecture import Architecture
from gscon_live.model.networks.layers.blocks import attended


class ConvolutionOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`kernel` is the size of the convolutions in utterances."""

    kernel: Annotated[int, msgspec.Meta(ge=1)] = 3


class Convolution(nn.Module):
    """A convolution over the utterances: `size` of them, the current one last; in mode `full` in
    the middle. What is not there has to be zero."""

    def __init__(
        self, a: Architecture, inside: int, outside: int, size: int, bias: bool = True
    ) -> None:
        super().__init__()
        self.size, self.inside = size, inside
        before = (size - 1) // 2 if a.mode == "full" else size - 1
        self.around = (before, size - 1 - before)
        # The same as a linear map of utterances side by side.
        self.together = nn.Linear(size * inside, outside, bias=bias)

    def forward(self, given: Tensor) -> Tensor:
        """Of [B, N, inside]: [B, N, outside]."""
        return self._convolved(functional.pad(given, (0, 0, *self.around)))

    def start(self) -> Tensor:
        """The utterances before the first one, [1, size - 1, inside]."""
        return self.together.weight.new_zeros(1, self.size - 1, self.inside)

    def next(self, given: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Of the next utterance [1, 1, inside], and those before the one after it; not in mode
        `full`."""
        rows = torch.cat([before, given], 1)
        return self._convolved(rows), rows[:, 1:]

    def _convolved(self, rows: Tensor) -> Tensor:
        count = rows.shape[1] - self.size + 1
        side = [rows[:, place : place + count] for place in range(self.size)]
        made: Tensor = self.together(torch.cat(side, -1))
        return made


def add_speakers(
    projected: Mapping[str, Tensor],
    absence: nn.ParameterDict,
    speaker: Tensor,
    batch: Conversations,
) -> dict[str, Tensor]:
    """The modalities' utterances [B, N, d] with their speakers' vectors, a learned vector in place
    of a missing one. The modalities are in the order of the masks."""
    return {
        m: torch.where(batch.present[..., place, None], x, absence[m]) + speaker
        for place, (m, x) in enumerate(projected.items())
    }


class CrossAttention(nn.Module):
    """The utterances of one modality ask those of another, or their own, at every distance in its
    own way."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.memory, self.width = a.memory, a.width
        self.query = nn.Linear(a.width, a.width)
        self.key_value = nn.Linear(a.width, 2 * a.width)
        self.out = nn.Linear(a.width, a.width)
        self.distance = nn.Parameter(torch.zeros(a.heads, 2 * a.reach + 1))

    def forward(self, asking: Tensor, asked: Tensor, seen: Tensor) -> Tensor:
        """Of `asking` [B, N, d] and `asked` [B, N, d]; for `seen` [B, N, N] see
        `model.networks.layers.blocks.visible`."""
        return self._answered(asking, self.key_value(asked), seen)

    def start(self) -> Tensor:
        """Keys and values of the utterances before the first one, [1, memory - 1, 2 d]."""
        return self.distance.new_zeros(1, self.memory - 1, 2 * self.width)

    def next(
        self, asking: Tensor, asked: Tensor, before: Tensor, seen: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Of the next utterance, [1, 1, d] each, and the keys and values before the one after it;
        `seen` bool [1, 1, memory] tells which of the last utterances there were."""
        rows = torch.cat([before, self.key_value(asked)], 1)
        return self._answered(asking, rows, seen), rows[:, 1:]

    def _answered(self, asking: Tensor, rows: Tensor, seen: Tensor) -> Tensor:
        made: Tensor = self.out(attended(self.query(asking), rows, self.distance, seen))
        return made
