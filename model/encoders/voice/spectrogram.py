"""The sound of an utterance as the voice encoders take it: at a fixed level, with its spectrum."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gscon_live.model.torchaudio_import import torchaudio

#: 25 ms windows every 10 ms.
WINDOW, HOP = 400, 160
#: Shorter sound is padded with silence to this many samples.
SHORTEST = WINDOW + 4 * HOP

_spectrum = torchaudio.transforms.Spectrogram(
    n_fft=512, win_length=WINDOW, hop_length=HOP, power=2.0, center=False
)


@dataclass(frozen=True)
class Sound:
    """Samples float32 [n], and the power of 257 frequencies in each frame, [257, frames]."""

    samples: Tensor
    power: Tensor


def sound(samples: NDArray[np.float32]) -> Sound:
    """Mono samples float32 [n], n > 0, at 16 kHz. A constant gain or offset does not change the
    result."""
    if samples.ndim != 1 or not samples.size:
        raise ValueError(f"expected mono samples [n], n > 0, got {list(samples.shape)}")
    normalised = levelled(torch.from_numpy(np.array(samples, np.float32)))
    return Sound(normalised, _spectrum(normalised))


def levelled(sound: Tensor) -> Tensor:
    """A sound [n] without its mean, padded where very short, scaled by the 90th percentile of its
    frames' energy."""
    if len(sound) < SHORTEST:
        sound = torch.nn.functional.pad(sound, (0, SHORTEST - len(sound)))
    sound = sound.nan_to_num(0.0) - sound.nan_to_num(0.0).mean()
    loudness = sound.unfold(0, WINDOW, HOP).square().mean(1).quantile(0.9).sqrt()
    return sound * (0.1 / loudness) if float(loudness) > 1e-7 else sound * 0.0
