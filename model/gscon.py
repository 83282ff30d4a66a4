"""GSCon for emotion recognition in conversations.

Each modality is encoded over the conversation; two small convolutions shared by the modalities
give their common part; heads on the specific parts, on the common part and on both answer. The
file reads in that order. The losses that make it GSCon are in `model.consistency`.

Shapes: B conversations or windows, N utterances, d width, C emotions, modalities in the order of
`model.labels.MODALITIES`.
"""

from dataclasses import dataclass
from typing import Literal

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional

from model.labels import EMOTIONS, MODALITIES
from model.shared import SharedEncoder

#: What an utterance may use: all of the conversation, its past, or a window of its past that is
#: recomputed as it moves (the mode that is deployed; see `GSCon`).
Mode = Literal["full", "causal", "buffer"]


class Architecture(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The size of a network: all that is needed to build it.

    `dims` are the lengths of the feature vectors, by modality. `context` is the number of
    utterances in a window, `speakers` how many are told apart in it, `reach` the distance in
    utterances from which on all distances are alike.
    """

    dims: dict[str, int]
    mode: Mode = "buffer"
    context: int = 8
    width: int = 64
    layers: int = 1
    heads: int = 4
    dropout: float = 0.3
    speakers: int = 4
    reach: int = 16
    classes: int = len(EMOTIONS)


@dataclass(frozen=True)
class Conversations:
    """A batch of conversations or windows.

    `features[m]` [B, N, dim of m] (anything where missing); `present` bool [B, N, 3];
    `speakers` int64 [B, N], numbered from 0 in order of appearance; `valid` bool [B, N], false on
    padding, which may stand on either side.
    """

    features: dict[str, Tensor]
    present: Tensor
    speakers: Tensor
    valid: Tensor


@dataclass(frozen=True)
class Answers:
    """Logits [B, N, C] of the six heads, and what lies below them.

    `final` uses all (LVAC) and is the answer; `specific[m]` are the modalities' own opinions,
    `common` that of the shared part, `auxiliary` that of the specific parts together (LVA).
    `encoded[m]` and `shared[m]` are [B, N, d].
    """

    final: Tensor
    auxiliary: Tensor
    common: Tensor
    specific: dict[str, Tensor]
    encoded: dict[str, Tensor]
    shared: dict[str, Tensor]


class GSCon(nn.Module):
    """The network. Outputs depend on nothing but the conversation: not on batch mates or padding.

    In mode `buffer` a window holds the last K utterances, the current one last, and only the
    answer at that place is meant; all others in the window are past. In `full` and `causal` the
    answers at all places are. Position enters as the distance between two utterances, so that
    nothing depends on how long the conversation has been.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        a = architecture
        self.standardise = nn.ModuleDict({m: Standardise(a.dims[m]) for m in MODALITIES})
        self.encode = nn.ModuleDict({m: ModalityEncoder(a, a.dims[m]) for m in MODALITIES})
        self.share = SharedEncoder(both_sides=a.mode == "full")
        self.specific = nn.ModuleDict({m: _head(2 * a.width, a) for m in MODALITIES})
        self.common = _head(a.width, a)
        self.auxiliary = _head(3 * a.width, a, squash=True)
        self.final = _head(4 * a.width, a)

    def forward(self, batch: Conversations, last: bool = False) -> Answers:
        """Logits of all heads.

        With `last`, only the last place is answered (all outputs are [B, 1, ...]): the same
        values, for less work. Not in mode `full`.
        """
        seen = self._seen(batch.valid)
        encoded, shared = {}, {}
        for place, m in enumerate(MODALITIES):
            features = self.standardise[m](batch.features[m])
            encoded[m] = self.encode[m](
                features, batch.present[..., place], batch.speakers, batch.valid, seen
            )
            shared[m] = self.share(encoded[m], batch.valid, last)
            if last:
                encoded[m] = encoded[m][:, -1:]
        common = torch.stack([shared[m] for m in MODALITIES]).mean(0)
        specific = [encoded[m] for m in MODALITIES]
        return Answers(
            final=self.final(torch.cat([*specific, common], -1)),
            auxiliary=self.auxiliary(torch.cat(specific, -1)),
            common=self.common(common),
            specific={m: self.specific[m](torch.cat([encoded[m], common], -1)) for m in MODALITIES},
            encoded=encoded,
            shared=shared,
        )

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """All parameters, by their part in the method: `enc.<modality>`, `shared` (theta_c, the
        98 scalars of the two shared convolutions), `fusion` (the two heads on several modalities
        that answer for them together) and `heads` (the specific and common ones)."""
        return {
            **{f"enc.{m}": list(self.encode[m].parameters()) for m in MODALITIES},
            "shared": list(self.share.parameters()),
            "fusion": [*self.final.parameters(), *self.auxiliary.parameters()],
            "heads": [*self.specific.parameters(), *self.common.parameters()],
        }

    def _seen(self, valid: Tensor) -> Tensor:
        """Which utterances [key] each utterance [query] may use, bool [B, N, N]."""
        count = valid.shape[1]
        seen = valid[:, None, :].expand(-1, count, -1)
        if self.architecture.mode != "full":
            seen = seen & torch.ones(count, count, dtype=torch.bool, device=valid.device).tril()
        # Padding attends to itself: a softmax over nothing would be NaN.
        return seen | torch.eye(count, dtype=torch.bool, device=valid.device)


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


class ModalityEncoder(nn.Module):
    """One modality over the conversation: projection, absence, speaker, transformer; [B, N, d]."""

    def __init__(self, a: Architecture, dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(dim, a.width)
        self.absence = nn.Parameter(torch.randn(a.width) * 0.1)
        self.speaker = nn.Embedding(a.speakers, a.width)
        nn.init.normal_(self.speaker.weight, std=0.1)
        self.drop_features, self.drop = nn.Dropout(a.dropout), nn.Dropout(a.dropout)
        self.layers = nn.ModuleList([Layer(a) for _ in range(a.layers)])
        self.norm = nn.LayerNorm(a.width)

    def forward(
        self, features: Tensor, present: Tensor, speakers: Tensor, valid: Tensor, seen: Tensor
    ) -> Tensor:
        projected = self.project(self.drop_features(features))
        state = torch.where(present[..., None], projected, self.absence)
        state = state + self.speaker(speakers.clamp(max=self.speaker.num_embeddings - 1))
        state = self.drop(state) * valid[..., None]
        for layer in self.layers:
            state = layer(state, seen)
        normed: Tensor = self.norm(state)
        return normed * valid[..., None]


class Layer(nn.Module):
    """A pre-norm transformer layer whose attention has a learned bias for each distance."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.heads, self.reach, self.dropout = a.heads, a.reach, a.dropout
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


def _head(inside: int, a: Architecture, squash: bool = False) -> nn.Sequential:
    """Two linear layers and the answer; the auxiliary head squashes before the last one."""
    return nn.Sequential(
        nn.Linear(inside, a.width),
        nn.ReLU(),
        nn.Dropout(a.dropout),
        nn.Linear(a.width, a.width),
        nn.Sigmoid() if squash else nn.Identity(),
        nn.Linear(a.width, a.classes),
    )
