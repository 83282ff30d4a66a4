"""A speaker's own baseline, learned while they speak."""

import numpy as np
from numpy.typing import NDArray

#: Speakers that are remembered; beyond them, the one who was silent for longest is forgotten.
MAX_SPEAKERS = 100


class SpeakerBaseline:
    """Takes off what is constant in a speaker's voice: features relative to the mean of the
    speaker's utterances so far.

    The mean begins at the population's, which counts like `weight` utterances, and takes in only
    what came before. So a first utterance is read as anybody's, and nothing waits for the future.

    Args:
        population: mean features of many speakers, [dim].
        weight: how many utterances the population's mean counts for, above 0.
    """

    def __init__(self, population: NDArray[np.floating], weight: float = 4.0) -> None:
        self._population = np.asarray(population, np.float64)
        self._weight = weight
        self.reset()

    def reset(self) -> None:
        """Forgets all speakers."""
        self._speakers: dict[str, tuple[NDArray[np.float64], int]] = {}

    def known(self, speaker: str) -> float:
        """How much of the speaker's baseline is the speaker's own, from 0 (nothing) to 1."""
        _, count = self._speakers.get(speaker, (None, 0))
        return count / (self._weight + count)

    def relative(self, features: NDArray[np.floating], speaker: str) -> NDArray[np.float64]:
        """The features [dim] of the speaker's next utterance, moved by the difference between the
        population's mean and the speaker's; the baseline stays as it is."""
        total, count = self._speakers.get(speaker, (0.0, 0))
        mean = (self._weight * self._population + total) / (self._weight + count)
        return np.asarray(features - mean + self._population, np.float64)

    def add(self, features: NDArray[np.floating], speaker: str) -> None:
        """Takes an utterance's features [dim] into the speaker's baseline."""
        total, count = self._speakers.pop(speaker, (np.zeros(len(self._population)), 0))
        self._speakers[speaker] = (total + features, count + 1)
        if len(self._speakers) > MAX_SPEAKERS:
            del self._speakers[next(iter(self._speakers))]
