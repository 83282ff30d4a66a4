"""The gradients of losses on the two kernels of GSCon's shared encoder, and their derivatives.

GDC differentiates these gradients again. Autograd would run every convolution three more times for
each loss. But the encoder is linear in each kernel, so the gradients have a closed form.

S are the input maps, A = relu(K1 * S) the hidden maps, and C the mean over the M modalities of
K2 * A. The slope of a loss is G = dL/dC. corr is the adjoint of a convolution in its kernel, K^T
the adjoint in its map, and [A > 0] a mask:

    dL/dK2 = corr(mean A, G)
    dL/dK1 = mean over modalities of corr(S, [A > 0] U)    with U = K2^T G

Shapes: L losses, M modalities, B conversations, d width; R input rows, H hidden rows and N output
rows. All three are equal or, for the last position alone, 13, 7 and 1.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gscon_live.model.networks.layers import banded_conv


class KernelGradients(torch.autograd.Function):
    """The gradients [L, 98] of L losses on both kernels; can be differentiated once.

    Args:
        inputs: S, [M, B, R, d].
        hidden: A, [M, B, H, d].
        slopes: G, [L, B, N, d], zero on padding.
        second: K2, [1, 1, 7, 7].
        band: see `model.networks.layers.banded_conv`.
        rows: number of zero rows that each convolution adds before and after its input.
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        hidden: Tensor,
        slopes: Tensor,
        second: Tensor,
        band: Tensor,
        rows: tuple[int, int],
    ) -> Tensor:
        losses, modalities = len(slopes), len(inputs)
        # The adjoint in the map is a convolution with the flipped kernel and the opposite padding.
        adjoint_rows = (banded_conv.SIZE - 1 - rows[0], banded_conv.SIZE - 1 - rows[1])
        mean_hidden, active = hidden.mean(0), hidden.sign()
        padded_slopes = banded_conv.padded(slopes, adjoint_rows)
        hidden_slopes = banded_conv.plain(
            banded_conv.convolved(padded_slopes, _flipped(second), band), slopes
        )
        hidden_slopes = _losses_as_maps(banded_conv.padded(hidden_slopes, adjoint_rows), losses)
        # The mask is repeated for every loss: products that broadcast short rows are slow.
        mask = torch.cat([banded_conv.padded(active, adjoint_rows)] * losses, -2)
        masked_slopes = (_split_first(mask, modalities) * hidden_slopes).flatten(0, 1)
        padded_slopes = _losses_as_maps(padded_slopes, losses)
        first_gradient = banded_conv.correlated(masked_slopes, banded_conv.blocked(inputs), band)
        second_gradient = banded_conv.correlated(
            padded_slopes, banded_conv.blocked(mean_hidden), band
        )
        ctx.save_for_backward(
            inputs, mean_hidden, active, slopes, second, band, masked_slopes, padded_slopes
        )
        ctx.rows = rows
        return torch.cat(
            [_flipped(first_gradient) / modalities, _flipped(second_gradient)], 2
        ).flatten(2)[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        with torch.autocast(upstream.device.type, enabled=False):
            return *_derivatives(upstream, ctx.rows, *ctx.saved_tensors), None, None


def _derivatives(
    upstream: Tensor,
    rows: tuple[int, int],
    inputs: Tensor,
    mean_hidden: Tensor,
    active: Tensor,
    slopes: Tensor,
    second: Tensor,
    band: Tensor,
    masked_slopes: Tensor,
    padded_slopes: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients of the sum of `upstream` [L, 98] times the kernel gradients, with respect to S,
    A, G and K2."""
    losses, modalities = len(slopes), len(inputs)
    directions = upstream.reshape(1, losses, 2, banded_conv.SIZE, banded_conv.SIZE)
    first_direction, second_direction = directions.unbind(2)
    grad_inputs = banded_conv.convolved(masked_slopes, _flipped(first_direction) / modalities, band)
    grad_hidden = banded_conv.convolved(
        padded_slopes, _flipped(second_direction) / modalities, band
    )
    # The change of the mean of A when K1 moves in the upstream direction of each loss.
    hidden_change = banded_conv.convolved(
        banded_conv.padded(inputs, rows), first_direction.transpose(0, 1), band
    )
    hidden_change = hidden_change * torch.cat([banded_conv.blocked(active)] * losses, -2)
    hidden_change = torch.cat(_split_first(hidden_change, modalities).mean(0).chunk(losses, -2))
    hidden_change = banded_conv.padded(banded_conv.plain(hidden_change, slopes), rows)
    grad_second = banded_conv.correlated(hidden_change, banded_conv.blocked(slopes), band)
    grad_slopes = banded_conv.convolved(hidden_change, second, band)
    second_change = banded_conv.convolved(
        banded_conv.padded(mean_hidden, rows), second_direction.transpose(0, 1), band
    )
    grad_slopes = grad_slopes + torch.cat(second_change.chunk(losses, -2))
    return (
        banded_conv.plain(grad_inputs, inputs),
        banded_conv.plain(grad_hidden, mean_hidden).expand(modalities, *mean_hidden.shape),
        banded_conv.plain(grad_slopes, slopes),
        grad_second,
    )


def _flipped(kernels: Tensor) -> Tensor:
    return kernels.flip(-2, -1)


def _split_first(maps: Tensor, count: int) -> Tensor:
    """Splits the first dimension in two, of which the first is `count`."""
    return maps.reshape(count, -1, *maps.shape[1:])


def _losses_as_maps(maps: Tensor, losses: int) -> Tensor:
    """The maps of the losses [L * B, ..., 1, 8] as parallel maps, [B, ..., L, 8]."""
    return torch.cat(maps.chunk(losses), -2)
