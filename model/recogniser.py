"""The emotion of an utterance in its conversation, as the conversation goes on."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gscon_live.common.errors import InputError
from gscon_live.model.checkpoint import Card, Checkpoint, modality_set_name
from gscon_live.model.conversations import speaker_number
from gscon_live.model.features import UtteranceFeatures
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.model.networks.network import Conversations, State


@dataclass(frozen=True)
class Opinion:
    """The emotion of an utterance, as the model sees it.

    `probabilities` float32 [7] in the order of `model.labels.EMOTIONS`, calibrated, with sum 1.
    `modalities` holds the same for each modality alone, None where it is missing. A modality's
    head also sees the common part of the others, so these opinions are not independent.
    """

    probabilities: NDArray[np.float32]
    modalities: dict[str, NDArray[np.float32] | None]


class EmotionRecogniser:
    """Recognises the emotion of one utterance after the other, in the context of the last ones.

    Deterministic. Memory and cost do not grow with the conversation.

    Args:
        checkpoint: the trained model.
        context: number of utterances to look at, the current one included; None takes the model's
            own: its window, or all of its memory.
        neutral_prior: the share of neutral utterances in such conversations, above 0 and below 1;
            None: that of the model's calibration data. The odds of neutral are multiplied by the
            ratio of the two priors' odds (Saerens et al. 2002, Adjusting the Outputs of a
            Classifier to New a Priori Probabilities), in the fused answer and in each modality's.

    Raises:
        InputError: the model has other emotions or modalities, needs future utterances, or its card
            has no prior; or `context` or `neutral_prior` is out of range.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        context: int | None = None,
        neutral_prior: float | None = None,
    ) -> None:
        card = checkpoint.card
        card.require_live()
        self._card = card
        self._model = checkpoint.model
        self._context = context
        self._shifts = {
            name: torch.tensor(shift, dtype=torch.float64) for name, shift in card.shifts.items()
        }
        self._shift = torch.zeros(len(EMOTIONS), dtype=torch.float64)
        if neutral_prior is not None:
            self._shift[EMOTIONS.index("neutral")] = _shift(card, neutral_prior)
        self.reset()

    def reset(self) -> None:
        """Forgets the conversation."""
        self._state = self._model.start(self._context)

    def provisional(self, features: UtteranceFeatures, speaker: str) -> Opinion:
        """The opinion on an utterance that goes on; the conversation's state stays unchanged."""
        return self._answer(features, speaker)[0]

    def final(self, features: UtteranceFeatures, speaker: str) -> Opinion:
        """The opinion on a complete utterance, which becomes part of the conversation."""
        opinion, self._state = self._answer(features, speaker)
        return opinion

    def _answer(self, features: UtteranceFeatures, speaker: str) -> tuple[Opinion, State]:
        vectors = self._checked(features)
        with torch.inference_mode():
            answers, state = self._model.step(self._state, self._turn(vectors, speaker))
            card, available = self._card, modality_set_name(vectors)
            opinion = Opinion(
                self._probabilities(
                    answers.final,
                    card.by_presence.get(available, card.temperature),
                    self._shifts.get(available, 0.0),
                ),
                {
                    m: self._probabilities(answers.specific[m], card.temperatures[m])
                    if m in vectors
                    else None
                    for m in MODALITIES
                },
            )
        return opinion, state

    def _probabilities(
        self, logits: Tensor, temperature: float, shift: Tensor | float = 0.0
    ) -> NDArray[np.float32]:
        # In double precision, so that the seven sum to one as closely as float32 can say.
        scaled = logits[0, -1].double() / temperature + shift + self._shift
        return np.asarray(scaled.softmax(-1), np.float32)

    def _checked(self, features: UtteranceFeatures) -> dict[str, NDArray[np.float32]]:
        """The vectors of the present modalities. Raises `ValueError` for a wrong shape."""
        vectors = {}
        for modality in MODALITIES:
            vector = getattr(features, modality)
            if vector is None:
                continue
            if vector.shape != (self._card.dims[modality],):
                raise ValueError(
                    f"{modality} features of shape {list(vector.shape)}, "
                    f"expected [{self._card.dims[modality]}]"
                )
            vectors[modality] = np.array(vector, np.float32)
        return vectors

    def _turn(self, vectors: Mapping[str, NDArray[np.float32]], speaker: str) -> Conversations:
        nothing = {m: np.zeros(self._card.dims[m], np.float32) for m in MODALITIES}
        return Conversations(
            {m: torch.from_numpy(x)[None, None] for m, x in {**nothing, **vectors}.items()},
            torch.tensor([[[m in vectors for m in MODALITIES]]]),
            torch.tensor([[speaker_number(speaker)]]),
            torch.ones(1, 1, dtype=torch.bool),
        )


def _shift(card: Card, neutral_prior: float) -> float:
    """The shift of the log-odds of neutral from the model's prior to another."""
    if not 0 < neutral_prior < 1:
        raise InputError(f"neutral_prior {neutral_prior:g}: expected above 0 and below 1")
    card.require_prior()
    model_prior = card.prior[EMOTIONS.index("neutral")]
    return math.log(neutral_prior / (1 - neutral_prior)) - math.log(model_prior / (1 - model_prior))
