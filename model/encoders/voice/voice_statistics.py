"""Acoustic statistics of an utterance: spectrum, dynamics and pitch over its frames."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gscon_live.model.encoders.voice.spectrogram import (
    HOP,
    WINDOW,
    PowerSpectrogram,
    power_spectrogram,
)
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.model.torchaudio_import import torchaudio

#: Frames this far (dB) below the loudest do not count as speech.
QUIET = 35.0
#: Lowest and highest voice pitch in Hz.
PITCH = (65.0, 500.0)
#: Periodicity from which a frame counts as voiced.
VOICED = 0.5

_MELS, _CEPSTRA = 40, 20


class VoiceStatistics:
    """Turns spectrograms into vectors, without learned weights.

    Level and duration are left out: both depend more on microphones and corpora than on emotions.
    """

    #: What is computed, and its version; changes with every change of the vectors.
    identity = "voice-statistics/1"
    #: Length of the vectors.
    dim = 114

    def __init__(self) -> None:
        self._mel = torchaudio.transforms.MelScale(_MELS, SAMPLE_RATE, 60.0, 7600.0, 257)
        self._cosine = torchaudio.functional.create_dct(_CEPSTRA, _MELS, "ortho")
        self._frequency = torch.linspace(0, SAMPLE_RATE / 2, 257)

    def of(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The statistics of a sound, float32 [114].

        Args:
            samples: mono float32 [n], n > 0, at 16 kHz.
        """
        with torch.inference_mode():
            return np.asarray(self(power_spectrogram(samples)), np.float32)

    def __call__(self, spectrogram: PowerSpectrogram) -> Tensor:
        """The statistics, float32 [114], all finite."""
        power = spectrogram.power.T
        energy = 10 * torch.log10(power.sum(1) + 1e-9)
        speech = energy >= energy.max() - QUIET
        log_mel = torch.log(self._mel(spectrogram.power).T + 1e-6)
        cepstra = log_mel @ self._cosine
        parts = [
            _spectral(cepstra, speech),
            _shape(power, self._frequency, speech),
            _dynamics(energy, speech),
            _melody(spectrogram.samples, speech),
        ]
        return torch.cat(parts).nan_to_num(0.0, 0.0, 0.0)


def _spectral(cepstra: Tensor, speech: Tensor) -> Tensor:
    """Timbre: means and deviations of the cepstra, deviations of their first two differences."""
    deltas = torchaudio.functional.compute_deltas(cepstra.T[None], 5)
    second = torchaudio.functional.compute_deltas(deltas, 5)
    spoken = cepstra[speech]
    return torch.cat(
        [
            # The zeroth cepstrum is the level, of which only the changes are features.
            spoken[:, 1:].mean(0),
            spoken.std(0, correction=0),
            deltas[0].T[speech].std(0, correction=0),
            second[0].T[speech].std(0, correction=0),
        ]
    )


def _shape(power: Tensor, frequency: Tensor, speech: Tensor) -> Tensor:
    """Where the energy lies: centroid, spread, tilt, share of high bands, flatness, flux."""
    spectrum = power[speech] + 1e-9
    share = spectrum / spectrum.sum(1, keepdim=True)
    centroid = share @ frequency
    spread = ((frequency - centroid[:, None]).square() * share).sum(1).sqrt()
    high = share[:, frequency > 1000].sum(1)
    very_high = share[:, frequency > 4000].sum(1)
    flatness = spectrum.log().mean(1) - spectrum.mean(1).log()
    octave = torch.log2(frequency[1:] / 1000)
    octave = octave - octave.mean()
    tilt = (spectrum[:, 1:].log() @ octave) / octave.square().sum()
    flux = share.diff(dim=0).abs().sum(1) if len(share) > 1 else torch.zeros(1)
    rows = [centroid / 1000, spread / 1000, tilt, high, very_high, flatness]
    return torch.stack([value for row in [*rows, flux] for value in _spread(row)])


