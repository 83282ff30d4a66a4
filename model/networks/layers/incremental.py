"""Transformer layers one utterance at a time, with the answers of
`model.networks.layers.blocks.TransformerStack`.

For a single utterance the number of operations costs more than their size. So stacks of one size
go through them together, and what does not depend on the utterance is prepared at the start.

Shapes: M stacks, d width, h heads of attention.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.networks.layers.blocks import TransformerLayer, TransformerStack


class LinearMaps(NamedTuple):
    """Linear maps side by side: `weight` [M, inside, outside] and `bias` [M, 1, outside]."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Of [M, 1, inside]."""
        return torch.baddbmm(self.bias, x, self.weight)


@dataclass(frozen=True)
class PreparedLayer:
    """One layer of all stacks: its four maps, and the biases of attention [M, h, 1, memory]."""

    query_key_value: LinearMaps
    out: LinearMaps
    grow: LinearMaps
    shrink: LinearMaps
    bias: Tensor


@dataclass(frozen=True)
class Past:
    """What is remembered between utterances, and the weights at the start of the conversation.

    `rows[layer]` [M, memory - 1, 2 d] are the keys and values of the utterances before, the last
    one last; zero where there were none. `norm` is the last norm's scale and shift, [2, M, 1, d].
    """

    layers: tuple[PreparedLayer, ...]
    rows: tuple[Tensor, ...]
    norm: Tensor


def start(stacks: Sequence[TransformerStack]) -> Past:
    """No utterance yet."""
    first, norms = stacks[0], [stack.norm for stack in stacks]
    layers = zip(*(stack.transformer_layers for stack in stacks), strict=True)
    prepared = tuple(_prepared(side_by_side, first.memory, first.reach) for side_by_side in layers)
    norm = torch.stack([torch.stack([one.weight, one.bias]) for one in norms], 1)[:, :, None]
    width = norm.shape[-1]
    nothing = norm.new_zeros(len(stacks), first.memory - 1, 2 * width)
    return Past(prepared, (nothing,) * len(prepared), norm.detach())


def step(state: Tensor, past: Past, seen: Tensor) -> tuple[Tensor, Past]:
    """One more utterance [M, 1, d], and the past with it.

    `seen` bool [memory] tells which of the last utterances there were, itself included.
    """
    width = state.shape[-1]
    hidden = torch.zeros_like(seen, dtype=state.dtype).masked_fill(~seen, float("-inf"))
    kept = []
    for layer, before in zip(past.layers, past.rows, strict=True):
        made = layer.query_key_value(_normed(state))
        # Whole rows are put together before they are taken apart: several times faster.
        rows = torch.cat([before, made[..., width:]], 1)
        kept.append(rows[:, 1:])
        heads = layer.bias.shape[1]
        query, key, value = (
            x.view(*x.shape[:2], heads, -1).transpose(1, 2)
            for x in (made[..., :width], rows[..., :width], rows[..., width:])
        )
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=layer.bias + hidden
        )
        state = state + layer.out(mixed.transpose(1, 2).flatten(2))
        state = state + layer.shrink(layer.grow(_normed(state)).relu())
    scale, shift = past.norm
    return torch.addcmul(shift, _normed(state), scale), replace(past, rows=tuple(kept))


def _normed(state: Tensor) -> Tensor:
    return functional.layer_norm(state, state.shape[-1:])


def _prepared(layers: Sequence[TransformerLayer], memory: int, reach: int) -> PreparedLayer:
    apart = torch.arange(memory - 1, -1, -1).clamp(max=reach) + reach
    return PreparedLayer(
        _side_by_side([(one.query_key_value, one.norm_attention) for one in layers]),
        _side_by_side([(one.out, None) for one in layers]),
        _side_by_side([(one.feed[0], one.norm_feed) for one in layers]),
        _side_by_side([(one.feed[-1], None) for one in layers]),
        torch.stack([one.distance.detach()[:, None, apart] for one in layers]),
    )


def _side_by_side(given: Sequence[tuple[nn.Module, nn.LayerNorm | None]]) -> LinearMaps:
    """Linear maps, each with the scale and shift of the norm before it taken in."""
    weights, biases = [], []
    for linear, norm in given:
        assert isinstance(linear, nn.Linear)
        weight, bias = linear.weight.detach(), linear.bias.detach()
        if norm is not None:
            weight, bias = weight * norm.weight.detach(), bias + weight @ norm.bias.detach()
        weights.append(weight.T)
        biases.append(bias[None])
    return LinearMaps(torch.stack(weights), torch.stack(biases))
