"""Layers of cross-modal networks: convolutions over the utterances, and attention from one modality
to another. Both run over whole conversations and one utterance at a time.

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
from gscon_live.model.networks.layers.blocks import attend


class ConvolutionOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of a network with convolutions: `kernel` is their size in utterances."""

    kernel: Annotated[int, msgspec.Meta(ge=1)] = 3


class Convolution(nn.Module):
    """A convolution over `size` utterances, of which the current one is the last; in mode `full` it
    is the middle one. Padding and missing utterances must be zero."""

    def __init__(
        self, a: Architecture, inside: int, outside: int, size: int, bias: bool = True
    ) -> None:
        super().__init__()
        self.size, self.inside = size, inside
        before = (size - 1) // 2 if a.mode == "full" else size - 1
        self.around = (before, size - 1 - before)
        # A convolution is a linear map of neighbouring utterances side by side.
        self.together = nn.Linear(size * inside, outside, bias=bias)

    def forward(self, states: Tensor) -> Tensor:
        """States [B, N, inside] to [B, N, outside]."""
        return self._convolve(functional.pad(states, (0, 0, *self.around)))

    def start(self) -> Tensor:
        """The zero padding before the first utterance, [1, size - 1, inside]."""
        return self.together.weight.new_zeros(1, self.size - 1, self.inside)

    def next(self, state: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """The output for the next utterance, [1, 1, outside], and the past of the one after it. Not
        in mode `full`.

        Args:
            state: the utterance, [1, 1, inside].
            past: the utterances before it, [1, size - 1, inside].
        """
        rows = torch.cat([past, state], 1)
        return self._convolve(rows), rows[:, 1:]

    def _convolve(self, rows: Tensor) -> Tensor:
        count = rows.shape[1] - self.size + 1
        shifted = [rows[:, offset : offset + count] for offset in range(self.size)]
        output: Tensor = self.together(torch.cat(shifted, -1))
        return output


def add_speakers(
    projected: Mapping[str, Tensor],
    absence: nn.ParameterDict,
    speakers: Tensor,
    batch: Conversations,
) -> dict[str, Tensor]:
    """Adds the speakers' vectors to the modalities' utterances [B, N, d].

    A learned vector replaces missing utterances. The modalities are in the order of the masks.
    """
    return {
        m: torch.where(batch.present[..., index, None], x, absence[m]) + speakers
        for index, (m, x) in enumerate(projected.items())
    }


class CrossAttention(nn.Module):
    """Attention from the utterances of one modality to those of another, or to its own, with a
    learned bias for each distance."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.memory, self.width = a.memory, a.width
        self.query = nn.Linear(a.width, a.width)
        self.key_value = nn.Linear(a.width, 2 * a.width)
        self.out = nn.Linear(a.width, a.width)
        self.distance = nn.Parameter(torch.zeros(a.heads, 2 * a.reach + 1))

    def forward(self, queries: Tensor, source: Tensor, mask: Tensor) -> Tensor:
        """Attends from `queries` [B, N, d] to `source` [B, N, d]; for `mask` bool [B, N, N] see
        `model.networks.layers.blocks.visible`."""
        return self._attend(queries, self.key_value(source), mask)

    def start(self) -> Tensor:
        """Zero keys and values before the first utterance, [1, memory - 1, 2 d]."""
        return self.distance.new_zeros(1, self.memory - 1, 2 * self.width)

    def next(
        self, queries: Tensor, source: Tensor, past: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The output for the next utterance, [1, 1, d], and the past of the one after it.

        Args:
            queries: the utterance in the modality that attends, [1, 1, d].
            source: the utterance in the other modality, [1, 1, d].
            past: keys and values of the utterances before it, [1, memory - 1, 2 d].
            mask: which of the last `memory` utterances exist, bool [1, 1, memory].
        """
        rows = torch.cat([past, self.key_value(source)], 1)
        return self._attend(queries, rows, mask), rows[:, 1:]

    def _attend(self, queries: Tensor, rows: Tensor, mask: Tensor) -> Tensor:
        output: Tensor = self.out(attend(self.query(queries), rows, self.distance, mask))
        return output
