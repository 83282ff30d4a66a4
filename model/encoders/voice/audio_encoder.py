"""Audio features of an utterance: acoustic statistics, and the voice network's emotions."""

import numpy as np
import torch
from numpy.typing import NDArray

from gscon_live.model.encoders.voice.spectrogram import MelSpectrogram, power_spectrogram
from gscon_live.model.encoders.voice.voice_network import VoiceNet, load_voice_network
from gscon_live.model.encoders.voice.voice_statistics import VoiceStatistics


class AudioEncoder:
    """Encodes the sound of an utterance, whatever its level.

    The vector has the acoustic statistics (see `model.encoders.voice.voice_statistics`), then the
    log-probabilities of the seven emotions by a network trained on acted voices.

    A constant gain does not change the features.

    Args:
        net: the network and its identity; None takes the one that ships.

    Raises:
        InputError: the weights of the one that ships are missing or damaged.
    """

    def __init__(self, net: tuple[VoiceNet, str] | None = None) -> None:
        self._net, version = net or load_voice_network()
        self._statistics, self._mel = VoiceStatistics(), MelSpectrogram()
        #: The encoder and its version; another version gives other features.
        self.identity = f"{VoiceStatistics.identity}|{version}"
        #: Length of the feature vector.
        self.dim = len(self.encode(np.zeros(1, np.float32)))

    def encode(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The feature vector of an utterance, float32 [dim].

        Args:
            samples: mono float32 [n], n > 0, at 16 kHz.
        """
        with torch.inference_mode():
            spectrogram = power_spectrogram(samples)
            log_probabilities = self._net.log_probabilities(self._mel(spectrogram))
            return np.asarray(
                torch.cat([self._statistics(spectrogram), log_probabilities]), np.float32
            )
