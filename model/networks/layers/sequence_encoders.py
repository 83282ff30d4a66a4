"""One modality over the conversation: the encoders that GSCon has for each of its modalities.

Shapes: B conversations, N utterances, M modalities, d width.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gscon_live.model.conversations import Conversations
from gscon_live.model.networks.architecture import Architecture
from gscon_live.model.networks.layers import incremental
from gscon_live.model.networks.layers.blocks import TransformerStack, speaker_vectors
from gscon_live.model.networks.layers.recurrent import Recurrent, RecurrentState


class ModalityEncoder(nn.Module, ABC):
    """How utterances enter, and what is made of them in their conversation."""

    project: nn.Linear
    absence: nn.Parameter
    speaker: nn.Embedding
    drop_features: nn.Dropout
    drop: nn.Dropout

    def enter(self, batch: Conversations, modality: str, place: int) -> Tensor:
        """The utterances [B, N, d]: projection or absence, and the speaker; zero on padding."""
        projected = self.project(self.drop_features(batch.features[modality]))
        state = torch.where(batch.present[..., place, None], projected, self.absence)
        entered: Tensor = self.drop(state + self.speaker(batch.speakers))
        return entered * batch.valid[..., None]

    @abstractmethod
    def encode(self, entered: Tensor, batch: Conversations, seen: Tensor) -> Tensor:
        """The utterances in their conversations, [B, N, d]; for `seen` [B, N, N] see `visible`."""

    @classmethod
    @abstractmethod
    def start(cls, encoders: Sequence[Any]) -> Any:
        """What encoders of this class, one for each modality, remember at the beginning."""

    @classmethod
    @abstractmethod
    def step(
        cls, encoders: Sequence[Any], entered: Tensor, turn: Conversations, past: Any
    ) -> tuple[Tensor, Any]:
        """One more utterance, [M, 1, d], and the past with it. Not in mode `full`."""

    def _add_input_layers(self, a: Architecture, dim: int) -> None:
        """Makes what an utterance enters by; `dim` is the length of the modality's features."""
        self.project = nn.Linear(dim, a.width)
        self.absence = nn.Parameter(torch.randn(a.width) * 0.1)
        self.speaker = speaker_vectors(a)
        self.drop_features, self.drop = nn.Dropout(a.dropout), nn.Dropout(a.dropout)


@dataclass(frozen=True)
class TransformerPast:
    """What transformers remember: which of the `memory - 1` utterances before there were, bool,
    the last one last; and the `past` of them all."""

    valid: Tensor
    past: incremental.Past


class TransformerEncoder(TransformerStack, ModalityEncoder):
    """The paper's encoder. Position enters as the distance between two utterances, so that nothing
    depends on how long the conversation has been."""

    def __init__(self, a: Architecture, dim: int) -> None:
        super().__init__(a)
        self._add_input_layers(a, dim)

    def encode(self, entered: Tensor, batch: Conversations, seen: Tensor) -> Tensor:
        return self(entered, seen)  # type: ignore[no-any-return]

    @classmethod
    def start(cls, encoders: Sequence["TransformerEncoder"]) -> TransformerPast:
        first = encoders[0]
        nothing = torch.zeros(first.memory - 1, dtype=torch.bool, device=first.absence.device)
        return TransformerPast(nothing, incremental.start(encoders))

    @classmethod
    def step(
        cls,
        encoders: Sequence["TransformerEncoder"],
        entered: Tensor,
        turn: Conversations,
        past: TransformerPast,
    ) -> tuple[Tensor, TransformerPast]:
        valid = torch.cat([past.valid, turn.valid[0]])
        state, after = incremental.step(entered, past.past, valid)
        return state, TransformerPast(valid[1:], after)


class RecurrentEncoder(Recurrent, ModalityEncoder):
    """GRUs of the speakers and of the conversation, see `model.networks.layers.recurrent`."""

    def __init__(self, a: Architecture, dim: int) -> None:
        super().__init__(a)
        self._add_input_layers(a, dim)

    def encode(self, entered: Tensor, batch: Conversations, seen: Tensor) -> Tensor:
        return self(entered, batch.speakers, batch.valid)  # type: ignore[no-any-return]

    @classmethod
    def start(cls, encoders: Sequence["RecurrentEncoder"]) -> tuple[RecurrentState, ...]:
        return tuple(one.forwards.start() for one in encoders)

    @classmethod
    def step(
        cls,
        encoders: Sequence["RecurrentEncoder"],
        entered: Tensor,
        turn: Conversations,
        past: tuple[RecurrentState, ...],
    ) -> tuple[Tensor, tuple[RecurrentState, ...]]:
        speaker, rows = int(turn.speakers), entered.unsqueeze(1)
        made = [
            one.next(row, speaker, told)
            for one, row, told in zip(encoders, rows, past, strict=True)
        ]
        return torch.cat([state for state, _ in made]), tuple(told for _, told in made)


#: The encoders by name.
ENCODERS: dict[str, Callable[[Architecture, int], ModalityEncoder]] = {
    "transformer": TransformerEncoder,
    "recurrent": RecurrentEncoder,
}
