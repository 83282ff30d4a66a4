"""A 7x7 convolution of one-channel maps, fast on CPUs, with its two adjoints.

Convolutions of one channel leave most of a vector unit idle, and their gradients nearly all of it.
So features are taken in blocks of eight, as channels: seven neighbours on either side of a block's
eight features lie in that block and the next, once the map is moved by three; and the kernel
becomes a band matrix for each of its seven rows. The sums are the same ones.

Shapes: n maps of R rows by D blocks of eight features; k kernels. A `padded` map is
[n, R + 6, D + 1, 8]; what the convolution makes of it is [n, R, D, k, 8].
"""

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_input, conv2d_weight

SIZE = 7
BLOCK = 8
_BEFORE = SIZE // 2


def band() -> Tensor:
    """The places of a kernel's seven columns in a block's weight, 0 or 1, [8 out, 8 in, 2, 7]."""
    out, inside, block, column = torch.meshgrid(
        *[torch.arange(size) for size in (BLOCK, BLOCK, 2, SIZE)], indexing="ij"
    )
    return (BLOCK * block + inside - out == column).to(torch.get_default_dtype())


def padded(maps: Tensor, rows: tuple[int, int]) -> Tensor:
    """Maps [n, rows, features] with zeros around them, in blocks; `rows` before and after."""
    after = BLOCK - _BEFORE + -maps.shape[-1] % BLOCK
    return _in_blocks(functional.pad(maps, (_BEFORE, after, *rows)))


def blocked(maps: Tensor) -> Tensor:
    """Maps [..., features] in blocks [..., D, 8], the last one filled up with zeros."""
    return _in_blocks(functional.pad(maps, (0, -maps.shape[-1] % BLOCK)))


def convolved(maps: Tensor, kernels: Tensor, band: Tensor) -> Tensor:
    """Padded maps [n, R + 6, D + 1, 8] with kernels [k, 7, 7]: [n, R, D, k, 8]."""
    made = functional.conv2d(_channels(maps), _weight(kernels, band))
    return _in_blocks(made.permute(0, 2, 3, 1))


def spread(made: Tensor, kernels: Tensor, band: Tensor) -> Tensor:
    """The adjoint of `convolved` in the maps: [n, R, D, k, 8] to [n, R + 6, D + 1, 8]."""
    count, rows, blocks = made.shape[:3]
    size = [count, BLOCK, rows + SIZE - 1, blocks + 1]
    maps: Tensor = conv2d_input(  # type: ignore[no-untyped-call]
        size, _weight(kernels, band), _channels(made.flatten(-2))
    )
    return maps.permute(0, 2, 3, 1)


def correlated(maps: Tensor, made: Tensor, band: Tensor) -> Tensor:
    """The adjoint of `convolved` in the kernels: [n, R + 6, D + 1, 8] and [n, R, D, k, 8] to
    [k, 7, 7]."""
    size = [made.shape[-2] * BLOCK, BLOCK, SIZE, 2]
    weight: Tensor = conv2d_weight(  # type: ignore[no-untyped-call]
        _channels(maps), size, _channels(made.flatten(-2))
    )
    return torch.einsum("kstrb,stbc->krc", weight.reshape(-1, BLOCK, *weight.shape[1:]), band)


def _in_blocks(features: Tensor) -> Tensor:
    return features.reshape(*features.shape[:-1], -1, BLOCK)


def _channels(blocks: Tensor) -> Tensor:
    """The blocks' features as channels, in front; in memory they stay behind."""
    return blocks.permute(0, 3, 1, 2)


def _weight(kernels: Tensor, band: Tensor) -> Tensor:
    return torch.einsum("krc,stbc->kstrb", kernels, band).flatten(0, 1)
