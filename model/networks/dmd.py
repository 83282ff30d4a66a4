"""DMD for emotion recognition in conversations (Li et al. 2023, Decoupled Multimodal Distilling for
Emotion Recognition, CVPR, arXiv 2303.13802).

What is made of each modality is decoupled into a common part, by an encoder that all share, and a
private one; the common parts are read by themselves, the private ones ask each other; all of it is
fused. The file reads in that order. The graph distillation between modalities and the margin loss
on the common parts, which needs labels, belong to training.

The method was published for the sentiment of single utterances and their words; here the sequence
is that of the utterances of a conversation, and each has an answer, so that what was flattened or
taken from the last step is taken from each utterance. What a modality heard from the others is
brought to its width before the transformer that follows it, where the released code keeps all of it
side by side. The gate on the common parts reads them after their residual layers, as the opinion on
them does, and brings them to one width; the released code's reads them before these and keeps all.

Shapes: B conversations or windows, N utterances, M modalities, d width, C emotions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.networks.layers import incremental
from gscon_live.model.networks.layers.blocks import (
    TransformerStack,
    feed_forward,
    speaker_vectors,
    visible,
)
from gscon_live.model.networks.layers.cross_attention import (
    Convolution,
    ConvolutionOptions,
    CrossAttention,
    add_speakers,
)
from gscon_live.model.networks.network import Answers, Architecture, Conversations, Network

#: One layer in which a target asks a source: `(query, keys and values, target, source, layer)`.
Attend = Callable[[Tensor, Tensor, str, str, int], Tensor]
#: Transformers of the utterances, side by side: states [B, N, d], one for each.
Follow = Callable[[Sequence[Tensor]], list[Tensor]]

#: What the decoupling's losses weigh in the objective: reconstruction and cycle, orthogonality.
_DECOUPLING, _ORTHOGONALITY = 0.1, 0.01


@dataclass(frozen=True)
class DMDMemory:
    """What is remembered between utterances: the features that the convolutions still read, by
    modality; the `common` and the `private` transformers' pasts; keys and values of the sources, by
    target, source and layer; and `valid` bool [memory - 1], which utterances there were."""

    features: dict[str, Tensor]
    common: incremental.Past
    private: incremental.Past
    rows: dict[tuple[str, str, int], Tensor]
    valid: Tensor


class DMD(Network):
    """The network. `shared` are the common parts, on which `homogeneous` are the modalities'
    opinions; `specific` are those on the private parts after they have asked the others (the
    paper's heterogeneous ones), which are `encoded`; `common` is the opinion on all common parts,
    and `fused` the mean of the vectors that the classifier reads."""

    SHARES = True
    OPINIONS = True
    OPTIONS = ConvolutionOptions
    options: ConvolutionOptions

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        a, each, count = architecture, architecture.modalities, len(architecture.modalities)
        wide, size = a.width, self.options.kernel
        self.enter = nn.ModuleDict({m: Convolution(a, a.read[m], wide, size, False) for m in each})
        self.absence = nn.ParameterDict({m: torch.randn(wide) * 0.1 for m in each})
        self.speaker = speaker_vectors(a)
        self.drop_features, self.drop = nn.Dropout(a.dropout), nn.Dropout(a.dropout)
        self.share = nn.Linear(wide, wide, bias=False)
        self.private = nn.ModuleDict({m: nn.Linear(wide, wide, bias=False) for m in each})
        self.decode = nn.ModuleDict({m: nn.Linear(2 * wide, wide, bias=False) for m in each})
        self.homogeneous = nn.ModuleDict(
            {m: nn.Sequential(ResidualLayers(wide, a), nn.Linear(wide, a.classes)) for m in each}
        )
        self.follow_common = nn.ModuleDict({m: TransformerStack(a) for m in each})
        self.grow_common = ResidualLayers(count * wide, a)
        self.common = nn.Linear(count * wide, a.classes)
        self.ask = nn.ModuleDict(
            {
                f"{target}_{source}": nn.ModuleList([CrossModalLayer(a) for _ in range(a.layers)])
                for target in each
                for source in each
                if source != target
            }
        )
        self.told = nn.ModuleDict({m: nn.Linear(max(1, count - 1) * wide, wide) for m in each})
        self.follow_private = nn.ModuleDict({m: TransformerStack(a) for m in each})
        self.grow_private = nn.ModuleDict({m: ResidualLayers(wide, a) for m in each})
        self.specific = nn.ModuleDict({m: nn.Linear(wide, a.classes) for m in each})
        self.gate = nn.ModuleDict({m: nn.Linear(wide, wide) for m in each})
        self.gate_common = nn.Linear(count * wide, wide)
        self.grow_fused = ResidualLayers((count + 1) * wide, a)
        self.final = nn.Linear((count + 1) * wide, a.classes)

    @property
    def receptive_field(self) -> int | None:
        """In mode `causal`: `kernel - 1` before for the convolution, `memory - 1` before for asking
        others, whose layers all ask the same, and for each layer of the transformers."""
        a = self.architecture
        if a.mode != "causal":
            return super().receptive_field
        asking = 1 if len(self.modalities) > 1 else 0
        return (a.layers + asking) * (a.memory - 1) + self.options.kernel

    def _groups(self) -> dict[str, list[nn.Parameter]]:
        """`shared` is the common encoder; `fusion` what answers for several modalities together,
        asking others included; `heads` the rest: opinions, decoders and the speakers' vectors."""
        encoders = {
            f"enc.{m}": [
                *self.enter[m].parameters(),
                self.absence[m],
                *self.private[m].parameters(),
            ]
            for m in self.modalities
        }
        heads = [
            p
            for one in (self.homogeneous, self.grow_private, self.specific, self.decode)
            for p in one.parameters()
        ]
        heads += self.speaker.parameters()
        parts = {**encoders, "shared": list(self.share.parameters()), "heads": heads}
        return {**parts, "fusion": self._remaining_parameters(parts.values())}

    def _answer(self, batch: Conversations, last: bool) -> Answers:
        seen, here = visible(self.architecture, batch.valid), batch.valid[..., None]

        def follow(stacks: nn.ModuleDict) -> Follow:
            def through(states: Sequence[Tensor]) -> list[Tensor]:
                named = zip(self.modalities, states, strict=True)
                return [stacks[m](x * here, seen) for m, x in named]

            return through

        def attend(query: Tensor, told: Tensor, target: str, source: str, layer: int) -> Tensor:
            return self._asks(target, source, layer).attention(query, told, seen)  # type: ignore[no-any-return]

        projected = {
            m: self.enter[m](self.drop_features(batch.features[m])) for m in self.modalities
        }
        shallow = {m: x * here for m, x in self._shallow(projected, batch).items()}
        answers = self._answers(
            shallow, attend, follow(self.follow_common), follow(self.follow_private)
        )
        if self.training:
            own = self._decoupled(shallow, answers.shared, batch.present)
            answers = replace(answers, own=own)
        return answers.last() if last else answers

    def _start(self) -> DMDMemory:
        a = self.architecture
        return DMDMemory(
            {m: cast(Convolution, self.enter[m]).start() for m in self.modalities},
            incremental.start(self._stacks(self.follow_common)),
            incremental.start(self._stacks(self.follow_private)),
            {
                (target, source, layer): self._asks(target, source, layer).attention.start()
                for target in self.modalities
                for source in self.modalities
                if source != target
                for layer in range(a.layers)
            },
            torch.zeros(a.memory - 1, dtype=torch.bool, device=self.share.weight.device),
        )

    def _step(self, memory: Any, turn: Conversations) -> tuple[Answers, DMDMemory]:
        projected, features = {}, {}
        for m in self.modalities:
            enter = cast(Convolution, self.enter[m])
            projected[m], features[m] = enter.next(turn.features[m], memory.features[m])
        valid = torch.cat([memory.valid, turn.valid[0]])
        rows: dict[tuple[str, str, int], Tensor] = {}
        pasts: dict[str, incremental.Past] = {}

        def follow(name: str) -> Follow:
            def through(states: Sequence[Tensor]) -> list[Tensor]:
                made, pasts[name] = incremental.step(
                    torch.cat(list(states)), getattr(memory, name), valid
                )
                return list(made[:, None])

            return through

        def attend(query: Tensor, told: Tensor, target: str, source: str, layer: int) -> Tensor:
            key = (target, source, layer)
            made, rows[key] = self._asks(*key).attention.next(
                query, told, memory.rows[key], valid[None, None]
            )
            return made

        shallow = self._shallow(projected, turn)
        answers = self._answers(shallow, attend, follow("common"), follow("private"))
        return answers, DMDMemory(features, pasts["common"], pasts["private"], rows, valid[1:])

    def _shallow(self, projected: Mapping[str, Tensor], batch: Conversations) -> dict[str, Tensor]:
        """The modalities' utterances before they are decoupled."""
        states = add_speakers(projected, self.absence, self.speaker(batch.speakers), batch)
        return {m: self.drop(x) for m, x in states.items()}

    def _answers(
        self,
        shallow: Mapping[str, Tensor],
        attend: Attend,
        follow_common: Follow,
        follow_private: Follow,
    ) -> Answers:
        shared = {m: self.share(x) for m, x in shallow.items()}
        private = {m: self.private[m](x) for m, x in shallow.items()}
        common = torch.cat(follow_common(list(shared.values())), -1)
        common = self.grow_common(common)
        asked = [self._asked(private, m, attend) for m in self.modalities]
        followed = dict(zip(self.modalities, follow_private(asked), strict=True))
        encoded = {m: self.grow_private[m](x) for m, x in followed.items()}
        parts = [self.gate[m](x).sigmoid() for m, x in followed.items()]
        parts.append(self.gate_common(common).sigmoid())
        fused = self.grow_fused(torch.cat(parts, -1))
        return Answers(
            final=self.final(fused),
            specific={m: self.specific[m](x) for m, x in encoded.items()},
            encoded=encoded,
            shared=shared,
            homogeneous={m: self.homogeneous[m](x) for m, x in shared.items()},
            common=self.common(common),
            fused=fused.unflatten(-1, (len(parts), -1)).mean(-2),
        )

    def _asked(self, private: Mapping[str, Tensor], target: str, attend: Attend) -> Tensor:
        """A modality's private part after it has asked those of the others."""
        told = []
        for source, given in private.items():
            if source == target:
                continue
            state = private[target]
            for layer in range(self.architecture.layers):
                ask = self._asks(target, source, layer)
                query, keys = ask.norm_query(state), ask.norm_told(given)
                state = state + self.drop(attend(query, keys, target, source, layer))
                state = state + self.drop(ask.feed(ask.norm_feed(state)))
            told.append(state)
        together: Tensor = self.told[target](torch.cat(told or [private[target]], -1))
        return together

    def _decoupled(
        self, shallow: Mapping[str, Tensor], shared: Mapping[str, Tensor], present: Tensor
    ) -> dict[str, Tensor]:
        """The losses of decoupling that need no labels, as they weigh in the objective, [B, N]:
        both parts give back what they are of, that gives back the private part, and the parts do
        not point the same way; summed over the modalities that are there."""
        lost: dict[str, list[Tensor]] = {"reconstruction": [], "cycle": [], "orthogonality": []}
        for place, m in enumerate(self.modalities):
            private, there = self.private[m](shallow[m]), present[..., place]
            made = self.decode[m](torch.cat([private, shared[m]], -1))
            again = self.private[m](made)
            cosine = functional.cosine_similarity(shared[m], private, dim=-1)
            lost["reconstruction"].append((made - shallow[m]).square().mean(-1) * there)
            lost["cycle"].append((again - private).square().mean(-1) * there)
            lost["orthogonality"].append(cosine.relu() * there)
        weights = (_DECOUPLING, _DECOUPLING, _ORTHOGONALITY)
        return {
            name: weight * torch.stack(values).sum(0)
            for (name, values), weight in zip(lost.items(), weights, strict=True)
        }

    def _asks(self, target: str, source: str, layer: int) -> "CrossModalLayer":
        return cast(nn.ModuleList, self.ask[f"{target}_{source}"])[layer]  # type: ignore[return-value]

    def _stacks(self, stacks: nn.ModuleDict) -> list[TransformerStack]:
        return [cast(TransformerStack, stacks[m]) for m in self.modalities]


class CrossModalLayer(nn.Module):
    """A pre-norm layer in which one modality asks another one."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.norm_query, self.norm_told = nn.LayerNorm(a.width), nn.LayerNorm(a.width)
        self.norm_feed = nn.LayerNorm(a.width)
        self.attention, self.feed = CrossAttention(a), feed_forward(a)


class ResidualLayers(nn.Module):
    """Two layers beside a vector, added to it."""

    def __init__(self, width: int, a: Architecture) -> None:
        super().__init__()
        self.beside = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Dropout(a.dropout), nn.Linear(width, width)
        )

    def forward(self, given: Tensor) -> Tensor:
        made: Tensor = given + self.beside(given)
        return made
