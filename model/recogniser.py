"""The emotion of an utterance in its conversation, as the conversation goes on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gscon_live.model import priors
from gscon_live.model.checkpoint import Checkpoint, modality_set_name
from gscon_live.model.conversations import speaker_number
from gscon_live.model.features import UtteranceFeatures
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.model.networks.network import Conversations, ConversationState


@dataclass(frozen=True)
class Opinion:
    """The recognised emotion of an utterance.

    `probabilities` float32 [7] in the order of `model.labels.EMOTIONS`, calibrated, with sum 1.
    `modalities` has the same for each modality's own head, None where the modality is missing.
    These heads may also read the common part of all modalities, so they are not independent.
    """

    probabilities: NDArray[np.float32]
    modalities: dict[str, NDArray[np.float32] | None]


class EmotionRecogniser:
    """Recognises the emotions of a conversation's utterances, one at a time, in their context.

    Deterministic. Memory and cost do not grow with the conversation.

    Args:
        checkpoint: the trained model.
        context: number of utterances in the context, the current one included; None takes the
            model's own window or memory.
        prior: how frequent the emotions are where the conversation takes place, see
            `model.priors`: it moves the fused probabilities and each modality's. `model` is the
            model's own, and moves nothing.

    Attributes:
        prior: the shares that the answers were moved to, float64 [7] with sum 1; None for `model`.

    Raises:
        InputError: the model has other emotions or modalities or needs future utterances; its card
            has no prior but `prior` asks for another; or `context` or `prior` is not valid.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        context: int | None = None,
        prior: priors.Prior = priors.MODEL,
    ) -> None:
        card = checkpoint.card
        card.require_live()
        self._card = card
        self._model = checkpoint.model
        self._context = context
        self._shifts = {
            name: torch.tensor(shift, dtype=torch.float64) for name, shift in card.shifts.items()
        }
        self.prior: NDArray[np.float64] | None = None
        self._move = torch.zeros(len(EMOTIONS), dtype=torch.float64)
        if prior != priors.MODEL:
            card.require_prior()
            self.prior = priors.shares(prior, card.prior)
            self._move = torch.from_numpy(np.log(self.prior) - np.log(card.prior))
        self.reset()

    def reset(self) -> None:
        """Forgets the conversation."""
        self._state = self._model.start(self._context)

    def provisional(self, features: UtteranceFeatures, speaker: str) -> Opinion:
        """The emotion of an unfinished utterance; the conversation's state stays unchanged."""
        return self._recognise(features, speaker)[0]

    def final(self, features: UtteranceFeatures, speaker: str) -> Opinion:
        """The emotion of a complete utterance, which becomes part of the conversation."""
        opinion, self._state = self._recognise(features, speaker)
        return opinion

    def _recognise(
        self, features: UtteranceFeatures, speaker: str
    ) -> tuple[Opinion, ConversationState]:
        vectors = self._vectors(features)
        with torch.inference_mode():
            outputs, state = self._model.step(self._state, self._turn(vectors, speaker))
            card, available = self._card, modality_set_name(vectors)
            opinion = Opinion(
                self._probabilities(
                    outputs.final,
                    card.by_presence.get(available, card.temperature),
                    self._shifts.get(available, 0.0),
                ),
                {
                    m: self._probabilities(outputs.specific[m], card.temperatures[m])
                    if m in vectors
                    else None
                    for m in MODALITIES
                },
            )
        return opinion, state

    def _probabilities(
        self, logits: Tensor, temperature: float, shift: Tensor | float = 0.0
    ) -> NDArray[np.float32]:
        # In double precision, so that the float32 probabilities sum to one.
        scaled = logits[0, -1].double() / temperature + shift + self._move
        return np.asarray(scaled.softmax(-1), np.float32)

    def _vectors(self, features: UtteranceFeatures) -> dict[str, NDArray[np.float32]]:
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
        zeros = {m: np.zeros(self._card.dims[m], np.float32) for m in MODALITIES}
        return Conversations(
            {m: torch.from_numpy(x)[None, None] for m, x in {**zeros, **vectors}.items()},
            torch.tensor([[[m in vectors for m in MODALITIES]]]),
            torch.tensor([[speaker_number(speaker)]]),
            torch.ones(1, 1, dtype=torch.bool),
        )
