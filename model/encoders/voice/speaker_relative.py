"""Features relative to the mean of their speaker so far."""

import numpy as np
from numpy.typing import NDArray


class SpeakerRelative:
    """Puts beside each feature its difference from the speaker's mean in the conversation so far.

    A voice that is high for one person is low for another. The mean takes in the speaker's
    utterances up to the current one and nothing later, so the first difference is zero. `reset`
    between conversations.
    """

    def __init__(self) -> None:
        self._sums: dict[str | int, tuple[NDArray[np.float64], int]] = {}

    def reset(self) -> None:
        """Forgets the conversation."""
        self._sums.clear()

    def __call__(self, features: NDArray[np.float32], speaker: str | int) -> NDArray[np.float32]:
        """The features [dim] and their differences, float32 [2 dim]."""
        total, count = self._sums.get(speaker, (np.zeros(len(features)), 0))
        total, count = total + features, count + 1
        self._sums[speaker] = (total, count)
        return np.concatenate([features, features - total / count]).astype(np.float32)
