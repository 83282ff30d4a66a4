"""Online speaker clustering: who speaks, as the conversation goes on.

The acoustic statistics of an utterance are projected by linear discriminant analysis and scaled to
a within-speaker variance of 1. `between` is the between-speaker variance. Both are Gaussian: the
two-covariance model of probabilistic linear discriminant analysis (Ioffe 2006; Prince and Elder
2007). It gives the probability that an utterance is by a known speaker or by a new one. The prior
of a new speaker is that of the Chinese restaurant process (Aldous 1985). It falls with the number
of utterances, so that the number of speakers hardly grows with the conversation.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gscon_live.model.shipped_weights import FOLDER, load_weights

WEIGHTS = FOLDER / "speaker.safetensors"
#: Dimensions of the projected space.
DIRECTIONS = 20
#: Concentration of the Chinese restaurant process: weight of a new speaker, in utterances.
NEW = 0.1
#: A speaker's mean is over about this many utterances at most, so that it follows slow changes.
REMEMBERED = 50
#: Standardised statistics are clipped at this many deviations.
_MOST = 4.0

Vector = NDArray[np.float32]


class SpeakerSpace(nn.Module):
    """Projects acoustic statistics [n, 114] to the space of speakers, [n, 20].

    Buffers: `mean` and `deviation` of the statistics, `projection` [114, 20] and `shift` [20], and
    `between` [20], the variance of speakers' means where one speaker's utterances have variance 1.
    """

    mean: Tensor
    deviation: Tensor
    projection: Tensor
    shift: Tensor
    between: Tensor

    def __init__(self, statistics: int = 114, directions: int = DIRECTIONS) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(statistics))
        self.register_buffer("deviation", torch.ones(statistics))
        self.register_buffer("projection", torch.zeros(statistics, directions))
        self.register_buffer("shift", torch.zeros(directions))
        self.register_buffer("between", torch.ones(directions))

    def standardised(self, statistics: Tensor) -> Tensor:
        """Standardised statistics, clipped at four deviations."""
        return ((statistics - self.mean) / self.deviation).clamp(-_MOST, _MOST)

    def forward(self, statistics: Tensor) -> Tensor:
        """See the class."""
        return self.standardised(statistics) @ self.projection - self.shift


@dataclass
class _Voice:
    """A speaker: the sum of projected utterances, the weight of the sum in utterances, and the
    number of utterances in all."""

    total: NDArray[np.float64]
    weight: int
    utterances: int


class Speakers:
    """Names the speakers of a conversation S1, S2, ... in order of appearance.

    Deterministic. Memory and cost do not grow with the conversation.

    Args:
        most: the largest number of speakers; with 1, everybody is S1.
        space: the projection; None takes the one that ships.

    Raises:
        InputError: the weights of the one that ships are missing or damaged.
    """

    def __init__(self, most: int, space: SpeakerSpace | None = None) -> None:
        self._most = most
        self._space = load() if space is None else space
        self._between = self._space.between.double().numpy()
        self.reset()

    def reset(self) -> None:
        """Forgets all speakers."""
        self._voices: list[_Voice] = []
        self._heard = 0

    def provisional(self, audio: Vector) -> str:
        """The speaker of an unfinished utterance; the state stays unchanged.

        Args:
            audio: its audio features, of which the first 114 are the statistics.
        """
        return _name(self._by(self._place(audio)))

    def final(self, audio: Vector) -> str:
        """The speaker of a complete utterance, which updates the speaker's mean."""
        place = self._place(audio)
        number = self._by(place)
        if number == len(self._voices):
            self._voices.append(_Voice(np.zeros_like(place), 0, 0))
        voice = self._voices[number]
        if voice.weight == REMEMBERED:
            voice.total *= 1 - 1 / REMEMBERED
            voice.weight -= 1
        voice.total += place
        voice.weight += 1
        voice.utterances += 1
        self._heard += 1
        return _name(number)

    def _place(self, audio: Vector) -> NDArray[np.float64]:
        statistics = torch.from_numpy(np.array(audio[: len(self._space.mean)], np.float32))
        with torch.inference_mode():
            place: Tensor = self._space(statistics)
        return place.double().numpy()

    def _by(self, place: NDArray[np.float64]) -> int:
        """The number of the most probable speaker, a new one included."""
        if not self._voices or self._most == 1:
            return 0
        between = self._between
        scores = []
        for voice in self._voices:
            certainty = voice.weight * between / (voice.weight * between + 1)
            mean = certainty * voice.total / voice.weight
            scores.append(_log_density(place - mean, certainty / voice.weight + 1))
            scores[-1] += float(np.log(voice.utterances / (self._heard + NEW)))
        if len(self._voices) < self._most:
            new = _log_density(place, between + 1) + float(np.log(NEW / (self._heard + NEW)))
            scores.append(new)
        return int(np.argmax(scores))


def load(weights: Path | None = None) -> SpeakerSpace:
    """The space that ships, or that of a file. Raises `InputError` where it cannot be read."""
    space = SpeakerSpace()
    load_weights(space, weights or WEIGHTS, "speaker")
    return space.eval()


def _log_density(from_mean: NDArray[np.float64], variance: NDArray[np.float64]) -> float:
    """The log-density of a diagonal Gaussian, without its constant."""
    return float(-0.5 * np.sum(from_mean**2 / variance + np.log(variance)))


def _name(number: int) -> str:
    return f"S{number + 1}"
