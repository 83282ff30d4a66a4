"""The shared encoder of GSCon: what the modalities have in common.

Shapes: M modalities, B conversations or windows, N utterances, d width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.networks.layers import banded_conv
from gscon_live.model.networks.layers.shared_gradients import KernelGradients


class SharedEncoder(nn.Module):
    """The common part: two 7x7 convolutions over the map of utterances by features.

    The only parameters that the modalities share, 98 scalars (theta_c). Unless `both_sides`, the
    map is padded on the side of the past: an utterance's common part depends on itself and the
    twelve before it.
    """

    #: How far back a common part reaches: six utterances for each convolution.
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
        [B, N]; with `last`, only that of the last utterance, [B, 1, d]."""
        return self.encode([state], valid, last).common[0]

    def encode(self, states: Sequence[Tensor], valid: Tensor, last: bool = False) -> "Sharing":
        """One pass over all modalities: a state [B, N, d] for each; otherwise like `forward`."""
        if last and self.both_sides:
            raise ValueError("with both sides in view, no place is last")
        maps, rows = torch.stack(list(states)), self.rows
        if last:
            # Of 13 rows the first convolution gives 7, and of those the second one gives 1.
            seen = min(valid.shape[1], self.PAST + 1)
            before = (self.PAST + 1 - seen, 0)
            maps = functional.pad(maps[:, :, -seen:], (0, 0, *before))
            valid, rows = functional.pad(valid[:, -seen:], before), (0, 0)
        keep = valid[..., None].to(maps.dtype)
        fewer = banded_conv.SIZE - 1 - sum(rows)
        read = maps * keep
        keep = keep[:, fewer:]
        hidden = functional.relu(self._convolved(read, self.first, rows)) * keep
        keep = keep[:, fewer:]
        each = self._convolved(hidden, self.second, rows) * keep
        return Sharing(each, self.second.weight, self.band, keep, (read, hidden), rows)

    def _convolved(self, maps: Tensor, layer: nn.Conv2d, rows: tuple[int, int]) -> Tensor:
        made = banded_conv.convolved(banded_conv.padded(maps, rows), layer.weight, self.band)
        return banded_conv.plain(made, maps)


class Sharing:
    """A pass of the shared encoder over the modalities of a batch.

    `each` [M, B, N, d] are the modalities' common parts, and `mean` [B, N, d] is their mean.

    Args:
        each: see there.
        kernel: the second kernel, [1, 1, 7, 7].
        band: the encoder's, see `model.networks.layers.banded_conv`.
        keep: 1 or 0, what of `mean` is not padding, [B, N, 1].
        maps: what each of the two convolutions read, [M, B, R, d].
        rows: how many rows of zeros either one put before and after.
    """

    def __init__(
        self,
        each: Tensor,
        kernel: Tensor,
        band: Tensor,
        keep: Tensor,
        maps: tuple[Tensor, Tensor],
        rows: tuple[int, int],
    ) -> None:
        self.common, self.mean = each, each.mean(0)
        self._kernel, self._band, self._keep = kernel, band, keep
        self._maps, self._rows = maps, rows

    def gradients(self, losses: Sequence[Tensor]) -> Tensor:
        """The gradients of losses with respect to the shared encoder's parameters, differentiable.

        The result is that of `model.networks.consistency_losses.shared_gradients`, for a fraction
        of the work: autograd differentiates only what lies between `mean` and a loss twice.

        Args:
            losses: scalars that use the shared encoder through `mean` and in no other way.

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
