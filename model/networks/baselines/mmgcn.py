"""MMGCN: a deep graph convolution over the utterances and modalities of a conversation.

Hu et al., MMGCN: Multimodal Fusion via Deep Graph Convolution Network for Emotion Recognition in
Conversation, ACL 2021. Each utterance is one node for each modality. Nodes of one modality are
joined, and those of one utterance; joins weigh 1 - arccos(cosine) / pi; the layers are those of
GCNII (Chen et al. 2020). In modes `causal` and `buffer` an utterance is joined with those before
it. The paper's recurrent encoder of words is left out: what context there is comes from the graph.

Shapes: B conversations, N utterances, M modalities, d width.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.networks.baselines.baseline import Baseline
from gscon_live.model.networks.layers.blocks import Fused, classified, speaker_vectors, visible
from gscon_live.model.networks.network import Architecture, Conversations


class MMGCNOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`alpha` is how much of the first state each layer keeps, and log(`theta` / number + 1) how
    much its own map counts; the paper's code has 0.1 and 0.5."""

    alpha: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.1
    theta: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 0.5


@dataclass(frozen=True)
class MMGCNMemory:
    """Of the last `memory - 1` utterances: their nodes' states before each layer
    [layers, M, memory - 1, d], their `degrees` [M, memory - 1], and `valid` bool [memory - 1],
    which there were."""

    states: Tensor
    degrees: Tensor
    valid: Tensor


class MMGCN(Baseline):
    """Projections with the speaker's vector are the nodes; the classifier reads each modality's
    node as it was and as the last layer leaves it. `heads` do not matter."""

    OPTIONS = MMGCNOptions
    options: MMGCNOptions

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        a = architecture
        self.speaker = speaker_vectors(a)
        self.drop = nn.Dropout(a.dropout)
        self.layers = nn.ModuleList([nn.Linear(a.width, a.width) for _ in range(a.layers)])
        self.final = nn.Sequential(
            nn.Linear(2 * len(self.modalities) * a.width, a.width),
            nn.ReLU(),
            nn.Dropout(a.dropout),
            nn.Linear(a.width, a.classes),
        )

    @property
    def receptive_field(self) -> int | None:
        """In mode `causal`, `memory - 1` before for each layer, and as many once more for the
        degrees of those that the first one reads."""
        a = self.architecture
        if a.mode != "causal":
            return super().receptive_field
        return (a.layers + 1) * (a.memory - 1) + 1

    def _fuse(self, encoded: dict[str, Tensor], batch: Conversations) -> Fused:
        first = self._nodes(encoded, batch)
        seen = visible(self.architecture, batch.valid)
        within = _weights(first, first) * seen
        across = _weights_of_one(first)
        degree = within.sum(-1) + across.sum(-1) - 1
        scale = degree.rsqrt()
        within = within * scale[..., :, None] * scale[..., None, :]
        state = first
        for number in range(len(self.layers)):
            mixed = within @ state + _others(across, scale, state)
            state = self._layer(number, mixed, first)
        return self._classify(first, state)

    def _start(self) -> MMGCNMemory:
        a, like = self.architecture, self.speaker.weight
        count, before = len(self.modalities), a.memory - 1
        return MMGCNMemory(
            like.new_zeros(a.layers, count, before, a.width),
            like.new_ones(count, before),
            torch.zeros(before, dtype=torch.bool, device=like.device),
        )

    def _fuse_next(
        self, memory: Any, encoded: dict[str, Tensor], turn: Conversations
    ) -> tuple[Fused, MMGCNMemory]:
        first = self._nodes(encoded, turn)  # [M, 1, 1, d]
        valid = torch.cat([memory.valid, turn.valid[0]])
        told = torch.cat([memory.states[0], first[:, 0]], 1)[:, None]
        within = _weights(first, told) * valid  # [M, 1, 1, memory]
        across = _weights_of_one(first)
        degree = within.sum(-1) + across.sum(-1) - 1  # [M, 1, 1]
        scale = degree.rsqrt()
        degrees = torch.cat([memory.degrees, degree[:, 0]], 1)
        within = within * scale[..., None] * degrees.rsqrt()[:, None, None]
        state, rows = first, []
        for number in range(len(self.layers)):
            known = torch.cat([memory.states[number], state[:, 0]], 1)
            rows.append(known[:, 1:])
            mixed = within @ known[:, None] + _others(across, scale, state)
            state = self._layer(number, mixed, first)
        return self._classify(first, state), MMGCNMemory(
            torch.stack(rows), degrees[:, 1:], valid[1:]
        )

    def _nodes(self, encoded: dict[str, Tensor], batch: Conversations) -> Tensor:
        """The nodes [M, B, N, d], zero on padding."""
        speaker = self.speaker(batch.speakers)
        nodes = torch.stack([self.drop(x.relu() + speaker) for x in encoded.values()])
        return nodes * batch.valid[..., None]

    def _layer(self, number: int, mixed: Tensor, first: Tensor) -> Tensor:
        alpha = self.options.alpha
        beta = math.log(self.options.theta / (number + 1) + 1)
        kept = (1 - alpha) * self.drop(mixed) + alpha * first
        made: Tensor = (beta * self.layers[number](kept) + (1 - beta) * kept).relu()
        return made

    def _classify(self, first: Tensor, state: Tensor) -> Fused:
        nodes = torch.cat([*first, *state], -1)
        return classified(self.final, self.drop(nodes))


def _weights(nodes: Tensor, others: Tensor) -> Tensor:
    """How much nodes [..., n, d] and others [..., k, d] are joined, [..., n, k]."""
    units, told = functional.normalize(nodes, dim=-1), functional.normalize(others, dim=-1)
    return _joined(units @ told.mT)


def _weights_of_one(nodes: Tensor) -> Tensor:
    """How much the nodes [M, B, N, d] of one utterance are joined, [M, B, N, M]; 1 with itself."""
    units = functional.normalize(nodes, dim=-1)
    cosines = torch.einsum("mbnd,obnd->mbno", units, units)
    itself = torch.eye(len(nodes), dtype=torch.bool, device=nodes.device)[:, None, None]
    return _joined(cosines).masked_fill(itself, 1)


def _joined(cosines: Tensor) -> Tensor:
    # The derivative of arccos has no end at -1 and 1.
    return 1 - torch.acos(cosines.clamp(-1 + 1e-5, 1 - 1e-5)) / math.pi


def _others(across: Tensor, scale: Tensor, state: Tensor) -> Tensor:
    """What the other modalities' nodes of an utterance add, [M, B, N, d]."""
    itself = torch.eye(len(state), dtype=torch.bool, device=state.device)[:, None, None]
    weights = across.masked_fill(itself, 0) * scale[..., None]
    return torch.einsum("mbno,obnd->mbnd", weights, scale[..., None] * state)
