"""What networks are made of: projections of features, transformer layers over utterances, heads.

Shapes: B conversations, N utterances, d width, h heads of attention.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.architecture import Architecture


class Standardise(nn.Module):
    """Feature normalisation with the training set's mean and deviation, part of the checkpoint."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("deviation", torch.ones(dim))

    def forward(self, features: Tensor) -> Tensor:
        # A microphone unlike those of the corpora gives values far outside; they shall not shout.
        return ((features - self.mean) / self.deviation).clamp(-4, 4)


class Projection(nn.Module):
    """Features [B, N, dim] to [B, N, d], with a learned vector in place of missing ones."""

    def __init__(self, a: Architecture, dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(dim, a.width)
        self.absence = nn.Parameter(torch.randn(a.width) * 0.1)
        self.drop_features = nn.Dropout(a.dropout)

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        projected = self.project(self.drop_features(features))
        return torch.where(present[..., None], projected, self.absence)


class Layer(nn.Module):
    """A pre-norm transformer layer whose attention has a learned bias for each distance."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.heads, self.memory = a.heads, a.memory
        self.norm_attention, self.norm_feed = nn.LayerNorm(a.width), nn.LayerNorm(a.width)
        self.query_key_value = nn.Linear(a.width, 3 * a.width)
        self.out = nn.Linear(a.width, a.width)
        self.distance = nn.Parameter(torch.zeros(a.heads, 2 * a.reach + 1))
        self.feed = nn.Sequential(
            nn.Linear(a.width, 4 * a.width),
            nn.ReLU(),
            nn.Dropout(a.dropout),
            nn.Linear(4 * a.width, a.width),
        )
        self.drop = nn.Dropout(a.dropout)

    def forward(self, state: Tensor, apart: Tensor, seen: Tensor) -> Tensor:
        """Of [B, N, d]; `apart` [N, N] are distances, clamped, counted from 0; `seen` [B, N, N]
        tells which utterances [key] each [query] may use."""
        query, key, value = self._query_key_value(state).chunk(3, -1)
        return self._mix(state, query, key, value, apart, seen)

    def start(self) -> Tensor:
        """No utterance yet: keys and values [1, memory - 1, 2 d] of nothing."""
        return self.out.weight.new_zeros(1, self.memory - 1, 2 * self.out.in_features)

    def step(
        self, state: Tensor, past: Tensor, apart: Tensor, seen: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Of one more utterance [1, 1, d], and the keys and values with it.

        `past` [1, memory - 1, 2 d] are the keys and values of the utterances before, the last one
        last; `seen` bool [1, 1, memory] tells which of them there were, itself included.
        """
        width = state.shape[-1]
        made = self._query_key_value(state)
        # Whole rows are put together before they are taken apart: several times faster.
        rows = torch.cat([past, made[..., width:]], 1)
        key, value = rows.chunk(2, -1)
        return self._mix(state, made[..., :width], key, value, apart, seen), rows[:, 1:]

    def _query_key_value(self, state: Tensor) -> Tensor:
        made: Tensor = self.query_key_value(self.norm_attention(state))
        return made

    def _mix(
        self, state: Tensor, query: Tensor, key: Tensor, value: Tensor, apart: Tensor, seen: Tensor
    ) -> Tensor:
        query, key, value = (
            x.view(*x.shape[:2], self.heads, -1).transpose(1, 2) for x in (query, key, value)
        )
        bias = self.distance[:, apart].masked_fill(~seen[:, None], float("-inf"))
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        state = state + self.drop(self.out(mixed.transpose(1, 2).flatten(2)))
        fed: Tensor = self.drop(self.feed(self.norm_feed(state)))
        return state + fed


class Stack(nn.Module):
    """Transformer layers over the utterances of a conversation, and a norm."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.reach, self.memory = a.reach, a.memory
        self.layers = nn.ModuleList([Layer(a) for _ in range(a.layers)])
        self.norm = nn.LayerNorm(a.width)

    def forward(self, state: Tensor, seen: Tensor) -> Tensor:
        """Of [B, N, d]; `seen` [B, N, N] as `visible` gives it."""
        place = torch.arange(state.shape[1], device=state.device)
        apart = self._clamped(place[:, None] - place)
        for layer in self._layers():
            state = layer(state, apart, seen)
        normed: Tensor = self.norm(state)
        return normed

    def start(self) -> tuple[Tensor, ...]:
        """No utterance yet: the past of each layer."""
        return tuple(layer.start() for layer in self._layers())

    def step(
        self, state: Tensor, past: tuple[Tensor, ...], seen: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Of one more utterance [1, 1, d]: see `Layer.step`."""
        apart = self._clamped(torch.arange(self.memory - 1, -1, -1, device=state.device)[None])
        now = []
        for layer, before in zip(self._layers(), past, strict=True):
            state, after = layer.step(state, before, apart, seen)
            now.append(after)
        return self.norm(state), tuple(now)

    def _clamped(self, apart: Tensor) -> Tensor:
        return apart.clamp(-self.reach, self.reach) + self.reach

    def _layers(self) -> list[Layer]:
        return cast(list[Layer], list(self.layers))


def visible(a: Architecture, valid: Tensor) -> Tensor:
    """Which utterances [key] each utterance [query] may use, bool [B, N, N]: in mode `full` all,
    in `buffer` itself and all before, in `causal` itself and the `memory - 1` before."""
    count = valid.shape[1]
    seen = valid[:, None, :].expand(-1, count, -1)
    every = torch.ones(count, count, dtype=torch.bool, device=valid.device)
    if a.mode != "full":
        seen = seen & every.tril()
    if a.mode == "causal":
        seen = seen & every.triu(1 - a.memory)
    # Padding attends to itself: a softmax over nothing would be NaN.
    return seen | torch.eye(count, dtype=torch.bool, device=valid.device)


def speaker_vectors(a: Architecture) -> nn.Embedding:
    """A learned vector [d] for each speaker."""
    made = nn.Embedding(a.speakers, a.width)
    nn.init.normal_(made.weight, std=0.1)
    return made


def head(inside: int, a: Architecture, squash: bool = False) -> nn.Sequential:
    """Two linear layers and the logits; with `squash`, a sigmoid before the last."""
    return nn.Sequential(
        nn.Linear(inside, a.width),
        nn.ReLU(),
        nn.Dropout(a.dropout),
        nn.Linear(a.width, a.width),
        nn.Sigmoid() if squash else nn.Identity(),
        nn.Linear(a.width, a.classes),
    )
