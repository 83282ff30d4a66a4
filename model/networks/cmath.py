"""CMATH for emotion recognition in conversations (Zhu et al. 2024, arXiv 2411.10060).

A convolution enters each modality, and another one has to give its features back; in turn each
modality is central and asks the others in a transformer layer; a Gaussian, the mean of those of the
modalities, is their fusion. The file reads in that order. The hierarchical distillation, in which
that fusion teaches the modalities, belongs to training.

No code was released. What the paper leaves open is filled in here: a convolution's size, a gate by
softmax for each feature, a softplus for deviations, the mean in place of a sample in answers, and
distances between utterances in place of absolute positions, which have no end in a conversation.

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

#: Attention of a central modality to one of all: `(query, keys and values, central, other)`.
Attend = Callable[[Tensor, Tensor, str, str], Tensor]


@dataclass(frozen=True)
class CMATHMemory:
    """What is remembered between utterances: the features that the convolutions still read, by
    modality; keys and values, by the central and the other modality; and `valid` bool
    [memory - 1], which of the last utterances there were."""

    features: dict[str, Tensor]
    rows: dict[tuple[str, str], Tensor]
    valid: Tensor


class CMATH(Network):
    """The network. `encoded` are the central modalities as the gates give them, `fused` is the
    Gaussian's sample in training and its mean otherwise."""

    OPTIONS = ConvolutionOptions
    options: ConvolutionOptions

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        a, each, size = architecture, architecture.modalities, self.options.kernel
        self.enter = nn.ModuleDict({m: Convolution(a, a.read[m], a.width, size) for m in each})
        self.back = nn.ModuleDict({m: Convolution(a, a.width, a.read[m], size) for m in each})
        self.absence = nn.ParameterDict({m: torch.randn(a.width) * 0.1 for m in each})
        self.speaker = speaker_vectors(a)
        self.drop_features, self.drop = nn.Dropout(a.dropout), nn.Dropout(a.dropout)
        self.central = nn.ModuleDict({m: CentralLayer(a) for m in each})
        self.mean, self.deviation = _two_layers(a), _two_layers(a)
        self.specific = nn.ModuleDict({m: nn.Linear(a.width, a.classes) for m in each})
        self.final = nn.Linear(a.width, a.classes)

    @property
    def receptive_field(self) -> int | None:
        """In mode `causal`, `memory - 1` before for the layer of attention, and `kernel - 1` before
        for the convolution."""
        a = self.architecture
        if a.mode != "causal":
            return super().receptive_field
        return a.memory + self.options.kernel - 1

    def _groups(self) -> dict[str, list[nn.Parameter]]:
        """The Gaussian's maps are the fusion, and so is the transformer, where modalities meet;
        `heads` are the opinions, the convolutions back, and the speakers' vectors."""
        parts = {
            f"enc.{m}": [*self.enter[m].parameters(), self.absence[m]] for m in self.modalities
        }
        heads = (self.specific, self.back, self.speaker)
        parts |= {"shared": [], "heads": [p for one in heads for p in one.parameters()]}
        return {**parts, "fusion": self._remaining_parameters(parts.values())}

    def _answer(self, batch: Conversations, last: bool) -> Answers:
        seen, here = visible(self.architecture, batch.valid), batch.valid[..., None]
        projected = {
            m: self.enter[m](self.drop_features(batch.features[m])) * here for m in self.modalities
        }
        states = {m: x * here for m, x in self._states(projected, batch).items()}

        def attend(query: Tensor, told: Tensor, central: str, other: str) -> Tensor:
            made: Tensor = self._central(central).ask[other](query, told, seen)
            return made

        encoded = self._through(states, attend)
        lost = self._lost(projected, batch) if self.training else None
        answers = self._answers(encoded, lost)
        return answers.last() if last else answers

    def _start(self) -> CMATHMemory:
        a = self.architecture
        return CMATHMemory(
            {m: self._enters(m).start() for m in self.modalities},
            {
                (c, m): self._central(c).asks(m).start()
                for c in self.modalities
                for m in self.modalities
            },
            torch.zeros(a.memory - 1, dtype=torch.bool, device=self.final.weight.device),
        )

    def _step(self, memory: Any, turn: Conversations) -> tuple[Answers, CMATHMemory]:
        projected, features = {}, {}
        for m in self.modalities:
            given = turn.features[m]
            projected[m], features[m] = self._enters(m).next(given, memory.features[m])
        valid = torch.cat([memory.valid, turn.valid[0]])
        rows: dict[tuple[str, str], Tensor] = {}

        def attend(query: Tensor, told: Tensor, central: str, other: str) -> Tensor:
            made, rows[central, other] = (
                self._central(central)
                .asks(other)
                .next(query, told, memory.rows[central, other], valid[None, None])
            )
            return made

        encoded = self._through(self._states(projected, turn), attend)
        return self._answers(encoded), CMATHMemory(features, rows, valid[1:])

    def _states(self, projected: Mapping[str, Tensor], batch: Conversations) -> dict[str, Tensor]:
        """The modalities' utterances as they enter the transformer."""
        states = add_speakers(projected, self.absence, self.speaker(batch.speakers), batch)
        return {m: self.drop(x) for m, x in states.items()}

    def _through(self, states: Mapping[str, Tensor], attend: Attend) -> dict[str, Tensor]:
        return {m: self._central(m)(states, m, attend) for m in self.modalities}

    def _answers(self, encoded: dict[str, Tensor], lost: Tensor | None = None) -> Answers:
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
            own={} if lost is None else {"reconstruction": lost},
        )

    def _lost(self, projected: Mapping[str, Tensor], batch: Conversations) -> Tensor:
        """How far what the second convolutions give back is from the features: the mean square
        over a modality's features, summed over the modalities that are there, [B, N]."""
        lost = []
        for place, m in enumerate(self.modalities):
            apart = self.back[m](projected[m]) - batch.features[m]
            lost.append(apart.square().mean(-1) * batch.present[..., place])
        return torch.stack(lost).sum(0)

    def _enters(self, modality: str) -> Convolution:
        return cast(Convolution, self.enter[modality])

    def _central(self, modality: str) -> "CentralLayer":
        return cast(CentralLayer, self.central[modality])


