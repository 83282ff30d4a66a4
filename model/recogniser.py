"""The emotion of an utterance in its conversation, as the conversation goes on."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from configs.errors import InputError
from model.checkpoint import Checkpoint, presence
from model.features import UtteranceFeatures
from model.labels import MODALITIES
from model.network import Conversations


@dataclass(frozen=True)
class Opinion:
    """What the model thinks of an utterance.

    `probabilities` float32 [7] in the order of `model.labels.EMOTIONS`, calibrated, with sum 1.
    `modalities` holds each modality's own opinion likewise, None where it is missing. A modality's
    head also sees the common part of the others, so the opinions are not independent.
    """

    probabilities: NDArray[np.float32]
    modalities: dict[str, NDArray[np.float32] | None]


@dataclass(frozen=True)
class _Turn:
    features: dict[str, Tensor | None]
    speaker: str


class EmotionRecogniser:
    """Answers for one utterance after the other, in the context of the last ones.

    Deterministic. Memory and cost do not grow with the conversation.

    Args:
        checkpoint: the trained model.
        context: how many utterances to look at, the current one included; None takes the number
            that the model was trained with.
        encoders: identities of the encoders whose features will come, by modality.

    Raises:
        InputError: the model was trained with other encoders, or `context` is below 1.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        context: int | None = None,
        encoders: Mapping[str, str] | None = None,
    ) -> None:
        card = checkpoint.card
        for modality, identity in (encoders or {}).items():
            card.require(modality, identity)
        if context is not None and context < 1:
            raise InputError(f"context {context}: an utterance itself is 1; give 1 or more")
        self._card = card
        self._model = checkpoint.model
        self._past: deque[_Turn] = deque(maxlen=(context or card.context) - 1)

    def reset(self) -> None:
        """Forgets the conversation."""
        self._past.clear()

    def provisional(self, features: UtteranceFeatures, speaker: str) -> Opinion:
        """The opinion on an utterance as far as it is known; the conversation stays as it is."""
        return self._answer([*self._past, self._turn(features, speaker)])

    def final(self, features: UtteranceFeatures, speaker: str) -> Opinion:
        """The opinion on a complete utterance, which becomes part of the conversation."""
        turn = self._turn(features, speaker)
        opinion = self._answer([*self._past, turn])
        self._past.append(turn)
        return opinion

    def _turn(self, features: UtteranceFeatures, speaker: str) -> _Turn:
        checked: dict[str, Tensor | None] = {}
        for modality in MODALITIES:
            vector = getattr(features, modality)
            if vector is not None and vector.shape != (self._card.dims[modality],):
                raise ValueError(
                    f"{modality} features of shape {list(vector.shape)}, "
                    f"expected [{self._card.dims[modality]}]"
                )
            checked[modality] = (
                None if vector is None else torch.from_numpy(np.array(vector, np.float32))
            )
        return _Turn(checked, speaker)

    def _answer(self, turns: Sequence[_Turn]) -> Opinion:
        with torch.inference_mode():
            answers = self._model(self._window(turns), last=True)
            card, features = self._card, turns[-1].features
            there = presence(m for m, vector in features.items() if vector is not None)
            return Opinion(
                _probabilities(answers.final, card.by_presence.get(there, card.temperature)),
                {
                    m: _probabilities(answers.specific[m], card.temperatures[m])
                    if features[m] is not None
                    else None
                    for m in MODALITIES
                },
            )

    def _window(self, turns: Sequence[_Turn]) -> Conversations:
        features, present = {}, []
        for m in MODALITIES:
            rows = [turn.features[m] for turn in turns]
            nothing = torch.zeros(self._card.dims[m])
            features[m] = torch.stack([nothing if row is None else row for row in rows])[None]
            present.append(torch.tensor([row is not None for row in rows]))
        numbers = speakers_by_appearance([turn.speaker for turn in turns])
        return Conversations(
            features=features,
            present=torch.stack(present, -1)[None],
            speakers=torch.tensor([numbers]),
            valid=torch.ones(1, len(turns), dtype=torch.bool),
        )


def speakers_by_appearance(speakers: Sequence[str | int]) -> list[int]:
    """Speakers as numbers from 0, in the order in which they first appear."""
    numbers: dict[str | int, int] = {}
    return [numbers.setdefault(speaker, len(numbers)) for speaker in speakers]


def _probabilities(logits: Tensor, temperature: float) -> NDArray[np.float32]:
    # In double precision, so that the seven sum to one as closely as float32 can say.
    scaled = logits[0, -1].double() / temperature
    return np.asarray(scaled.softmax(-1), np.float32)
