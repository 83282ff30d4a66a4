"""The common base class of the baselines: each modality is projected, then all are fused."""

from abc import abstractmethod
from typing import Any

from torch import Tensor, nn

from gscon_live.model.networks.layers.blocks import Fused, Projection
from gscon_live.model.networks.network import Answers, Architecture, Conversations, Network


class Baseline(Network):
    """Projects each modality's features, with a learned vector for missing ones.

    Each projection has a linear head. The method itself reads all projections and gives the final
    logits. The projections are `encoded` of the outputs.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        a = architecture
        self.encode = nn.ModuleDict({m: Projection(a, a.read[m]) for m in self.modalities})
        self.specific = nn.ModuleDict({m: nn.Linear(a.width, a.classes) for m in self.modalities})

    def _groups(self) -> dict[str, list[nn.Parameter]]:
        """`enc.<modality>` is the projection, `heads` are the unimodal heads, `shared` is empty,
        and `fusion` is the rest."""
        parts = {f"enc.{m}": list(self.encode[m].parameters()) for m in self.modalities}
        parts |= {"shared": [], "heads": list(self.specific.parameters())}
        return {**parts, "fusion": self._remaining_parameters(parts.values())}

    @abstractmethod
    def _fuse(self, encoded: dict[str, Tensor], batch: Conversations) -> Fused:
        """The input of the classifier's last layer, and the final logits."""

    @abstractmethod
    def _fuse_next(
        self, memory: Any, encoded: dict[str, Tensor], turn: Conversations
    ) -> tuple[Fused, Any]:
        """The same for the next utterance, and the memory after it."""

    def _answer(self, batch: Conversations, last: bool) -> Answers:
        encoded = self._encode(batch)
        answers = self._answers(self._fuse(encoded, batch), encoded)
        return answers.last() if last else answers

    def _step(self, memory: Any, turn: Conversations) -> tuple[Answers, Any]:
        encoded = self._encode(turn)
        fused, memory = self._fuse_next(memory, encoded, turn)
        return self._answers(fused, encoded), memory

    def _encode(self, batch: Conversations) -> dict[str, Tensor]:
        return {
            m: self.encode[m](batch.features[m], batch.present[..., index])
            for index, m in enumerate(self.modalities)
        }

    def _answers(self, fused: Fused, encoded: dict[str, Tensor]) -> Answers:
        specific = {m: self.specific[m](x) for m, x in encoded.items()}
        return Answers(fused.logits, specific, encoded, fused.state)
