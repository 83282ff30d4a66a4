"""The shared encoder of GSCon, which extracts the common part of the modalities.

Shapes: M modalities, B conversations or windows, N utterances, d width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.networks.layers import banded_conv
from gscon_live.model.networks.layers.shared_gradients import KernelGradients


class SharedEncoder(nn.Module):
    """Two 7x7 convolutions over the map of utterances by features.

    These are the only parameters that the modalities share, 98 scalars (theta_c). Unless
    `both_sides`, the map is padded on the side of the past: an utterance's common part depends on
    itself and the twelve utterances before it.
    """

    #: Number of past utterances that a common part depends on: six for each convolution.
    PAST = 12

    band: Tensor

    def __init__(self, both_sides: bool) -> None:
        super().__init__()
        self.both_sides = both_sides
        self.rows = (3, 3) if both_sides else (6, 0)
        self.first = nn.Conv2d(1, 1, banded_conv.SIZE, bias=False)
        self.second = nn.Conv2d(1, 1, banded_conv.SIZE, bias=False)
        self.register_buffer("band", banded_conv.band(), persistent=False)

    def forward(self, state: Tensor, valid: Tensor, last: bool = False) -> Tensor:
        """The common part [B, N, d] of one modality's `state` [B, N, d], zero where not `valid`
        bool [B, N]; with `last`, of the last utterance alone, [B, 1, d]."""
        return self.encode([state], valid, last).common[0]

    def encode(self, states: Sequence[Tensor], valid: Tensor, last: bool = False) -> "Sharing":
        """One pass over all modalities, given a state [B, N, d] of each; otherwise as `forward`."""
        if last and self.both_sides:
            raise ValueError("in mode full, no position is the last")
        maps, rows = torch.stack(list(states)), self.rows
        if last:
            # The first convolution makes 7 rows of 13, and the second makes 1 of these.
            count = min(valid.shape[1], self.PAST + 1)
            padding = (self.PAST + 1 - count, 0)
            maps = functional.pad(maps[:, :, -count:], (0, 0, *padding))
            valid, rows = functional.pad(valid[:, -count:], padding), (0, 0)
        keep = valid[..., None].to(maps.dtype)
        dropped = banded_conv.SIZE - 1 - sum(rows)
        inputs = maps * keep
        keep = keep[:, dropped:]
        hidden = functional.relu(self._convolve(inputs, self.first, rows)) * keep
        keep = keep[:, dropped:]
        common = self._convolve(hidden, self.second, rows) * keep
        return Sharing(common, self.second.weight, self.band, keep, (inputs, hidden), rows)

    def _convolve(self, maps: Tensor, layer: nn.Conv2d, rows: tuple[int, int]) -> Tensor:
        blocks = banded_conv.convolved(banded_conv.padded(maps, rows), layer.weight, self.band)
        return banded_conv.plain(blocks, maps)


class Sharing:
    """A pass of the shared encoder over the modalities of a batch.

    `common` [M, B, N, d] are the modalities' common parts, and `mean` [B, N, d] is their mean.

    Args:
        common: the common parts.
        kernel: the second kernel, [1, 1, 7, 7].
        band: see `model.networks.layers.banded_conv`.
        keep: 0 where `mean` is padding, else 1, [B, N, 1].
        maps: the inputs of the two convolutions, [M, B, R, d].
        rows: number of zero rows that each convolution added before and after.
    """

    def __init__(
        self,
        common: Tensor,
        kernel: Tensor,
        band: Tensor,
        keep: Tensor,
        maps: tuple[Tensor, Tensor],
        rows: tuple[int, int],
    ) -> None:
        self.common, self.mean = common, common.mean(0)
        self._kernel, self._band, self._keep = kernel, band, keep
        self._maps, self._rows = maps, rows

    def gradients(self, losses: Sequence[Tensor]) -> Tensor:
        """The gradients of losses with respect to the shared encoder's parameters, differentiable.

        The result is that of `model.networks.consistency_losses.shared_gradients`, for a fraction
        of the work: autograd differentiates only what lies between `mean` and a loss twice.

        Args:
            losses: scalars that depend on the shared encoder only through `mean`.

        Returns:
            [losses, 98], float32 or better: the first kernel, then the second, row by row. It can
            be differentiated once.
        """
        if not losses:
            return self.mean.new_zeros(0, 2 * banded_conv.SIZE**2)
        slopes = [torch.autograd.grad(loss, self.mean, create_graph=True)[0] for loss in losses]
        exact = torch.promote_types(self.mean.dtype, torch.float32)
        with torch.autocast(self.mean.device.type, enabled=False):
            gradients: Tensor = KernelGradients.apply(  # type: ignore[no-untyped-call]
                *(maps.to(exact) for maps in self._maps),
                torch.stack([slope.to(exact) for slope in slopes]) * self._keep.to(exact),
                self._kernel.to(exact),
                self._band.to(exact),
                self._rows,
            )
        return gradients