def _dynamics(energy: Tensor, speech: Tensor) -> Tensor:
    """Loudness over time, in dB relative to its own mean: range, changes, rhythm, pauses, trend."""
    spoken = energy[speech]
    around = spoken - spoken.mean()
    smooth = torch.nn.functional.avg_pool1d(energy[None], 7, 1, 3, count_include_pad=False)[0]
    middle = smooth[1:-1]
    peaks = (middle > smooth[:-2]) & (middle >= smooth[2:]) & speech[1:-1]
    seconds = max(float(speech.sum()) * HOP / SAMPLE_RATE, 0.05)
    first, last = speech.nonzero()[0, 0], speech.nonzero()[-1, 0]
    inside = speech[first : last + 1].float().mean()
    changes = spoken.diff() if len(spoken) > 1 else torch.zeros(1)
    return torch.stack(
        [
            around.std(correction=0),
            *around.quantile(torch.tensor([0.1, 0.5, 0.9])),
            changes.abs().mean(),
            changes.std(correction=0),
            peaks.sum() / seconds,
            inside,
            _slope(spoken),
        ]
    )


def _melody(samples: Tensor, speech: Tensor) -> Tensor:
    """Pitch in semitones, how it moves, how much is voiced and how purely. Zeros where unvoiced."""
    pitch, periodicity = pitch_of(samples)
    count = min(len(pitch), len(speech))
    pitch, periodicity, spoken = pitch[:count], periodicity[:count], speech[:count]
    voiced = spoken & (periodicity > VOICED)
    share = voiced.sum() / spoken.sum().clamp(min=1)
    purity = torch.stack([*_spread(periodicity[spoken])]) if spoken.any() else torch.zeros(2)
    if voiced.sum() < 3:
        return torch.cat([share[None], purity, torch.zeros(9)])
    tone = 12 * torch.log2(pitch[voiced] / 100)
    middle = tone.median()
    together = voiced[1:] & voiced[:-1]
    steps = (12 * torch.log2(pitch[1:] / pitch[:-1]))[together]
    steps = steps[steps.abs() < 4] if len(steps) else steps
    moves = torch.stack([*_spread(steps.abs())]) if len(steps) > 1 else torch.zeros(2)
    quantiles = (tone - middle).quantile(torch.tensor([0.05, 0.25, 0.75, 0.95]))
    return torch.cat(
        [
            share[None],
            purity,
            torch.stack([middle, tone.std(correction=0), _slope(tone)]),
            quantiles,
            moves,
        ]
    )


def pitch_of(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Pitch in Hz and periodicity (0 to 1) of 40 ms windows, every 10 ms, by normalised
    autocorrelation.

    Args:
        samples: float32 [n], n of at least 400, at 16 kHz.
    """
    width = 640
    padded = torch.nn.functional.pad(samples, (0, width - WINDOW))
    frames = padded.unfold(0, width, HOP)
    frames = (frames - frames.mean(1, keepdim=True)) * torch.hann_window(width)
    window = torch.hann_window(width)

    def correlation(rows: Tensor) -> Tensor:
        power = torch.fft.rfft(rows, 2 * width).abs().square()
        out: Tensor = torch.fft.irfft(power)[..., :width]
        return out

    autocorrelation = correlation(frames) / (correlation(window) / correlation(window)[0])
    autocorrelation = autocorrelation / autocorrelation[:, :1].clamp(min=1e-7)
    shortest, longest = int(SAMPLE_RATE / PITCH[1]), int(SAMPLE_RATE / PITCH[0])
    lags = torch.arange(shortest, longest + 1)
    # A slight preference for short periods keeps the pitch from falling by an octave.
    weighted = autocorrelation[:, shortest : longest + 1] - 0.02 * torch.log2(lags / shortest)
    best = weighted.argmax(1)
    periodicity = autocorrelation[:, shortest : longest + 1].gather(1, best[:, None])[:, 0]
    return SAMPLE_RATE / (best + shortest).float(), periodicity.clamp(0, 1)


def _spread(values: Tensor) -> tuple[Tensor, Tensor]:
    return values.mean(), values.std(correction=0)


def _slope(values: Tensor) -> Tensor:
    """Rise per length of the utterance, by least squares."""
    if len(values) < 3:
        return torch.zeros(())
    time = torch.linspace(-1, 1, len(values))
    return (time * (values - values.mean())).sum() / (time.square().sum() + math.ulp(1.0))