class CentralLayer(nn.Module):
    """The layer in which one modality is central: it asks each of the others, and itself; what the
    others say enters what it makes of itself; a gate weighs all of these."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        each = a.modalities
        self.ask = nn.ModuleDict({m: CrossAttention(a) for m in each})
        self.norm_asked = nn.ModuleDict({m: nn.LayerNorm(a.width) for m in each})
        self.feed = nn.ModuleDict({m: feed_forward(a) for m in each})
        self.norm_fed = nn.ModuleDict({m: nn.LayerNorm(a.width) for m in each})
        self.drop = nn.Dropout(a.dropout)
        self.gate = nn.Linear(len(each) * a.width, len(each) * a.width) if len(each) > 1 else None

    def asks(self, modality: str) -> CrossAttention:
        """What the central modality asks another one with."""
        return cast(CrossAttention, self.ask[modality])

    def forward(self, states: Mapping[str, Tensor], central: str, attend: Attend) -> Tensor:
        """Of the modalities' utterances [B, N, d], one each: [B, N, d]."""
        state = states[central]
        told = {m: attend(state, x, central, m) for m, x in states.items()}
        told[central] = torch.stack(list(told.values())).sum(0)
        made = []
        for m, x in told.items():
            asked = self.norm_asked[m](self.drop(x) + state)
            fed: Tensor = self.norm_fed[m](self.drop(self.feed[m](asked)) + asked)
            made.append(fed)
        if self.gate is None:
            return made[0]
        gate = self.gate(torch.cat(made, -1)).unflatten(-1, (len(made), -1)).softmax(-2)
        gated: Tensor = (gate * torch.stack(made, -2)).sum(-2)
        return gated


def _two_layers(a: Architecture) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(a.width, a.width), nn.ReLU(), nn.Dropout(a.dropout), nn.Linear(a.width, a.width)
    )
