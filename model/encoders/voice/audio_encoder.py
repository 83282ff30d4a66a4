"""Audio features of an utterance: acoustic statistics, and the emotions that a voice shows relative
to its speaker."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gscon_live.model.encoders.voice.relative_voice import RelativeVoice
from gscon_live.model.encoders.voice.voice_statistics import VoiceStatistics
from gscon_live.model.labels import EMOTIONS
from gscon_live.model.shipped_weights import FOLDER, load_weights

WEIGHTS = FOLDER / "voice.safetensors"


class AudioEncoder:
    """Encodes the sound of a conversation's utterances, whatever their level.

    The vector has the acoustic statistics (see `model.encoders.voice.voice_statistics`), then the
    log-probabilities of the seven emotions by how the utterance differs from its speaker's usual
    voice (see `model.encoders.voice.relative_voice`).

    Deterministic. A constant gain does not change the features. Memory and cost do not grow with
    the conversation.

    Args:
        voice: the classifier and its identity; None takes the one that ships.

    Raises:
        InputError: the weights of the one that ships are missing or damaged.
    """

    def __init__(self, voice: tuple[RelativeVoice, str] | None = None) -> None:
        self._voice, version = voice or load_voice()
        self._statistics = VoiceStatistics()
        self._dim = len(self._voice.mean)
        #: The encoder and its version; another version gives other features.
        self.identity = f"{VoiceStatistics.identity}|{version}"
        #: Length of the feature vector.
        self.dim = self._dim + len(EMOTIONS)
        self.reset()

    def reset(self) -> None:
        """Forgets all speakers."""
        self._baseline = self._voice.baseline()

    def statistics(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The acoustic statistics of an utterance, float32 [114], whoever speaks.

        Args:
            samples: mono float32 [n], n > 0, at 16 kHz.
        """
        return self._statistics.of(samples)

    def provisional(self, statistics: NDArray[np.float32], speaker: str) -> NDArray[np.float32]:
        """The feature vector of an utterance, float32 [dim]; the speakers' usual voices stay as
        they are.

        Args:
            statistics: see `statistics`; what follows them in the array is not read.
            speaker: the speaker's name.
        """
        own = statistics[: self._dim]
        standardised = self._voice.standardised(own)
        answers = self._voice.log_probabilities(
            self._baseline.relative(standardised, speaker), self._baseline.known(speaker)
        )
        return np.concatenate([own, answers]).astype(np.float32)

    def final(self, statistics: NDArray[np.float32], speaker: str) -> NDArray[np.float32]:
        """The same for a complete utterance, which becomes part of the speaker's usual voice."""
        vector = self.provisional(statistics, speaker)
        self._baseline.add(self._voice.standardised(vector[: self._dim]), speaker)
        return vector


def load_voice(weights: Path | None = None) -> tuple[RelativeVoice, str]:
    """A voice classifier in evaluation mode, and its identity.

    Args:
        weights: a safetensors file of `RelativeVoice`; None takes the one that ships.

    Raises:
        InputError: the file is missing or holds something else.
    """
    voice = RelativeVoice(VoiceStatistics.dim)
    digest = load_weights(voice, weights or WEIGHTS, "voice")
    return voice.eval().requires_grad_(False), f"relative-voice/1:{digest}"
