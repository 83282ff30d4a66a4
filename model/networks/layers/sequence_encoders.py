"""Sequence encoders: one modality's utterances in the context of the conversation.

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
    """Base class: the input layers of a modality, and its encoder over the conversation."""

    project: nn.Linear
    absence: nn.Parameter
    speaker: nn.Embedding
    drop_features: nn.Dropout
    drop: nn.Dropout

    def enter(self, batch: Conversations, modality: str, index: int) -> Tensor:
        """The input layers: projected features, or the absence vector where missing, plus the
        speaker's vector, [B, N, d]; zero on padding. `index` is the modality's in the masks."""
        projected = self.project(self.drop_features(batch.features[modality]))
        state = torch.where(batch.present[..., index, None], projected, self.absence)
        entered: Tensor = self.drop(state + self.speaker(batch.speakers))
        return entered * batch.valid[..., None]

    @abstractmethod
    def encode(self, entered: Tensor, batch: Conversations, mask: Tensor) -> Tensor:
        """Encodes utterances in their conversations, [B, N, d] to [B, N, d]; for `mask` bool
        [B, N, N] see `visible`."""

    @classmethod
    @abstractmethod
    def start(cls, encoders: Sequence[Any]) -> Any:
        """The past of encoders of this class, one for each modality, before the first utterance."""

    @classmethod
    @abstractmethod
    def step(
        cls, encoders: Sequence[Any], entered: Tensor, turn: Conversations, past: Any
    ) -> tuple[Tensor, Any]:
        """The outputs for the next utterance, [M, 1, d], and the past of the one after it. Not in
        mode `full`."""

    def _add_input_layers(self, a: Architecture, dim: int) -> None:
        """Adds the input layers; `dim` is the length of the modality's features."""
        self.project = nn.Linear(dim, a.width)
        self.absence = nn.Parameter(torch.randn(a.width) * 0.1)
        self.speaker = speaker_vectors(a)
        self.drop_features, self.drop = nn.Dropout(a.dropout), nn.Dropout(a.dropout)


@dataclass(frozen=True)
class TransformerPast:
    """The past of transformer encoders: `valid` bool [memory - 1], which of the last utterances
    exist, the latest last; and the `past` of all stacks."""

    valid: Tensor
    past: incremental.Past


class TransformerEncoder(TransformerStack, ModalityEncoder):
    """A transformer, as in GSCon's paper. Positions enter as distances between utterances, so that
    nothing depends on the length of the conversation."""

    def __init__(self, a: Architecture, dim: int) -> None:
        super().__init__(a)
        self._add_input_layers(a, dim)

    def encode(self, entered: Tensor, batch: Conversations, mask: Tensor) -> Tensor:
        return self(entered, mask)  # type: ignore[no-any-return]

    @classmethod
    def start(cls, encoders: Sequence["TransformerEncoder"]) -> TransformerPast:
        first = encoders[0]
        none_valid = torch.zeros(first.memory - 1, dtype=torch.bool, device=first.absence.device)
        return TransformerPast(none_valid, incremental.start(encoders))

    @classmethod
    def step(
        cls,
        encoders: Sequence["TransformerEncoder"],
        entered: Tensor,
        turn: Conversations,
        past: TransformerPast,
    ) -> tuple[Tensor, TransformerPast]:
        valid = torch.cat([past.valid, turn.valid[0]])
        state, stack_past = incremental.step(entered, past.past, valid)
        return state, TransformerPast(valid[1:], stack_past)


class RecurrentEncoder(Recurrent, ModalityEncoder):
    """GRUs over the speakers and the conversation, see `model.networks.layers.recurrent`."""

    def __init__(self, a: Architecture, dim: int) -> None:
        super().__init__(a)
        self._add_input_layers(a, dim)

    def encode(self, entered: Tensor, batch: Conversations, mask: Tensor) -> Tensor:
        return self(entered, batch.speakers, batch.valid)  # type: ignore[no-any-return]

    @classmethod
    def start(cls, encoders: Sequence["RecurrentEncoder"]) -> tuple[RecurrentState, ...]:
        return tuple(encoder.forwards.start() for encoder in encoders)

    @classmethod
    def step(
        cls,
        encoders: Sequence["RecurrentEncoder"],
        entered: Tensor,
        turn: Conversations,
        past: tuple[RecurrentState, ...],
    ) -> tuple[Tensor, tuple[RecurrentState, ...]]:
        speaker, rows = int(turn.speakers), entered.unsqueeze(1)
        outputs = [
            encoder.next(row, speaker, encoder_past)
            for encoder, row, encoder_past in zip(encoders, rows, past, strict=True)
        ]
        return torch.cat([state for state, _ in outputs]), tuple(
            encoder_past for _, encoder_past in outputs
        )


#: The encoders by name, see `Architecture.encoder`.
ENCODERS: dict[str, Callable[[Architecture, int], ModalityEncoder]] = {
    "transformer": TransformerEncoder,
    "recurrent": RecurrentEncoder,
}
