"""The spectrogram of an utterance, at a fixed level."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gscon_live.model.torchaudio_import import torchaudio

#: 25 ms windows every 10 ms, in samples.
WINDOW, HOP = 400, 160
#: Shorter sounds are padded with silence to this many samples.
SHORTEST = WINDOW + 4 * HOP

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


def _normalised(samples: Tensor) -> Tensor:
    """Samples [n] without their mean, padded where very short, scaled by the 90th percentile of the
    frames' energy."""
    if len(samples) < SHORTEST:
        samples = functional.pad(samples, (0, SHORTEST - len(samples)))
    samples = samples.nan_to_num(0.0) - samples.nan_to_num(0.0).mean()
    loudness = samples.unfold(0, WINDOW, HOP).square().mean(1).quantile(0.9).sqrt()
    return samples * (0.1 / loudness) if float(loudness) > 1e-7 else samples * 0.0
