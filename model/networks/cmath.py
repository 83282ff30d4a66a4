"""CMATH for emotion recognition in conversations (Zhu et al. 2024, arXiv 2411.10060).

Each modality has an input convolution, and a second one that reconstructs its features. Each
modality in turn is central: in a transformer layer it attends to the others. The fusion is a
Gaussian, the mean of the modalities' Gaussians. The hierarchical distillation, with the fusion as
the teacher of the modalities, belongs to training.

No code was released. What the paper leaves open is chosen here: the size of the convolutions, a
softmax gate for each feature, a softplus for standard deviations, the Gaussian's mean in evaluation
in place of a sample, and distances between utterances in place of absolute positions, which are
unbounded in a conversation.

Shapes: B conversations or windows, N utterances, M modalities, d width, C emotions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.networks.layers.blocks import feed_forward, speaker_vectors, visible
from gscon_live.model.networks.layers.cross_attention import (
    Convolution,
    ConvolutionOptions,
    CrossAttention,
    add_speakers,
)
from gscon_live.model.networks.network import Answers, Architecture, Conversations, Network

#: Attention of a central modality to a modality: `(query, keys and values, central, other)`.
Attend = Callable[[Tensor, Tensor, str, str], Tensor]


@dataclass(frozen=True)
class CMATHMemory:
    """What is remembered between utterances.

    `features` are the past inputs of the convolutions, by modality; `rows` are keys and values, by
    central and other modality; `valid` bool [memory - 1] tells which of the last utterances exist.
    """

    features: dict[str, Tensor]
    rows: dict[tuple[str, str], Tensor]
    valid: Tensor


class CMATH(Network):
    """The network. `encoded` are the gated central modalities; `fused` is a sample of the Gaussian
    in training, and its mean in evaluation."""

    OPTIONS = ConvolutionOptions
    options: ConvolutionOptions

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        a, names, size = architecture, architecture.modalities, self.options.kernel
        self.enter = nn.ModuleDict({m: Convolution(a, a.read[m], a.width, size) for m in names})
        self.back = nn.ModuleDict({m: Convolution(a, a.width, a.read[m], size) for m in names})
        self.absence = nn.ParameterDict({m: torch.randn(a.width) * 0.1 for m in names})
        self.speaker = speaker_vectors(a)
        self.drop_features, self.drop = nn.Dropout(a.dropout), nn.Dropout(a.dropout)
        self.central = nn.ModuleDict({m: CentralLayer(a) for m in names})
        self.mean, self.deviation = _two_layers(a), _two_layers(a)
        self.specific = nn.ModuleDict({m: nn.Linear(a.width, a.classes) for m in names})
        self.final = nn.Linear(a.width, a.classes)

    @property
    def receptive_field(self) -> int | None:
        """In mode `causal`, `memory - 1` past utterances for the attention layer, and `kernel - 1`
        for the convolution."""
        a = self.architecture
        if a.mode != "causal":
            return super().receptive_field
        return a.memory + self.options.kernel - 1

    def _groups(self) -> dict[str, list[nn.Parameter]]:
        """`fusion` are the transformer layers and the Gaussian's maps; `heads` are the unimodal
        heads, the reconstructing convolutions and the speakers' vectors."""
        parts = {
            f"enc.{m}": [*self.enter[m].parameters(), self.absence[m]] for m in self.modalities
        }
        heads = (self.specific, self.back, self.speaker)
        parts |= {"shared": [], "heads": [p for module in heads for p in module.parameters()]}
        return {**parts, "fusion": self._remaining_parameters(parts.values())}

    def _answer(self, batch: Conversations, last: bool) -> Answers:
        mask, valid = visible(self.architecture, batch.valid), batch.valid[..., None]
        projected = {
            m: self.enter[m](self.drop_features(batch.features[m])) * valid for m in self.modalities
        }
        states = {m: x * valid for m, x in self._states(projected, batch).items()}

        def attend(query: Tensor, source: Tensor, central: str, other: str) -> Tensor:
            attended: Tensor = self._central_layer(central).ask[other](query, source, mask)
            return attended

        encoded = self._encode(states, attend)
        reconstruction = self._reconstruction_loss(projected, batch) if self.training else None
        answers = self._answers(encoded, reconstruction)
        return answers.last() if last else answers

    def _start(self) -> CMATHMemory:
        a = self.architecture
        return CMATHMemory(
            {m: self._input_convolution(m).start() for m in self.modalities},
            {
                (c, m): self._central_layer(c).attention(m).start()
                for c in self.modalities
                for m in self.modalities
            },
            torch.zeros(a.memory - 1, dtype=torch.bool, device=self.final.weight.device),
        )

    def _step(self, memory: Any, turn: Conversations) -> tuple[Answers, CMATHMemory]:
        projected, features = {}, {}
        for m in self.modalities:
            vectors = turn.features[m]
            projected[m], features[m] = self._input_convolution(m).next(vectors, memory.features[m])
        valid = torch.cat([memory.valid, turn.valid[0]])
        rows: dict[tuple[str, str], Tensor] = {}

        def attend(query: Tensor, source: Tensor, central: str, other: str) -> Tensor:
            attended, rows[central, other] = (
                self._central_layer(central)
                .attention(other)
                .next(query, source, memory.rows[central, other], valid[None, None])
            )
            return attended

        encoded = self._encode(self._states(projected, turn), attend)
        return self._answers(encoded), CMATHMemory(features, rows, valid[1:])

    def _states(self, projected: Mapping[str, Tensor], batch: Conversations) -> dict[str, Tensor]:
        """The modalities' utterances, the input of the transformer layers."""
        states = add_speakers(projected, self.absence, self.speaker(batch.speakers), batch)
        return {m: self.drop(x) for m, x in states.items()}

    def _encode(self, states: Mapping[str, Tensor], attend: Attend) -> dict[str, Tensor]:
        return {m: self._central_layer(m)(states, m, attend) for m in self.modalities}

    def _answers(self, encoded: dict[str, Tensor], reconstruction: Tensor | None = None) -> Answers:
        means = torch.stack([self.mean(x) for x in encoded.values()]).mean(0)
        fused = means
        if self.training:
            raw = torch.stack([self.deviation(x) for x in encoded.values()])
            fused = means + functional.softplus(raw).mean(0) * torch.randn_like(means)
        return Answers(
            final=self.final(fused),
            specific={m: self.specific[m](x) for m, x in encoded.items()},
            encoded=encoded,
            fused=fused,
            own={} if reconstruction is None else {"reconstruction": reconstruction},
        )

    def _reconstruction_loss(self, projected: Mapping[str, Tensor], batch: Conversations) -> Tensor:
        """The mean squared error of the reconstructed features, summed over the modalities that are
        present, [B, N]."""
        losses = []
        for index, m in enumerate(self.modalities):
            error = self.back[m](projected[m]) - batch.features[m]
            losses.append(error.square().mean(-1) * batch.present[..., index])
        return torch.stack(losses).sum(0)

    def _input_convolution(self, modality: str) -> Convolution:
        return cast(Convolution, self.enter[modality])

    def _central_layer(self, modality: str) -> "CentralLayer":
        return cast(CentralLayer, self.central[modality])


