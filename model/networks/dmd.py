"""DMD for emotion recognition in conversations (Li et al. 2023, Decoupled Multimodal Distilling for
Emotion Recognition, CVPR, arXiv 2303.13802).

Each modality is decoupled into a common part, by a shared encoder, and a private part, by its own.
The common parts are encoded alone. The private parts attend to each other. All parts are fused. The
graph distillation between modalities and the margin loss on the common parts, which needs labels,
belong to training.

The method was published for the sentiment of single utterances, as sequences of words. Here the
sequence is the conversation, and every utterance is classified; so where the method takes the
flattened sequence or its last step, this takes each utterance. Two more differences from the
released code: the outputs of cross-modal attention are projected to one width before the
transformer on them, where that code concatenates them. And the gate on the common parts, like their
head, reads them after their residual layers and projects them to one width; that code's gate reads
them before, and keeps the width.

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

#: Attention of a target modality to a source: `(query, keys and values, target, source, layer)`.
Attend = Callable[[Tensor, Tensor, str, str, int], Tensor]
#: The modalities' transformers: a state [B, N, d] of each to another.
Follow = Callable[[Sequence[Tensor]], list[Tensor]]

#: Weights of the decoupling losses: of reconstruction and cycle consistency, of orthogonality.
_DECOUPLING, _ORTHOGONALITY = 0.1, 0.01


@dataclass(frozen=True)
class DMDMemory:
    """What is remembered between utterances.

    `features` are the past inputs of the convolutions, by modality; `common` and `private` the
    pasts of the transformers; `rows` keys and values by target, source and layer; `valid` bool
    [memory - 1] tells which of the last utterances exist.
    """

    features: dict[str, Tensor]
    common: incremental.Past
    private: incremental.Past
    rows: dict[tuple[str, str, int], Tensor]
    valid: Tensor


class DMD(Network):
    """The network.

    `shared` are the common parts, and `homogeneous` the logits of a head on each. `encoded` are the
    private parts after cross-modal attention (the paper's heterogeneous ones), and `specific` the
    logits of a head on each. `common` are the logits of the head on all common parts. `fused` is
    the mean of the vectors that the classifier reads.
    """

    SHARES = True
    OPINIONS = True
    OPTIONS = ConvolutionOptions
    options: ConvolutionOptions

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        a, names, count = architecture, architecture.modalities, len(architecture.modalities)
        width, size = a.width, self.options.kernel
        self.enter = nn.ModuleDict(
            {m: Convolution(a, a.read[m], width, size, False) for m in names}
        )
        self.absence = nn.ParameterDict({m: torch.randn(width) * 0.1 for m in names})
        self.speaker = speaker_vectors(a)
        self.drop_features, self.drop = nn.Dropout(a.dropout), nn.Dropout(a.dropout)
        self.share = nn.Linear(width, width, bias=False)
        self.private = nn.ModuleDict({m: nn.Linear(width, width, bias=False) for m in names})
        self.decode = nn.ModuleDict({m: nn.Linear(2 * width, width, bias=False) for m in names})
        self.homogeneous = nn.ModuleDict(
            {m: nn.Sequential(ResidualLayers(width, a), nn.Linear(width, a.classes)) for m in names}
        )
        self.follow_common = nn.ModuleDict({m: TransformerStack(a) for m in names})
        self.grow_common = ResidualLayers(count * width, a)
        self.common = nn.Linear(count * width, a.classes)
        self.ask = nn.ModuleDict(
            {
                f"{target}_{source}": nn.ModuleList([CrossModalLayer(a) for _ in range(a.layers)])
                for target in names
                for source in names
                if source != target
            }
        )
        self.told = nn.ModuleDict({m: nn.Linear(max(1, count - 1) * width, width) for m in names})
        self.follow_private = nn.ModuleDict({m: TransformerStack(a) for m in names})
        self.grow_private = nn.ModuleDict({m: ResidualLayers(width, a) for m in names})
        self.specific = nn.ModuleDict({m: nn.Linear(width, a.classes) for m in names})
        self.gate = nn.ModuleDict({m: nn.Linear(width, width) for m in names})
        self.gate_common = nn.Linear(count * width, width)
        self.grow_fused = ResidualLayers((count + 1) * width, a)
        self.final = nn.Linear((count + 1) * width, a.classes)

    @property
    def receptive_field(self) -> int | None:
        """In mode `causal`, `kernel - 1` past utterances for the convolution, `memory - 1` for the
        cross-modal layers, which all attend to the same input, and for each transformer layer."""
        a = self.architecture
        if a.mode != "causal":
            return super().receptive_field
        cross_modal = 1 if len(self.modalities) > 1 else 0
        return (a.layers + cross_modal) * (a.memory - 1) + self.options.kernel

    def _groups(self) -> dict[str, list[nn.Parameter]]:
        """`shared` is the encoder of the common parts; `fusion` reads several modalities, with the
        cross-modal layers; `heads` are the other heads, the decoders and the speakers' vectors."""
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
            for module in (self.homogeneous, self.grow_private, self.specific, self.decode)
            for p in module.parameters()
        ]
        heads += self.speaker.parameters()
        parts = {**encoders, "shared": list(self.share.parameters()), "heads": heads}
        return {**parts, "fusion": self._remaining_parameters(parts.values())}

    def _answer(self, batch: Conversations, last: bool) -> Answers:
        mask, valid = visible(self.architecture, batch.valid), batch.valid[..., None]

        def follow(stacks: nn.ModuleDict) -> Follow:
            def apply(states: Sequence[Tensor]) -> list[Tensor]:
                named_states = zip(self.modalities, states, strict=True)
                return [stacks[m](x * valid, mask) for m, x in named_states]

            return apply

        def attend(
            query: Tensor, key_value: Tensor, target: str, source: str, layer: int
        ) -> Tensor:
            return self._cross_layer(target, source, layer).attention(query, key_value, mask)  # type: ignore[no-any-return]

        projected = {
            m: self.enter[m](self.drop_features(batch.features[m])) for m in self.modalities
        }
        shallow = {m: x * valid for m, x in self._shallow(projected, batch).items()}
        answers = self._answers(
            shallow, attend, follow(self.follow_common), follow(self.follow_private)
        )
        if self.training:
            losses = self._decoupling_losses(shallow, answers.shared, batch.present)
            answers = replace(answers, own=losses)
        return answers.last() if last else answers

    def _start(self) -> DMDMemory:
        a = self.architecture
        return DMDMemory(
            {m: cast(Convolution, self.enter[m]).start() for m in self.modalities},
            incremental.start(self._stacks(self.follow_common)),
            incremental.start(self._stacks(self.follow_private)),
            {
                (target, source, layer): self._cross_layer(target, source, layer).attention.start()
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
            def apply(states: Sequence[Tensor]) -> list[Tensor]:
                outputs, pasts[name] = incremental.step(
                    torch.cat(list(states)), getattr(memory, name), valid
                )
                return list(outputs[:, None])

            return apply

        def attend(
            query: Tensor, key_value: Tensor, target: str, source: str, layer: int
        ) -> Tensor:
            key = (target, source, layer)
            attended, rows[key] = self._cross_layer(*key).attention.next(
                query, key_value, memory.rows[key], valid[None, None]
            )
            return attended

        shallow = self._shallow(projected, turn)
        answers = self._answers(shallow, attend, follow("common"), follow("private"))
        return answers, DMDMemory(features, pasts["common"], pasts["private"], rows, valid[1:])

    def _shallow(self, projected: Mapping[str, Tensor], batch: Conversations) -> dict[str, Tensor]:
        """The modalities' utterances before decoupling."""
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
        attended = [self._cross_modal(private, m, attend) for m in self.modalities]
        followed = dict(zip(self.modalities, follow_private(attended), strict=True))
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

    def _cross_modal(self, private: Mapping[str, Tensor], target: str, attend: Attend) -> Tensor:
        """A modality's private part after cross-modal attention to the others' private parts."""
        attended = []
        for source, source_state in private.items():
            if source == target:
                continue
            state = private[target]
            for layer in range(self.architecture.layers):
                cross_layer = self._cross_layer(target, source, layer)
                query, key_value = (
                    cross_layer.norm_query(state),
                    cross_layer.norm_told(source_state),
                )
                state = state + self.drop(attend(query, key_value, target, source, layer))
                state = state + self.drop(cross_layer.feed(cross_layer.norm_feed(state)))
            attended.append(state)
        output: Tensor = self.told[target](torch.cat(attended or [private[target]], -1))
        return output

    def _decoupling_losses(
        self, shallow: Mapping[str, Tensor], shared: Mapping[str, Tensor], present: Tensor
    ) -> dict[str, Tensor]:
        """The weighted decoupling losses that need no labels, [B, N], summed over the modalities
        that are present.

        Reconstruction: the error of the input decoded from both parts. Cycle consistency: the error
        of the private part of that reconstruction. Orthogonality: the cosine of both parts.
        """
        losses: dict[str, list[Tensor]] = {"reconstruction": [], "cycle": [], "orthogonality": []}
        for index, m in enumerate(self.modalities):
            private, mask = self.private[m](shallow[m]), present[..., index]
            reconstruction = self.decode[m](torch.cat([private, shared[m]], -1))
            cycle = self.private[m](reconstruction)
            cosine = functional.cosine_similarity(shared[m], private, dim=-1)
            losses["reconstruction"].append((reconstruction - shallow[m]).square().mean(-1) * mask)
            losses["cycle"].append((cycle - private).square().mean(-1) * mask)
            losses["orthogonality"].append(cosine.relu() * mask)
        weights = (_DECOUPLING, _DECOUPLING, _ORTHOGONALITY)
        return {
            name: weight * torch.stack(values).sum(0)
            for (name, values), weight in zip(losses.items(), weights, strict=True)
        }

    def _cross_layer(self, target: str, source: str, layer: int) -> "CrossModalLayer":
        return cast(nn.ModuleList, self.ask[f"{target}_{source}"])[layer]  # type: ignore[return-value]

    def _stacks(self, stacks: nn.ModuleDict) -> list[TransformerStack]:
        return [cast(TransformerStack, stacks[m]) for m in self.modalities]


class CrossModalLayer(nn.Module):
    """A pre-norm transformer layer with attention from one modality to another."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.norm_query, self.norm_told = nn.LayerNorm(a.width), nn.LayerNorm(a.width)
        self.norm_feed = nn.LayerNorm(a.width)
        self.attention, self.feed = CrossAttention(a), feed_forward(a)


class ResidualLayers(nn.Module):
    """A residual block of two linear layers."""

    def __init__(self, width: int, a: Architecture) -> None:
        super().__init__()
        self.beside = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Dropout(a.dropout), nn.Linear(width, width)
        )

    def forward(self, state: Tensor) -> Tensor:
        output: Tensor = state + self.beside(state)
        return output
