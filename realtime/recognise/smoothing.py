"""Smooths a speaker's answers over time."""

import math
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

#: Maximal number of speakers whose last answer is kept.
SPEAKERS = 64

Probabilities = NDArray[np.float32]


class Smoothing:
    """Exponential moving average of a speaker's answers over media time.

    The speaker's last result has the weight `exp(-elapsed / seconds)`, the new answer the rest.
    Memory is bounded.

    Args:
        seconds: the time constant; 0 leaves every answer as it is.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.reset()

    def reset(self) -> None:
        """Forgets all answers."""
        self._last: OrderedDict[str, tuple[float, Probabilities]] = OrderedDict()

    def __call__(
        self, probabilities: Probabilities, speaker: str, end: float, final: bool
    ) -> Probabilities:
        """The smoothed answer float32 [n], sum 1.

        Args:
            probabilities: the answer for an utterance, float32 [n], sum 1.
            speaker: the speaker's name.
            end: media time of the utterance's end, in seconds.
            final: whether the utterance is complete; only final results are kept.
        """
        if not self._seconds:
            return probabilities
        smoothed = probabilities
        if speaker in self._last:
            last_end, last = self._last[speaker]
            weight = math.exp(-max(0.0, end - last_end) / self._seconds)
            mixed = weight * last.astype(np.float64) + (1 - weight) * probabilities
            smoothed = np.asarray(mixed / mixed.sum(), np.float32)
        if final:
            self._last[speaker] = end, smoothed
            self._last.move_to_end(speaker)
            if len(self._last) > SPEAKERS:
                self._last.popitem(last=False)
        return smoothed