class CentralLayer(nn.Module):
    """The transformer layer of a central modality, which attends to each modality and to itself.

    The central modality's own message is the sum of all messages. A gate weighs the outputs of all
    messages.
    """

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        names = a.modalities
        self.ask = nn.ModuleDict({m: CrossAttention(a) for m in names})
        self.norm_asked = nn.ModuleDict({m: nn.LayerNorm(a.width) for m in names})
        self.feed = nn.ModuleDict({m: feed_forward(a) for m in names})
        self.norm_fed = nn.ModuleDict({m: nn.LayerNorm(a.width) for m in names})
        self.drop = nn.Dropout(a.dropout)
        self.gate = (
            nn.Linear(len(names) * a.width, len(names) * a.width) if len(names) > 1 else None
        )

    def attention(self, modality: str) -> CrossAttention:
        """The attention of the central modality to another one, typed."""
        return cast(CrossAttention, self.ask[modality])

    def forward(self, states: Mapping[str, Tensor], central: str, attend: Attend) -> Tensor:
        """The modalities' utterances [B, N, d] to the central modality's output [B, N, d]."""
        state = states[central]
        messages = {m: attend(state, x, central, m) for m, x in states.items()}
        messages[central] = torch.stack(list(messages.values())).sum(0)
        outputs = []
        for m, x in messages.items():
            attended = self.norm_asked[m](self.drop(x) + state)
            output: Tensor = self.norm_fed[m](self.drop(self.feed[m](attended)) + attended)
            outputs.append(output)
        if self.gate is None:
            return outputs[0]
        gate = self.gate(torch.cat(outputs, -1)).unflatten(-1, (len(outputs), -1)).softmax(-2)
        gated: Tensor = (gate * torch.stack(outputs, -2)).sum(-2)
        return gated


def _two_layers(a: Architecture) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(a.width, a.width), nn.ReLU(), nn.Dropout(a.dropout), nn.Linear(a.width, a.width)
    )
