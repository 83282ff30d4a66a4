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
        self.heads, self.reach = a.heads, a.reach
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

    def forward(self, state: Tensor, seen: Tensor) -> Tensor:
        batch, count, width = state.shape
        split = self.query_key_value(self.norm_attention(state))
        query, key, value = split.view(batch, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        place = torch.arange(count, device=state.device)
        apart = (place[:, None] - place).clamp(-self.reach, self.reach) + self.reach
        bias = self.distance[:, apart].masked_fill(~seen[:, None], float("-inf"))
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        state = state + self.drop(self.out(mixed.transpose(1, 2).reshape(batch, count, width)))
        fed: Tensor = self.drop(self.feed(self.norm_feed(state)))
        return state + fed


class Stack(nn.Module):
    """Transformer layers over the utterances of a conversation, and a norm. `model.incremental`
    has the same for one utterance after the other."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.memory, self.reach = a.memory, a.reach
        self.layers = nn.ModuleList([Layer(a) for _ in range(a.layers)])
        self.norm = nn.LayerNorm(a.width)

    def forward(self, state: Tensor, seen: Tensor) -> Tensor:
        """Of [B, N, d]; `seen` [B, N, N] tells which utterances [key] each [query] may use, see
        `visible`."""
        for layer in self.layers:
            state = layer(state, seen)
        normed: Tensor = self.norm(state)
        return normed

    @property
    def each(self) -> list[Layer]:
        """The layers."""
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


class DirectHead(nn.Module):
    """Answers from the text features that were made for it, beside all other modalities' features,
    by themselves: such vectors already know the conversation. They also know the training labels:
    so half of them are dropped.
    """

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.count = a.direct
        dropout = max(a.dropout, 0.5)
        inside = a.direct + sum(dim for m, dim in a.dims.items() if m != "text")
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(inside, 4 * a.width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4 * a.width, a.classes),
        )

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """Logits [B, N, C]; of the features, standardised and zero where missing."""
        own = features["text"][..., -self.count :]
        others = [x for m, x in features.items() if m != "text"]
        logits: Tensor = self.layers(torch.cat([own, *others], -1))
        return logits


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
