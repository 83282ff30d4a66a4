"""The answers of the live model to whole conversations."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gscon_live.model.features import UtteranceFeatures
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.model.recogniser import EmotionRecogniser

#: A conversation: the features and the speaker of each utterance.
Conversation = Sequence[tuple[UtteranceFeatures, str]]


def answers(
    recogniser: EmotionRecogniser, conversations: Iterable[Conversation]
) -> NDArray[np.float64]:
    """The probabilities of all utterances in order, [n, 7]; every conversation begins anew."""
    rows = []
    for conversation in conversations:
        recogniser.reset()
        rows += [
            recogniser.final(features, speaker).probabilities for features, speaker in conversation
        ]
    return np.asarray(np.stack(rows) if rows else np.zeros((0, len(EMOTIONS))), np.float64)


def restricted(conversation: Conversation, kept: Sequence[str]) -> Conversation:
    """The conversation with only some of the modalities."""
    nothing = {modality: None for modality in MODALITIES if modality not in kept}
    return [(replace(features, **nothing), speaker) for features, speaker in conversation]
