"""Answers that change no faster than a user wants."""

import math
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

#: Of so many speakers the last answer is remembered.
SPEAKERS = 64

Probabilities = NDArray[np.float32]


class Smoothing:
    """The exponential moving average of a speaker's answers over media time.

    An answer counts by what the time since the speaker's last one leaves of that:
    `exp(-elapsed / seconds)` of the result is the last result. Memory does not grow.

    Args:
        seconds: the time constant; 0 leaves every answer as it is.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.reset()

    def reset(self) -> None:
        """Forgets everybody."""
        self._last: OrderedDict[str, tuple[float, Probabilities]] = OrderedDict()

    def __call__(
        self, probabilities: Probabilities, speaker: str, end: float, final: bool
    ) -> Probabilities:
        """The smoothed answer float32 [n], sum 1.

        Args:
            probabilities: the answer for an utterance, float32 [n], sum 1.
            speaker: who speaks.
            end: media time of the utterance's end, in seconds.
            final: whether the utterance is complete; only then is it remembered.
        """
        if not self._seconds:
            return probabilities
        smoothed = probabilities
        if speaker in self._last:
            before, last = self._last[speaker]
            kept = math.exp(-max(0.0, end - before) / self._seconds)
            mixed = kept * last.astype(np.float64) + (1 - kept) * probabilities
            smoothed = np.asarray(mixed / mixed.sum(), np.float32)
        if final:
            self._last[speaker] = end, smoothed
            self._last.move_to_end(speaker)
            if len(self._last) > SPEAKERS:
                self._last.popitem(last=False)
        return smoothed
