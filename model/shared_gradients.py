"""The gradients of losses on the two kernels of GSCon's shared encoder, and their derivatives.

GDC differentiates these gradients again. Autograd would go through every convolution three more
times for each loss; but all is linear in each kernel, so it can be written down.

With S the maps that are read, A = relu(K1 * S), C the mean over the M modalities of K2 * A, and
the slope G = dL/dC of a loss (' is the adjoint of a convolution in its map, corr that in its
kernel, and [A > 0] a mask):

    dL/dK2 = corr(mean A, G)
    dL/dK1 = mean over modalities of corr(S, [A > 0] U)    with U = K2' G

Shapes: L losses, B conversations, R rows; maps as in `model.banded`, n = M * B of them.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from model import banded


class KernelGradients(torch.autograd.Function):
    """The gradients [L, 98] of L losses on both kernels; can be differentiated once.

    Args:
        read: S, padded, [n, R + 6, D + 1, 8].
        hidden: A, padded, [n, R' + 6, D + 1, 8].
        slopes: G, [L, B, R', d], zero on padding.
        second: K2, [1, 7, 7].
        band: see `model.banded`.
        rows: how many rows of zeros were put before and after A.
        modalities: M.
    """

    @staticmethod
    def forward(
        ctx: Any,
        read: Tensor,
        hidden: Tensor,
        slopes: Tensor,
        second: Tensor,
        band: Tensor,
        rows: tuple[int, int],
        modalities: int,
    ) -> Tensor:
        losses, width = len(slopes), slopes.shape[-1]
        inside = slice(rows[0], hidden.shape[1] - rows[1])
        slopes = banded.blocked(slopes)
        # The losses' maps stand beside each other, as those of several kernels do.
        above = banded.spread(slopes.flatten(0, 1)[..., None, :], second, band)[:, inside]
        above = _apart(_framed(above, width), losses).movedim(0, -2)
        mask = (_framed(hidden[:, inside], width) > 0).to(above.dtype)
        # Written out for every loss, since products of short broadcast rows are slow.
        mask = _apart(mask, modalities)[..., None, :].expand(-1, *above.shape).contiguous()
        mixed = _apart(hidden, modalities).mean(0)
        on_first = banded.correlated(read, (above * mask).flatten(0, 1), band) / modalities
        on_second = banded.correlated(mixed, slopes.movedim(0, -2), band)
        ctx.save_for_backward(read, mixed, slopes, second, band, above, mask)
        ctx.rows, ctx.width = rows, width
        return torch.cat([on_first.flatten(1), on_second.flatten(1)], 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, wanted: Tensor) -> tuple[Tensor | None, ...]:
        read, mixed, slopes, second, band, above, mask = ctx.saved_tensors
        losses, modalities = len(slopes), len(mask)
        ways = wanted.reshape(losses, 2, banded.SIZE, banded.SIZE)
        to_read = banded.spread((above * mask).flatten(0, 1), ways[:, 0] / modalities, band)
        # How the mean of A moves when K1 moves in each loss's wanted way.
        moved = (_apart(banded.convolved(read, ways[:, 0], band), modalities) * mask).mean(0)
        moved = moved.movedim(-2, 0).flatten(0, 1).flatten(2)[..., : ctx.width]
        moved = banded.padded(moved, ctx.rows)
        to_slopes = _apart(banded.convolved(moved, second, band)[..., 0, :], losses)
        to_slopes = to_slopes + banded.convolved(mixed, ways[:, 1], band).movedim(-2, 0)
        to_second = banded.correlated(moved, slopes.flatten(0, 1)[..., None, :], band)
        to_hidden = banded.spread(slopes.movedim(0, -2), ways[:, 1] / modalities, band)
        return (
            to_read,
            to_hidden.repeat(modalities, 1, 1, 1),
            to_slopes.flatten(-2)[..., : ctx.width],
            to_second,
            *[None] * 3,
        )


def _apart(maps: Tensor, count: int) -> Tensor:
    """The first dimension as two, the first of which is `count`."""
    return maps.reshape(count, -1, *maps.shape[1:])


def _framed(maps: Tensor, width: int) -> Tensor:
    """Padded maps [n, R, D + 1, 8] without the zeros beside their features: [n, R, D, 8]."""
    before = banded.SIZE // 2
    return banded.blocked(maps.flatten(-2)[..., before : before + width])
