"""The baseline without context: a multilayer perceptron on the features of one utterance.

What other networks gain over it, they gain from the context, unless the features already have it.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from gscon_live.model.networks.baselines.baseline import Baseline
from gscon_live.model.networks.layers.blocks import Fused
from gscon_live.model.networks.network import Architecture, Conversations


class MLP(Baseline):
    """The projections side by side, then `layers` hidden layers: the same in every mode.

    It does not read the speakers: their numbers, by appearance, depend on earlier utterances.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        a = architecture
        widths = [len(self.modalities) * a.width, *[a.width] * a.layers]
        self.hidden = nn.Sequential()
        for input_dim, output_dim in pairwise(widths):
            self.hidden.extend([nn.Linear(input_dim, output_dim), nn.ReLU(), nn.Dropout(a.dropout)])
        self.final = nn.Linear(a.width, a.classes)

    @property
    def receptive_field(self) -> int | None:
        """The utterance itself."""
        return 1

    def _fuse(self, encoded: dict[str, Tensor], batch: Conversations) -> Fused:
        state = self.hidden(torch.cat(list(encoded.values()), -1).relu())
        return Fused(state, self.final(state))

    def _start(self) -> None:
        return None

    def _fuse_next(
        self, memory: Any, encoded: dict[str, Tensor], turn: Conversations
    ) -> tuple[Fused, None]:
        return self._fuse(encoded, turn), None
