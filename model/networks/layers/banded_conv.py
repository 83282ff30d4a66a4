"""A 7x7 convolution of one or a few maps that is fast on CPUs, and its adjoints.

A convolution of one channel leaves most of a CPU's vector unit idle, and its gradients nearly all
of it. So each block of eight features becomes eight channels. With the map shifted by three, the
inputs of a block lie in that block and the next one. The kernel becomes a band matrix for each of
its seven rows. The result is the same.

Shapes: n images of R rows by D blocks of eight features; i input maps, o output maps. The input is
`padded`, [n, R + 6, D + 1, i, 8]; the output is [n, R, D, o, 8].
"""

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_weight

SIZE = 7
BLOCK = 8
_HALF = SIZE // 2


def band() -> Tensor:
    """The kernel's seven columns as positions in a block's weight, 0 or 1, [8 out, 8 in, 2, 7]."""
    output, feature, block, column = torch.meshgrid(
        *[torch.arange(size) for size in (BLOCK, BLOCK, 2, SIZE)], indexing="ij"
    )
    return (BLOCK * block + feature - output == column).to(torch.get_default_dtype())


def padded(maps: Tensor, rows: tuple[int, int]) -> Tensor:
    """Zero-pads maps [..., R, features] and cuts them into blocks, [n, R + rows, D + 1, 1, 8].

    Args:
        maps: all leading dimensions together are n.
        rows: number of zero rows before and after.
    """
    right = BLOCK - _HALF + -maps.shape[-1] % BLOCK
    padded_maps = functional.pad(maps, (_HALF, right, *rows))
    return padded_maps.reshape(-1, padded_maps.shape[-2], padded_maps.shape[-1] // BLOCK, 1, BLOCK)


def blocked(maps: Tensor) -> Tensor:
    """Maps [..., R, features] in blocks, [n, R, D, 1, 8], the last one zero-padded."""
    padded_maps = functional.pad(maps, (0, -maps.shape[-1] % BLOCK))
    return padded_maps.reshape(-1, padded_maps.shape[-2], padded_maps.shape[-1] // BLOCK, 1, BLOCK)


def plain(blocks: Tensor, like: Tensor) -> Tensor:
    """Blocks [n, R, D, 1, 8] as maps, with the leading dimensions and features of `like`."""
    return blocks.flatten(2)[..., : like.shape[-1]].reshape(*like.shape[:-2], -1, like.shape[-1])


def convolved(maps: Tensor, kernels: Tensor, band: Tensor) -> Tensor:
    """Convolves padded maps [n, R + 6, D + 1, i, 8] with kernels [o, i, 7, 7]: [n, R, D, o, 8]."""
    weight = torch.einsum("oirc,stbc->ositrb", kernels, band)
    output = functional.conv2d(_channels(maps), weight.flatten(2, 3).flatten(0, 1))
    output = output.permute(0, 2, 3, 1)
    return output.reshape(*output.shape[:3], -1, BLOCK)


def correlated(maps: Tensor, outputs: Tensor, band: Tensor) -> Tensor:
    """The adjoint of `convolved` in the kernels, [o, i, 7, 7].

    Args:
        maps: the padded input, [n, R + 6, D + 1, i, 8].
        outputs: [n, R, D, o, 8].
        band: see `band`.
    """
    maps_in, maps_out = maps.shape[-2], outputs.shape[-2]
    size = [maps_out * BLOCK, maps_in * BLOCK, SIZE, 2]
    weight: Tensor = conv2d_weight(  # type: ignore[no-untyped-call]
        _channels(maps), size, _channels(outputs)
    )
    weight = weight.reshape(maps_out, BLOCK, maps_in, BLOCK, SIZE, 2)
    return torch.einsum("ositrb,stbc->oirc", weight, band)


def _channels(blocks: Tensor) -> Tensor:
    """The contents of the blocks as channels, second dimension; the memory layout stays."""
    return blocks.flatten(3).permute(0, 3, 1, 2)
