"""MMGCN: a deep graph convolution over the utterances and modalities of a conversation.

Hu et al., MMGCN: Multimodal Fusion via Deep Graph Convolution Network for Emotion Recognition in
Conversation, ACL 2021. Each utterance has one node for each modality. Edges join the nodes of a
modality, and the nodes of an utterance; their weight is 1 - arccos(cosine) / pi. The layers are
those of GCNII (Chen et al. 2020). In modes `causal` and `buffer` an utterance has edges to earlier
utterances only. The paper's recurrent text encoder is left out: all context comes from the graph.

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
    """Options of GCNII: `alpha` is the share of the initial state in each layer's input, and
    log(`theta` / number of the layer + 1) the weight of its linear map. The paper's code has 0.1
    and 0.5."""

    alpha: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.1
    theta: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 0.5


@dataclass(frozen=True)
class MMGCNMemory:
    """What is remembered of the last `memory - 1` utterances.

    `states` [layers, M, memory - 1, d] are their nodes before each layer, `degrees`
    [M, memory - 1] those of their nodes; `valid` bool [memory - 1] tells which utterances exist.
    """

    states: Tensor
    degrees: Tensor
    valid: Tensor


class MMGCN(Baseline):
    """The nodes are the projections plus the speaker's vector. The classifier reads each modality's
    node before the first and after the last layer. `heads` is ignored."""

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
        """In mode `causal`, `memory - 1` past utterances for each layer, and once more for the
        degrees of the first layer's neighbours."""
        a = self.architecture
        if a.mode != "causal":
            return super().receptive_field
        return (a.layers + 1) * (a.memory - 1) + 1

    def _fuse(self, encoded: dict[str, Tensor], batch: Conversations) -> Fused:
        nodes = self._nodes(encoded, batch)
        mask = visible(self.architecture, batch.valid)
        within = _edge_weights(nodes, nodes) * mask
        across = _edge_weights_of_utterance(nodes)
        degree = within.sum(-1) + across.sum(-1) - 1
        scale = degree.rsqrt()
        within = within * scale[..., :, None] * scale[..., None, :]
        state = nodes
        for number in range(len(self.layers)):
            mixed = within @ state + _from_other_modalities(across, scale, state)
            state = self._layer(number, mixed, nodes)
        return self._classify(nodes, state)

    def _start(self) -> MMGCNMemory:
        a, weight = self.architecture, self.speaker.weight
        count, past = len(self.modalities), a.memory - 1
        return MMGCNMemory(
            weight.new_zeros(a.layers, count, past, a.width),
            weight.new_ones(count, past),
            torch.zeros(past, dtype=torch.bool, device=weight.device),
        )

    def _fuse_next(
        self, memory: Any, encoded: dict[str, Tensor], turn: Conversations
    ) -> tuple[Fused, MMGCNMemory]:
        nodes = self._nodes(encoded, turn)  # [M, 1, 1, d]
        valid = torch.cat([memory.valid, turn.valid[0]])
        neighbours = torch.cat([memory.states[0], nodes[:, 0]], 1)[:, None]
        within = _edge_weights(nodes, neighbours) * valid  # [M, 1, 1, memory]
        across = _edge_weights_of_utterance(nodes)
        degree = within.sum(-1) + across.sum(-1) - 1  # [M, 1, 1]
        scale = degree.rsqrt()
        degrees = torch.cat([memory.degrees, degree[:, 0]], 1)
        within = within * scale[..., None] * degrees.rsqrt()[:, None, None]
        state, layer_states = nodes, []
        for number in range(len(self.layers)):
            states = torch.cat([memory.states[number], state[:, 0]], 1)
            layer_states.append(states[:, 1:])
            mixed = within @ states[:, None] + _from_other_modalities(across, scale, state)
            state = self._layer(number, mixed, nodes)
        return self._classify(nodes, state), MMGCNMemory(
            torch.stack(layer_states), degrees[:, 1:], valid[1:]
        )

    def _nodes(self, encoded: dict[str, Tensor], batch: Conversations) -> Tensor:
        """The nodes [M, B, N, d], zero on padding."""
        speaker = self.speaker(batch.speakers)
        nodes = torch.stack([self.drop(x.relu() + speaker) for x in encoded.values()])
        return nodes * batch.valid[..., None]

    def _layer(self, number: int, messages: Tensor, nodes: Tensor) -> Tensor:
        alpha = self.options.alpha
        beta = math.log(self.options.theta / (number + 1) + 1)
        residual = (1 - alpha) * self.drop(messages) + alpha * nodes
        output: Tensor = (beta * self.layers[number](residual) + (1 - beta) * residual).relu()
        return output

    def _classify(self, nodes: Tensor, state: Tensor) -> Fused:
        features = torch.cat([*nodes, *state], -1)
        return classified(self.final, self.drop(features))


def _edge_weights(nodes: Tensor, neighbours: Tensor) -> Tensor:
    """Weights of the edges between nodes [..., n, d] and neighbours [..., k, d], [..., n, k]."""
    first, second = functional.normalize(nodes, dim=-1), functional.normalize(neighbours, dim=-1)
    return _edge_weight(first @ second.mT)


def _edge_weights_of_utterance(nodes: Tensor) -> Tensor:
    """Weights of the edges between the nodes [M, B, N, d] of an utterance, [M, B, N, M]; 1 to
    itself."""
    units = functional.normalize(nodes, dim=-1)
    cosines = torch.einsum("mbnd,obnd->mbno", units, units)
    diagonal = torch.eye(len(nodes), dtype=torch.bool, device=nodes.device)[:, None, None]
    return _edge_weight(cosines).masked_fill(diagonal, 1)


def _edge_weight(cosines: Tensor) -> Tensor:
    # The derivative of arccos is infinite at -1 and 1.
    return 1 - torch.acos(cosines.clamp(-1 + 1e-5, 1 - 1e-5)) / math.pi


def _from_other_modalities(across: Tensor, scale: Tensor, state: Tensor) -> Tensor:
    """The sum over an utterance's nodes of the other modalities, weighted, [M, B, N, d]."""
    diagonal = torch.eye(len(state), dtype=torch.bool, device=state.device)[:, None, None]
    weights = across.masked_fill(diagonal, 0) * scale[..., None]
    return torch.einsum("mbno,obnd->mbnd", weights, scale[..., None] * state)
