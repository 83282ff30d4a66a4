"""What is known about an utterance before its emotion is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class UtteranceFeatures:
    """The features of one utterance, each float32 [dim of its encoder], or None where missing."""

    text: NDArray[np.float32] | None = None
    audio: NDArray[np.float32] | None = None
    visual: NDArray[np.float32] | None = None
