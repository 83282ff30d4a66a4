"""A plain baseline with context: one transformer over the utterances, with summed modalities."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gscon_live.model.networks.baselines.baseline import Baseline
from gscon_live.model.networks.layers import incremental
from gscon_live.model.networks.layers.blocks import (
    Fused,
    TransformerStack,
    speaker_vectors,
    visible,
)
from gscon_live.model.networks.network import Architecture, Conversations


@dataclass(frozen=True)
class TransformerMemory:
    """`valid` bool [memory - 1], which of the last utterances exist; the `past` of the stack."""

    valid: Tensor
    past: incremental.Past


class Transformer(Baseline):
    """A pre-norm transformer on the sum of the projections and the speaker's vector.

    Attention has learned biases for distances (Vaswani et al. 2017, Xiong et al. 2020, and for the
    biases Raffel et al. 2020). A linear layer gives the logits.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        a = architecture
        self.speaker = speaker_vectors(a)
        self.drop = nn.Dropout(a.dropout)
        self.stack = TransformerStack(a)
        self.final = nn.Linear(a.width, a.classes)

    @property
    def receptive_field(self) -> int | None:
        """In mode `causal`, `memory - 1` past utterances for each layer."""
        a = self.architecture
        return a.layers * (a.memory - 1) + 1 if a.mode == "causal" else super().receptive_field

    def _fuse(self, encoded: dict[str, Tensor], batch: Conversations) -> Fused:
        state = self._input_states(encoded, batch) * batch.valid[..., None]
        state = self.stack(state, visible(self.architecture, batch.valid))
        return Fused(state, self.final(state))

    def _start(self) -> TransformerMemory:
        none_valid = torch.zeros(self.architecture.memory - 1, dtype=torch.bool)
        return TransformerMemory(
            none_valid.to(self.final.weight.device), incremental.start([self.stack])
        )

    def _fuse_next(
        self, memory: Any, encoded: dict[str, Tensor], turn: Conversations
    ) -> tuple[Fused, TransformerMemory]:
        valid = torch.cat([memory.valid, turn.valid[0]])
        state, past = incremental.step(self._input_states(encoded, turn), memory.past, valid)
        return Fused(state, self.final(state)), TransformerMemory(valid[1:], past)

    def _input_states(self, encoded: dict[str, Tensor], batch: Conversations) -> Tensor:
        summed = torch.stack(list(encoded.values())).sum(0)
        entered: Tensor = self.drop(summed + self.speaker(batch.speakers))
        return entered
