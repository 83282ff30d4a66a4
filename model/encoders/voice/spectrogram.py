"""Spectrograms of an utterance, as the voice encoders take them: at a fixed level."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.model.torchaudio_import import torchaudio

#: 25 ms windows every 10 ms, in samples.
WINDOW, HOP = 400, 160
#: Shorter sounds are padded with silence to this many samples.
SHORTEST = WINDOW + 4 * HOP
#: Mel bands, and the number of 10 ms frames that are averaged into a column.
MELS, FRAMES = 64, 2
#: Lowest and highest frequency of the mel bands in Hz.
EDGES = (50.0, 7800.0)

_spectrum = torchaudio.transforms.Spectrogram(
    n_fft=512, win_length=WINDOW, hop_length=HOP, power=2.0, center=False
)


@dataclass(frozen=True)
class PowerSpectrogram:
    """A normalised sound: its samples float32 [n], and the power of 257 frequencies in each frame,
    [257, frames]."""

    samples: Tensor
    power: Tensor


def power_spectrogram(samples: NDArray[np.float32]) -> PowerSpectrogram:
    """The spectrogram of mono samples float32 [n], n > 0, at 16 kHz. A constant gain or offset does
    not change the result. Raises `ValueError` for another shape."""
    if samples.ndim != 1 or not samples.size:
        raise ValueError(f"expected mono samples [n], n > 0, got {list(samples.shape)}")
    normalised = _normalised(torch.from_numpy(np.array(samples, np.float32)))
    return PowerSpectrogram(normalised, _spectrum(normalised))


class MelSpectrogram:
    """Power spectrograms to power in mel bands."""

    def __init__(self) -> None:
        self._mel = torchaudio.transforms.MelScale(MELS, SAMPLE_RATE, *EDGES, 257)

    def __call__(self, spectrogram: PowerSpectrogram) -> Tensor:
        """Power in mel bands, float32 [64, columns], a column every 20 ms."""
        power = self._mel(spectrogram.power)[None]
        return functional.avg_pool1d(power, FRAMES, FRAMES, ceil_mode=True)[0]


def _normalised(samples: Tensor) -> Tensor:
    """Samples [n] without their mean, padded where very short, scaled by the 90th percentile of the
    frames' energy."""
    if len(samples) < SHORTEST:
        samples = functional.pad(samples, (0, SHORTEST - len(samples)))
    samples = samples.nan_to_num(0.0) - samples.nan_to_num(0.0).mean()
    loudness = samples.unfold(0, WINDOW, HOP).square().mean(1).quantile(0.9).sqrt()
    return samples * (0.1 / loudness) if float(loudness) > 1e-7 else samples * 0.0
