"""The gradients of losses on the two kernels of GSCon's shared encoder, and their derivatives.

GDC differentiates these gradients again. Autograd would go through every convolution three more
times for each loss; but all is linear in each kernel, so it can be written down.

With S the maps that are read, A = relu(K1 * S), C the mean over the M modalities of K2 * A, and
the slope G = dL/dC of a loss (corr is the adjoint of a convolution in its kernel, K^T the one in
its map, and [A > 0] a mask):

    dL/dK2 = corr(mean A, G)
    dL/dK1 = mean over modalities of corr(S, [A > 0] U)    with U = K2^T G

Shapes: L losses, M modalities, B conversations, d width; R rows are read, H are hidden and N come
out, as many as are read or, where only the last is asked for, 13, 7 and 1.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gscon_live.model.networks.layers import banded_conv


class KernelGradients(torch.autograd.Function):
    """The gradients [L, 98] of L losses on both kernels; can be differentiated once.

    Args:
        read: S, [M, B, R, d].
        hidden: A, [M, B, H, d].
        slopes: G, [L, B, N, d], zero on padding.
        second: K2, [1, 1, 7, 7].
        band: see `model.networks.layers.banded_conv`.
        rows: how many rows of zeros either convolution puts before and after what it reads.
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
    ) -> Tensor:
        losses, modalities = len(slopes), len(read)
        # An adjoint in the map is a convolution with the kernel turned, and the other padding.
        back = (banded_conv.SIZE - 1 - rows[0], banded_conv.SIZE - 1 - rows[1])
        mixed, alive = hidden.mean(0), hidden.sign()
        around = banded_conv.padded(slopes, back)
        above = banded_conv.plain(banded_conv.convolved(around, _turned(second), band), slopes)
        above = _beside(banded_conv.padded(above, back), losses)
        # The mask is written out for every loss: products of short broadcast rows are slow.
        mask = torch.cat([banded_conv.padded(alive, back)] * losses, -2)
        on_hidden = (_apart(mask, modalities) * above).flatten(0, 1)
        around = _beside(around, losses)
        on_first = banded_conv.correlated(on_hidden, banded_conv.blocked(read), band)
        on_second = banded_conv.correlated(around, banded_conv.blocked(mixed), band)
        ctx.save_for_backward(read, mixed, alive, slopes, second, band, on_hidden, around)
        ctx.rows = rows
        return torch.cat([_turned(on_first) / modalities, _turned(on_second)], 2).flatten(2)[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, wanted: Tensor) -> tuple[Tensor | None, ...]:
        with torch.autocast(wanted.device.type, enabled=False):
            return *_derivatives(wanted, ctx.rows, *ctx.saved_tensors), None, None


def _derivatives(
    wanted: Tensor,
    rows: tuple[int, int],
    read: Tensor,
    mixed: Tensor,
    alive: Tensor,
    slopes: Tensor,
    second: Tensor,
    band: Tensor,
    on_hidden: Tensor,
    around: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The slopes of the sum of `wanted` [L, 98] times the gradients, on S, A, G and K2."""
    losses, modalities = len(slopes), len(read)
    ways = wanted.reshape(1, losses, 2, banded_conv.SIZE, banded_conv.SIZE)
    first_way, second_way = ways.unbind(2)
    to_read = banded_conv.convolved(on_hidden, _turned(first_way) / modalities, band)
    to_hidden = banded_conv.convolved(around, _turned(second_way) / modalities, band)
    # How the mean of A moves when K1 moves in each loss's wanted way.
    moved = banded_conv.convolved(banded_conv.padded(read, rows), first_way.transpose(0, 1), band)
    moved = moved * torch.cat([banded_conv.blocked(alive)] * losses, -2)
    moved = torch.cat(_apart(moved, modalities).mean(0).chunk(losses, -2))
    moved = banded_conv.padded(banded_conv.plain(moved, slopes), rows)
    to_second = banded_conv.correlated(moved, banded_conv.blocked(slopes), band)
    to_slopes = banded_conv.convolved(moved, second, band)
    more = banded_conv.convolved(banded_conv.padded(mixed, rows), second_way.transpose(0, 1), band)
    to_slopes = to_slopes + torch.cat(more.chunk(losses, -2))
    return (
        banded_conv.plain(to_read, read),
        banded_conv.plain(to_hidden, mixed).expand(modalities, *mixed.shape),
        banded_conv.plain(to_slopes, slopes),
        to_second,
    )


def _turned(kernels: Tensor) -> Tensor:
    return kernels.flip(-2, -1)


def _apart(maps: Tensor, count: int) -> Tensor:
    """The first dimension as two, the first of which is `count`."""
    return maps.reshape(count, -1, *maps.shape[1:])


def _beside(maps: Tensor, losses: int) -> Tensor:
    """The losses' maps, [L * B, ..., 1, 8], beside each other: [B, ..., L, 8]."""
    return torch.cat(maps.chunk(losses), -2)
