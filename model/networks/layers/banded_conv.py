"""A 7x7 convolution of maps, fast on CPUs where the maps are few, and its adjoints.

Convolutions of one channel leave most of a vector unit idle, and their gradients nearly all of it.
So features are taken in blocks of eight, as channels: seven neighbours on either side of a block's
eight features lie in that block and the next, once the map is moved by three; and the kernel
becomes a band matrix for each of its seven rows. The sums are the same ones.

Shapes: n pictures of R rows by D blocks of eight features; i maps beside each other go in, o come
out. What goes in is `padded`: [n, R + 6, D + 1, i, 8]; what comes out is [n, R, D, o, 8].
"""

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_weight

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
    """Maps [..., R, features] with zeros around them, in blocks, [n, R + rows, D + 1, 1, 8].

    Args:
        maps: all leading dimensions together are n.
        rows: of zeros, before and after.
    """
    after = BLOCK - _BEFORE + -maps.shape[-1] % BLOCK
    wide = functional.pad(maps, (_BEFORE, after, *rows))
    return wide.reshape(-1, wide.shape[-2], wide.shape[-1] // BLOCK, 1, BLOCK)


def blocked(maps: Tensor) -> Tensor:
    """Maps [..., R, features] in blocks, [n, R, D, 1, 8], the last one filled up with zeros."""
    wide = functional.pad(maps, (0, -maps.shape[-1] % BLOCK))
    return wide.reshape(-1, wide.shape[-2], wide.shape[-1] // BLOCK, 1, BLOCK)


def plain(blocks: Tensor, like: Tensor) -> Tensor:
    """Blocks [n, R, D, 1, 8] as maps again, with the leading dimensions and features of `like`."""
    return blocks.flatten(2)[..., : like.shape[-1]].reshape(*like.shape[:-2], -1, like.shape[-1])


def convolved(maps: Tensor, kernels: Tensor, band: Tensor) -> Tensor:
    """Padded maps [n, R + 6, D + 1, i, 8] with kernels [o, i, 7, 7]: [n, R, D, o, 8]."""
    weight = torch.einsum("oirc,stbc->ositrb", kernels, band)
    made = functional.conv2d(_channels(maps), weight.flatten(2, 3).flatten(0, 1))
    made = made.permute(0, 2, 3, 1)
    return made.reshape(*made.shape[:3], -1, BLOCK)


def correlated(maps: Tensor, made: Tensor, band: Tensor) -> Tensor:
    """The adjoint of `convolved` in the kernels: of [n, R + 6, D + 1, i, 8] and [n, R, D, o, 8],
    [o, i, 7, 7]."""
    inside, outside = maps.shape[-2], made.shape[-2]
    size = [outside * BLOCK, inside * BLOCK, SIZE, 2]
    weight: Tensor = conv2d_weight(  # type: ignore[no-untyped-call]
        _channels(maps), size, _channels(made)
    )
    weight = weight.reshape(outside, BLOCK, inside, BLOCK, SIZE, 2)
    return torch.einsum("ositrb,stbc->oirc", weight, band)


def _channels(blocks: Tensor) -> Tensor:
    """What stands in the blocks as channels, in front; in memory it stays behind."""
    return blocks.flatten(3).permute(0, 3, 1, 2)
