"""Whether an utterance sounds finished, from what is known when its voice pauses.

At the end of a sentence the voice is softer than before (declination), and the longer somebody has
spoken, the likelier the sentence is over. Pitch was tried and added nothing. The weights were
fitted on pauses of ten readers: `python -m realtime.bench.ends` fits and measures them.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Voiced windows that count as the end of an utterance: 0.32 s.
LAST = 10


class Pause(NamedTuple):
    """What is known at a pause: `seconds` since the utterance began, and `fall`, the level of its
    last voiced windows over that of all, in dB (negative: softer)."""

    seconds: float
    fall: float


class Weights(NamedTuple):
    """Log odds of a finished utterance: for e-fold length, for each dB, and without either."""

    length: float
    fall: float
    bias: float

    def probability(self, pause: Pause) -> float:
        """The probability that the utterance is finished, 0 to 1."""
        odds = self.length * math.log(pause.seconds) + self.fall * pause.fall + self.bias
        return 1 / (1 + math.exp(-odds))


#: The weights that `python -m realtime.bench.ends` prints for all readers.
FITTED = Weights(length=1.287, fall=-0.134, bias=-2.227)

#: At this probability and above, the shortest silence is enough; at the other, the longest is
#: needed; in between, silence in proportion.
SURE, UNSURE = 0.85, 0.55


def pause(levels: NDArray[np.floating], seconds: float) -> Pause:
    """What is known at a pause.

    Args:
        levels: of the voiced windows, in dB, [n], at least one.
        seconds: since the utterance began, above 0.
    """
    return Pause(seconds, float(levels[-LAST:].mean() - levels.mean()))


def hangover(probability: float, shortest: float, longest: float) -> float:
    """Seconds of silence that end an utterance which is finished with this probability."""
    if longest <= shortest:
        return shortest
    doubt = (SURE - probability) / (SURE - UNSURE)
    return shortest + (longest - shortest) * min(1.0, max(0.0, doubt))
