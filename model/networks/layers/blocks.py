"""What networks are made of: projections of features, transformer layers over utterances, heads.

Shapes: B conversations, N utterances, d width, h heads of attention.
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.networks.architecture import Architecture


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


def attended(query: Tensor, rows: Tensor, distance: Tensor, seen: Tensor) -> Tensor:
    """Attention over utterances with a learned bias for each distance.

    Args:
        query: [B, Q, d], of the last Q of the K utterances.
        rows: keys and values side by side, [B, K, 2 d].
        distance: the biases, [h, 2 reach + 1]: from `reach` before to `reach` after.
        seen: which utterances [key] each [query] may use, bool [B, Q, K].

    Returns:
        [B, Q, d].
    """
    (batch, asked, width), count, heads = query.shape, rows.shape[1], len(distance)
    key, value = rows.view(batch, count, 2, heads, -1).permute(2, 0, 3, 1, 4)
    reach, place = distance.shape[1] // 2, torch.arange(count, device=query.device)
    apart = (place[count - asked :, None] - place).clamp(-reach, reach) + reach
    bias = distance[:, apart].masked_fill(~seen[:, None], float("-inf"))
    split = query.view(batch, asked, heads, -1).transpose(1, 2)
    mixed = functional.scaled_dot_product_attention(split, key, value, attn_mask=bias)
    return mixed.transpose(1, 2).reshape(batch, asked, width)


def feed_forward(a: Architecture) -> nn.Sequential:
    """The part of a transformer's layer that takes each utterance by itself."""
    return nn.Sequential(
        nn.Linear(a.width, 4 * a.width),
        nn.ReLU(),
        nn.Dropout(a.dropout),
        nn.Linear(4 * a.width, a.width),
    )


class TransformerLayer(nn.Module):
    """A pre-norm transformer layer whose attention has a learned bias for each distance."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.norm_attention, self.norm_feed = nn.LayerNorm(a.width), nn.LayerNorm(a.width)
        self.query_key_value = nn.Linear(a.width, 3 * a.width)
        self.out = nn.Linear(a.width, a.width)
        self.distance = nn.Parameter(torch.zeros(a.heads, 2 * a.reach + 1))
        self.feed = feed_forward(a)
        self.drop = nn.Dropout(a.dropout)

    def forward(self, state: Tensor, seen: Tensor) -> Tensor:
        query, rows = self.query_key_value(self.norm_attention(state)).split(
            [state.shape[-1], 2 * state.shape[-1]], -1
        )
        mixed = attended(query, rows, self.distance, seen)
        state = state + self.drop(self.out(mixed))
        fed: Tensor = self.drop(self.feed(self.norm_feed(state)))
        return state + fed


class TransformerStack(nn.Module):
    """Transformer layers over the utterances of a conversation, and a norm.
    `model.networks.layers.incremental` has the same for one utterance after the other."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.memory, self.reach = a.memory, a.reach
        self.layers = nn.ModuleList([TransformerLayer(a) for _ in range(a.layers)])
        self.norm = nn.LayerNorm(a.width)

    def forward(self, state: Tensor, seen: Tensor) -> Tensor:
        """Of [B, N, d]; `seen` [B, N, N] tells which utterances [key] each [query] may use, see
        `visible`."""
        for layer in self.layers:
            state = layer(state, seen)
        normed: Tensor = self.norm(state)
        return normed

    @property
    def transformer_layers(self) -> list[TransformerLayer]:
        """The layers."""
        return cast(list[TransformerLayer], list(self.layers))


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


class Fused(NamedTuple):
    """What a classifier's last layer reads, [B, N, d], and its logits [B, N, C]."""

    state: Tensor
    logits: Tensor


def classified(layers: nn.Sequential, given: Tensor) -> Fused:
    """The last two outputs of a classifier's layers."""
    *inner, last = layers
    for layer in inner:
        given = layer(given)
    return Fused(given, last(given))


class Projector(nn.Module):
    """A shared encoder for networks that have none: two layers, the same for all modalities, on
    what is made of each. Each modality's own opinion also reads the mean of these common parts."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.common = nn.Sequential(
            nn.Linear(a.width, a.width), nn.ReLU(), nn.Linear(a.width, a.width)
        )
        self.heads = nn.ModuleDict(
            {m: nn.Linear(a.width, a.classes, bias=False) for m in a.modalities}
        )

    def forward(
        self, encoded: dict[str, Tensor], specific: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The common parts [B, N, d], and the opinions [B, N, C] that also read them."""
        shared = {m: self.common(x) for m, x in encoded.items()}
        mean = torch.stack(list(shared.values())).mean(0)
        return shared, {m: x + self.heads[m](mean) for m, x in specific.items()}


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
