"""GSCon for emotion recognition in conversations.

Each modality is encoded over the conversation; two small convolutions shared by the modalities
give their common part; heads on the specific parts, on the common part and on both answer. The
file reads in that order. The losses that make it GSCon are in `model.consistency`.

Shapes: B conversations or windows, N utterances, d width, C emotions, modalities in the order of
`model.labels.MODALITIES`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.network import Answers, Architecture, Conversations, Network
from model.shared import SharedEncoder


class GSCon(Network):
    """The network: encoders, shared encoder, six heads.

    Position enters as the distance between two utterances, so that nothing depends on how long
    the conversation has been.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        a = architecture
        count = len(a.modalities)
        self.encode = nn.ModuleDict({m: ModalityEncoder(a, a.dims[m]) for m in a.modalities})
        self.share = SharedEncoder(both_sides=a.mode == "full")
        self.specific = nn.ModuleDict({m: _head(2 * a.width, a) for m in a.modalities})
        self.common = _head(a.width, a)
        self.auxiliary = _head(count * a.width, a, squash=True)
        self.final = _head((count + 1) * a.width, a)

    def _answer(self, batch: Conversations, last: bool) -> Answers:
        seen = self._seen(batch.valid)
        encoded, shared = {}, {}
        for place, m in enumerate(self.modalities):
            encoded[m] = self.encode[m](
                batch.features[m], batch.present[..., place], batch.speakers, batch.valid, seen
            )
            shared[m] = self.share(encoded[m], batch.valid, last)
            if last:
                encoded[m] = encoded[m][:, -1:]
        common = torch.stack(list(shared.values())).mean(0)
        specific = list(encoded.values())
        return Answers(
            final=self.final(torch.cat([*specific, common], -1)),
            specific={m: self.specific[m](torch.cat([x, common], -1)) for m, x in encoded.items()},
            encoded=encoded,
            shared=shared,
            common=self.common(common),
            auxiliary=self.auxiliary(torch.cat(specific, -1)),
        )

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """All parameters, by their part in the method: `enc.<modality>`, `shared` (theta_c, the
        98 scalars of the two shared convolutions), `fusion` (the two heads on several modalities
        that answer for them together) and `heads` (the specific and common ones)."""
        return {
            **{f"enc.{m}": list(self.encode[m].parameters()) for m in self.modalities},
            "shared": list(self.share.parameters()),
            "fusion": [*self.final.parameters(), *self.auxiliary.parameters()],
            "heads": [*self.specific.parameters(), *self.common.parameters()],
        }

    def _seen(self, valid: Tensor) -> Tensor:
        """Which utterances [key] each utterance [query] may use, bool [B, N, N]."""
        count = valid.shape[1]
        seen = valid[:, None, :].expand(-1, count, -1)
        everything = torch.ones(count, count, dtype=torch.bool, device=valid.device)
        if self.architecture.mode != "full":
            seen = seen & everything.tril()
        if self.architecture.mode == "causal":
            seen = seen & everything.triu(1 - self.architecture.memory)
        # Padding attends to itself: a softmax over nothing would be NaN.
        return seen | torch.eye(count, dtype=torch.bool, device=valid.device)


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
        state = state + self.speaker(speakers)
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
