"""What the baselines have in common: modalities projected one by one, and read together then."""

from abc import abstractmethod
from typing import Any

from torch import Tensor, nn

from model.layers import Projection
from model.network import Answers, Architecture, Conversations, Network


class Baseline(Network):
    """Projects each modality's features (`encoded`), with a learned vector for missing ones. On
    each projection is a linear head of the modality's own; what the baseline is known for reads
    all projections and gives the final answer."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        a = architecture
        self.encode = nn.ModuleDict({m: Projection(a, a.read[m]) for m in self.modalities})
        self.specific = nn.ModuleDict({m: nn.Linear(a.width, a.classes) for m in self.modalities})

    def _groups(self) -> dict[str, list[nn.Parameter]]:
        """A projection each, nothing shared, what reads all, the unimodal heads."""
        encoders = {f"enc.{m}": list(self.encode[m].parameters()) for m in self.modalities}
        heads = list(self.specific.parameters())
        direct = [] if self.direct is None else list(self.direct.parameters())
        elsewhere = {id(p) for part in (*encoders.values(), heads, direct) for p in part}
        fusion = [p for p in self.parameters() if id(p) not in elsewhere]
        return {**encoders, "shared": [], "fusion": fusion, "heads": heads}

    @abstractmethod
    def _fuse(self, encoded: dict[str, Tensor], batch: Conversations) -> Tensor:
        """The final logits [B, N, C]."""

    @abstractmethod
    def _fuse_next(
        self, memory: Any, encoded: dict[str, Tensor], turn: Conversations
    ) -> tuple[Tensor, Any]:
        """The final logits [1, 1, C] of one more utterance, and the memory with it."""

    def _answer(self, batch: Conversations, last: bool) -> Answers:
        encoded = self._encode(batch)
        final = self._fuse(encoded, batch)
        if last:
            final, encoded = final[:, -1:], {m: x[:, -1:] for m, x in encoded.items()}
        return self._answers(final, encoded)

    def _step(self, memory: Any, turn: Conversations) -> tuple[Answers, Any]:
        encoded = self._encode(turn)
        final, memory = self._fuse_next(memory, encoded, turn)
        return self._answers(final, encoded), memory

    def _encode(self, batch: Conversations) -> dict[str, Tensor]:
        return {
            m: self.encode[m](batch.features[m], batch.present[..., place])
            for place, m in enumerate(self.modalities)
        }

    def _answers(self, final: Tensor, encoded: dict[str, Tensor]) -> Answers:
        return Answers(final, {m: self.specific[m](x) for m, x in encoded.items()}, encoded)
