"""Transformer layers one utterance at a time, with the outputs of
`model.networks.layers.blocks.TransformerStack`.

For a single utterance the number of operations matters more than their size. So stacks of the same
size are computed together, and all that does not depend on the utterance is prepared at the start.

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
    """A batch of linear maps: `weight` [M, inside, outside] and `bias` [M, 1, outside]."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """[M, 1, inside] to [M, 1, outside]."""
        return torch.baddbmm(self.bias, x, self.weight)


@dataclass(frozen=True)
class PreparedLayer:
    """One layer of all stacks: its four linear maps, and the attention bias [M, h, 1, memory]."""

    query_key_value: LinearMaps
    out: LinearMaps
    grow: LinearMaps
    shrink: LinearMaps
    bias: Tensor


@dataclass(frozen=True)
class Past:
    """The keys and values of the past utterances, and the prepared weights.

    `rows[layer]` [M, memory - 1, 2 d] are the keys and values, the latest utterance last; zero
    where there was none. `norm` [2, M, 1, d] is scale and shift of the final layer norm.
    """

    layers: tuple[PreparedLayer, ...]
    rows: tuple[Tensor, ...]
    norm: Tensor


def start(stacks: Sequence[TransformerStack]) -> Past:
    """Prepares the weights of stacks of the same size, and the past before the first utterance."""
    first, norm_layers = stacks[0], [stack.norm for stack in stacks]
    layers = zip(*(stack.transformer_layers for stack in stacks), strict=True)
    prepared_layers = tuple(_prepare(level, first.memory, first.reach) for level in layers)
    norm = torch.stack(
        [torch.stack([layer_norm.weight, layer_norm.bias]) for layer_norm in norm_layers], 1
    )[:, :, None]
    width = norm.shape[-1]
    empty = norm.new_zeros(len(stacks), first.memory - 1, 2 * width)
    return Past(prepared_layers, (empty,) * len(prepared_layers), norm.detach())


def step(state: Tensor, past: Past, mask: Tensor) -> tuple[Tensor, Past]:
    """The outputs for the next utterance, [M, 1, d], and the past of the one after it.

    Args:
        state: the utterance, [M, 1, d].
        past: from `start`, or from the previous step.
        mask: which of the last `memory` utterances, the current one included, exist, bool [memory].
    """
    width = state.shape[-1]
    bias = torch.zeros_like(mask, dtype=state.dtype).masked_fill(~mask, float("-inf"))
    new_rows = []
    for layer, past_rows in zip(past.layers, past.rows, strict=True):
        projected = layer.query_key_value(_normalise(state))
        # Keys and values are concatenated together, then split: several times faster.
        rows = torch.cat([past_rows, projected[..., width:]], 1)
        new_rows.append(rows[:, 1:])
        heads = layer.bias.shape[1]
        query, key, value = (
            x.view(*x.shape[:2], heads, -1).transpose(1, 2)
            for x in (projected[..., :width], rows[..., :width], rows[..., width:])
        )
        attended = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=layer.bias + bias
        )
        state = state + layer.out(attended.transpose(1, 2).flatten(2))
        state = state + layer.shrink(layer.grow(_normalise(state)).relu())
    scale, shift = past.norm
    return torch.addcmul(shift, _normalise(state), scale), replace(past, rows=tuple(new_rows))


def _normalise(state: Tensor) -> Tensor:
    return functional.layer_norm(state, state.shape[-1:])


def _prepare(layers: Sequence[TransformerLayer], memory: int, reach: int) -> PreparedLayer:
    distance_index = torch.arange(memory - 1, -1, -1).clamp(max=reach) + reach
    return PreparedLayer(
        _stack_maps([(layer.query_key_value, layer.norm_attention) for layer in layers]),
        _stack_maps([(layer.out, None) for layer in layers]),
        _stack_maps([(layer.feed[0], layer.norm_feed) for layer in layers]),
        _stack_maps([(layer.feed[-1], None) for layer in layers]),
        torch.stack([layer.distance.detach()[:, None, distance_index] for layer in layers]),
    )


def _stack_maps(linear_layers: Sequence[tuple[nn.Module, nn.LayerNorm | None]]) -> LinearMaps:
    """Stacks linear maps, each merged with the scale and shift of the layer norm before it."""
    weights, biases = [], []
    for linear, norm in linear_layers:
        assert isinstance(linear, nn.Linear)
        weight, bias = linear.weight.detach(), linear.bias.detach()
        if norm is not None:
            weight, bias = weight * norm.weight.detach(), bias + weight @ norm.bias.detach()
        weights.append(weight.T)
        biases.append(bias[None])
    return LinearMaps(torch.stack(weights), torch.stack(biases))
