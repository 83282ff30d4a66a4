"""Words, voice and face of an utterance, added up."""

from typing import Any

import torch
from torch import Tensor, nn

from gscon_live.model.networks.baselines.baseline import Baseline
from gscon_live.model.networks.layers.blocks import Fused
from gscon_live.model.networks.network import Architecture, Conversations


class Sum(Baseline):
    """The sum of the projections; a linear layer answers."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        self.final = nn.Linear(architecture.width, architecture.classes)

    @property
    def receptive_field(self) -> int:
        """The utterance itself."""
        return 1

    def _fuse(self, encoded: dict[str, Tensor], batch: Conversations) -> Fused:
        state = torch.stack(list(encoded.values())).sum(0).relu()
        return Fused(state, self.final(state))

    def _start(self) -> None:
        return None

    def _fuse_next(
        self, memory: Any, encoded: dict[str, Tensor], turn: Conversations
    ) -> tuple[Fused, None]:
        return self._fuse(encoded, turn), None
