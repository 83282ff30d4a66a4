"""Online speaker clustering: assigns each utterance to a known speaker or to a new one.

The acoustic statistics of an utterance are projected by linear discriminant analysis and scaled to
a within-speaker variance of 1. `between` is the between-speaker variance. Both are Gaussian: the
two-covariance model of probabilistic linear discriminant analysis (Ioffe 2006; Prince and Elder
2007). It gives the likelihood of an utterance for each known speaker and for a new one. The prior
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
NEW_SPEAKER = 0.1
#: Length of a speaker's running mean in utterances, at most, so that it follows slow changes.
MAX_UTTERANCES = 50
#: Standardised statistics are clipped at this many standard deviations.
_MAX_DEVIATION = 4.0

Vector = NDArray[np.float32]


class SpeakerSpace(nn.Module):
    """Projects acoustic statistics [n, 114] to the speaker space, [n, 20].

    Buffers: `mean` and standard `deviation` of the statistics, `projection` [114, 20] and `shift`
    [20], and `between` [20], the between-speaker variance relative to the within-speaker variance.
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
        """The statistics standardised, and clipped at four standard deviations."""
        return ((statistics - self.mean) / self.deviation).clamp(-_MAX_DEVIATION, _MAX_DEVIATION)

    def forward(self, statistics: Tensor) -> Tensor:
        """Statistics [n, 114] to the speaker space, [n, 20]."""
        return self.standardised(statistics) @ self.projection - self.shift


@dataclass
class _Speaker:
    """A speaker: the running sum of projected utterances, its weight in utterances, and the number
    of utterances in all."""

    total: NDArray[np.float64]
    weight: int
    utterances: int


class SpeakerClustering:
    """Names the speakers of a conversation S1, S2, ... in order of appearance.

    Deterministic. Memory and cost do not grow with the conversation.

    Args:
        max_speakers: the largest number of speakers; with 1, every speaker is S1.
        space: the projection; None takes the one that ships.

    Raises:
        InputError: the weights that ship are missing or damaged.
    """

    def __init__(self, max_speakers: int, space: SpeakerSpace | None = None) -> None:
        self._max_speakers = max_speakers
        self._space = load_speaker_space() if space is None else space
        self._between = self._space.between.double().numpy()
        self.reset()

    def reset(self) -> None:
        """Forgets all speakers."""
        self._speakers: list[_Speaker] = []
        self._utterance_count = 0

    def provisional(self, audio: Vector) -> str:
        """The speaker of an unfinished utterance; the state stays unchanged.

        Args:
            audio: the utterance's audio features; the first 114 are the statistics.
        """
        return _name(self._most_probable(self._project(audio)))

    def final(self, audio: Vector) -> str:
        """The speaker of a complete utterance, which updates the speaker's mean."""
        position = self._project(audio)
        number = self._most_probable(position)
        if number == len(self._speakers):
            self._speakers.append(_Speaker(np.zeros_like(position), 0, 0))
        speaker = self._speakers[number]
        if speaker.weight == MAX_UTTERANCES:
            speaker.total *= 1 - 1 / MAX_UTTERANCES
            speaker.weight -= 1
        speaker.total += position
        speaker.weight += 1
        speaker.utterances += 1
        self._utterance_count += 1
        return _name(number)

    def _project(self, audio: Vector) -> NDArray[np.float64]:
        statistics = torch.from_numpy(np.array(audio[: len(self._space.mean)], np.float32))
        with torch.inference_mode():
            position: Tensor = self._space(statistics)
        return position.double().numpy()

    def _most_probable(self, position: NDArray[np.float64]) -> int:
        """The number of the most probable speaker, known or new."""
        if not self._speakers or self._max_speakers == 1:
            return 0
        between = self._between
        weight_of_all = self._utterance_count + NEW_SPEAKER
        scores = []
        for speaker in self._speakers:
            shrinkage = speaker.weight * between / (speaker.weight * between + 1)
            mean = shrinkage * speaker.total / speaker.weight
            scores.append(_log_density(position - mean, shrinkage / speaker.weight + 1))
            scores[-1] += float(np.log(speaker.utterances / weight_of_all))
        if len(self._speakers) < self._max_speakers:
            prior = float(np.log(NEW_SPEAKER / weight_of_all))
            scores.append(_log_density(position, between + 1) + prior)
        return int(np.argmax(scores))


def load_speaker_space(weights: Path | None = None) -> SpeakerSpace:
    """A speaker space in evaluation mode.

    Args:
        weights: a safetensors file of `SpeakerSpace`; None takes the one that ships.

    Raises:
        InputError: the file is missing or holds something else.
    """
    space = SpeakerSpace()
    load_weights(space, weights or WEIGHTS, "speaker")
    return space.eval()


def _log_density(deviation: NDArray[np.float64], variance: NDArray[np.float64]) -> float:
    """The log-density of a diagonal Gaussian, without its constant."""
    return float(-0.5 * np.sum(deviation**2 / variance + np.log(variance)))


def _name(number: int) -> str:
    return f"S{number + 1}"
