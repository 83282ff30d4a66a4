"""Whether another person speaks on after a pause."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from gscon_live.model.encoders.speaker.speaker_clustering import SpeakerSpace, load_speaker_space

#: Below this logarithm of the likelihood ratio of one person to two, there are two: the first holds
#: after a short pause, the second after a long one (seconds). People who go on pause more briefly.
#: `python -m realtime.bench.ends` measures what that finds.
LIMITS = (-10.0, -1.0)
PAUSES = (0.3, 1.0)

Samples = NDArray[np.float32]


class VoiceChange:
    """Compares the voices of two sounds in the space that tells speakers apart.

    It gives the likelihood ratio of the two-covariance model (see `speaker_clustering`): both
    vectors come from one person, or from two.

    Args:
        statistics: the acoustic statistics of a sound, float32 [n] at 16 kHz -> [114].
        space: the projection; None takes the one that ships.

    Raises:
        InputError: the weights that ship are missing or damaged.
    """

    def __init__(
        self, statistics: Callable[[Samples], Samples], space: SpeakerSpace | None = None
    ) -> None:
        self._statistics = statistics
        self._space = load_speaker_space() if space is None else space
        self._between = self._space.between.double().numpy()

    def __call__(self, before: Samples, after: Samples, pause: float) -> bool:
        """Whether the second sound, float32 [m], is another person's than the first, [n], with so
        many seconds of silence between them."""
        limit = float(np.interp(pause, PAUSES, LIMITS))
        return self.likelihood_ratio(before, after) < limit

    def likelihood_ratio(self, before: Samples, after: Samples) -> float:
        """The logarithm of the likelihood ratio of one person to two."""
        first, second = self._position(before), self._position(after)
        between, total = self._between, self._between + 1
        # The determinant of the covariance of both vectors, if one person speaks.
        both = total**2 - between**2
        together = (total * (first**2 + second**2) - 2 * between * first * second) / both
        apart = (first**2 + second**2) / total
        return float(0.5 * np.sum(apart - together + 2 * np.log(total) - np.log(both)))

    def _position(self, samples: Samples) -> NDArray[np.float64]:
        with torch.inference_mode():
            statistics = torch.from_numpy(np.array(self._statistics(samples), np.float32))
            position: NDArray[np.float64] = self._space(statistics).double().numpy()
        return position
