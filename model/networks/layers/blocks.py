"""Parts of networks: projections of features, transformer layers over utterances, heads.

Shapes: B conversations, N utterances, d width, h heads of attention.
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.conversations import Conversations
from gscon_live.model.networks.architecture import Architecture


class Standardise(nn.Module):
    """Standardises features by the training set's mean and deviation, which are part of the
    checkpoint."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("deviation", torch.ones(dim))

    def forward(self, features: Tensor) -> Tensor:
        # Clipped: an unfamiliar microphone gives extreme values, which must not dominate.
        return ((features - self.mean) / self.deviation).clamp(-4, 4)


class Projection(nn.Module):
    """Projects features [B, N, dim] to [B, N, d]; a learned vector replaces missing ones."""

    def __init__(self, a: Architecture, dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(dim, a.width)
        self.absence = nn.Parameter(torch.randn(a.width) * 0.1)
        self.drop_features = nn.Dropout(a.dropout)

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        projected = self.project(self.drop_features(features))
        return torch.where(present[..., None], projected, self.absence)


def attend(query: Tensor, rows: Tensor, bias_table: Tensor, mask: Tensor) -> Tensor:
    """Multi-head attention over utterances with a learned bias for each distance.

    Args:
        query: [B, Q, d], of the last Q of the K utterances.
        rows: keys and values side by side, [B, K, 2 d].
        bias_table: biases [h, 2 reach + 1], from `reach` utterances before to `reach` after.
        mask: which utterances [key] each [query] may attend to, bool [B, Q, K].

    Returns:
        [B, Q, d].
    """
    (batch, query_count, width), count, heads = query.shape, rows.shape[1], len(bias_table)
    key, value = rows.view(batch, count, 2, heads, -1).permute(2, 0, 3, 1, 4)
    reach, position = bias_table.shape[1] // 2, torch.arange(count, device=query.device)
    distance_index = (position[count - query_count :, None] - position).clamp(-reach, reach) + reach
    bias = bias_table[:, distance_index].masked_fill(~mask[:, None], float("-inf"))
    queries = query.view(batch, query_count, heads, -1).transpose(1, 2)
    output = functional.scaled_dot_product_attention(queries, key, value, attn_mask=bias)
    return output.transpose(1, 2).reshape(batch, query_count, width)


def feed_forward(a: Architecture) -> nn.Sequential:
    """The feed-forward part of a transformer layer, for each utterance on its own."""
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

    def forward(self, state: Tensor, mask: Tensor) -> Tensor:
        query, rows = self.query_key_value(self.norm_attention(state)).split(
            [state.shape[-1], 2 * state.shape[-1]], -1
        )
        attended = attend(query, rows, self.distance, mask)
        state = state + self.drop(self.out(attended))
        update: Tensor = self.drop(self.feed(self.norm_feed(state)))
        return state + update


class TransformerStack(nn.Module):
    """Transformer layers over the utterances of a conversation, and a final layer norm.
    `model.networks.layers.incremental` computes the same one utterance at a time."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.memory, self.reach = a.memory, a.reach
        self.layers = nn.ModuleList([TransformerLayer(a) for _ in range(a.layers)])
        self.norm = nn.LayerNorm(a.width)

    def forward(self, state: Tensor, mask: Tensor) -> Tensor:
        """States [B, N, d] to [B, N, d]; for `mask` bool [B, N, N] see `visible`."""
        for layer in self.layers:
            state = layer(state, mask)
        normed: Tensor = self.norm(state)
        return normed

    @property
    def transformer_layers(self) -> list[TransformerLayer]:
        """The layers, typed."""
        return cast(list[TransformerLayer], list(self.layers))


def visible(a: Architecture, valid: Tensor) -> Tensor:
    """The attention mask, bool [B, N, N]: which utterances [key] each utterance [query] may attend
    to. In mode `full` all; in `buffer` itself and all earlier ones; in `causal` itself and the
    `memory - 1` earlier ones."""
    count = valid.shape[1]
    mask = valid[:, None, :].expand(-1, count, -1)
    all_pairs = torch.ones(count, count, dtype=torch.bool, device=valid.device)
    if a.mode != "full":
        mask = mask & all_pairs.tril()
    if a.mode == "causal":
        mask = mask & all_pairs.triu(1 - a.memory)
    # Padding attends to itself: a softmax over nothing would be NaN.
    return mask | torch.eye(count, dtype=torch.bool, device=valid.device)


def speaker_vectors(a: Architecture) -> nn.Embedding:
    """A learned vector [d] for each speaker."""
    embedding = nn.Embedding(a.speakers, a.width)
    nn.init.normal_(embedding.weight, std=0.1)
    return embedding


class DirectHead(nn.Module):
    """A classifier on the text encoder's features in context and the other modalities' features.

    It reads each utterance on its own, since these text features already have the context. The text
    encoder was trained on the same labels, so the dropout rate is at least one half.
    """

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.count = a.direct
        dropout = max(a.dropout, 0.5)
        input_dim = a.direct + sum(dim for m, dim in a.dims.items() if m != "text")
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(input_dim, 4 * a.width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4 * a.width, a.classes),
        )

    def forward(self, batch: Conversations) -> Tensor:
        """Logits [B, N, C] of features that are standardised, and zero where missing."""
        text = batch.features["text"][..., -self.count :]
        others = [x for m, x in batch.features.items() if m != "text"]
        logits: Tensor = self.layers(torch.cat([text, *others], -1))
        return logits


class OwnAnswers(nn.Module):
    """The text encoder's own answers, which are among the features: from words and voice where
    there is a voice, else from words alone. It has no weights."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.count = a.direct
        self._voice = a.modalities.index("audio") if "audio" in a.modalities else None

    def forward(self, batch: Conversations) -> Tensor:
        """Log-probabilities [B, N, C]."""
        voiced, words = batch.features["text"][..., -self.count :].chunk(2, -1)
        if self._voice is None:
            return words
        return voiced.where(batch.present[..., self._voice, None], words)


class Fused(NamedTuple):
    """The input of a classifier's last layer, [B, N, d], and its logits [B, N, C]."""

    state: Tensor
    logits: Tensor


def classified(layers: nn.Sequential, hidden: Tensor) -> Fused:
    """Applies a classifier: the input of its last layer, and the logits."""
    *inner, last = layers
    for layer in inner:
        hidden = layer(hidden)
    return Fused(hidden, last(hidden))


class Projector(nn.Module):
    """A shared encoder for networks that have none: two layers, the same for all modalities, on
    each modality's representation. Each modality's head also reads the mean of the common parts."""

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
        """The common parts [B, N, d], and the modalities' logits [B, N, C] that also read them."""
        shared = {m: self.common(x) for m, x in encoded.items()}
        mean = torch.stack(list(shared.values())).mean(0)
        return shared, {m: x + self.heads[m](mean) for m, x in specific.items()}


def head(dim: int, a: Architecture, squash: bool = False) -> nn.Sequential:
    """A classifier of three linear layers; with `squash`, a sigmoid before the last."""
    return nn.Sequential(
        nn.Linear(dim, a.width),
        nn.ReLU(),
        nn.Dropout(a.dropout),
        nn.Linear(a.width, a.width),
        nn.Sigmoid() if squash else nn.Identity(),
        nn.Linear(a.width, a.classes),
    )
