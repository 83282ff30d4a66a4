"""The features of an utterance, by modality."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class UtteranceFeatures:
    """The features of an utterance: float32 [dim of the encoder], None where missing."""

    text: NDArray[np.float32] | None = None
    audio: NDArray[np.float32] | None = None
    visual: NDArray[np.float32] | None = None
