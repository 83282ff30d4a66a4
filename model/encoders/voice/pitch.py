"""Pitch and harmonicity of speech by its correlation with itself.

Own implementation of the method of Boersma, "Accurate short-term analysis of the fundamental
frequency and the harmonics-to-noise ratio of a sampled sound" (1993), as the program Praat has it:
phoneticians' figures, and those of the tables that we train on, are measured so.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gscon_live.model.labels import SAMPLE_RATE

Array = NDArray[np.float64]

#: Frames that are worked on at once.
_BATCH = 128
#: Points between two samples at which correlations are looked at.
_FINE = 4
#: Voiced candidates of one frame.
_CANDIDATES = 14
#: Amplitude below which there is nothing.
_LEAST = 1e-12


@dataclass(frozen=True)
class Criteria:
    """What counts as which pitch; the defaults are Praat's for speech.

    Pitch lies between `floor` and `ceiling` (Hz), and is looked for every `step` samples. A frame
    whose correlation is below `voicing`, or whose peak is less than twice `silence` of the loudest,
    is rather unvoiced; `octave` prefers high pitch a little; `jump` (by an octave) and `change`
    (voice on or off) cost from one frame to the next, per 10 ms.
    """

    floor: float = 75.0
    ceiling: float = 600.0
    step: int = SAMPLE_RATE // 100
    silence: float = 0.03
    voicing: float = 0.45
    octave: float = 0.01
    jump: float = 0.35
    change: float = 0.14


#: What counts as pitch in speech.
SPEECH = Criteria()


def frames(sound: Array, length: int, step: int) -> tuple[Array, Array]:
    """All stretches [frames, length] of a sound [n], `step` samples apart, and at which samples
    [frames] their middles lie. What is left over is left out at both ends alike; a sound that is
    too short is padded with zeros at both ends."""
    missing = max(0, length - len(sound))
    padded = np.pad(sound, (missing // 2, missing - missing // 2))
    count = (len(padded) - length) // step + 1
    first = (len(padded) - length - (count - 1) * step) // 2
    cut = np.lib.stride_tricks.sliding_window_view(padded, length)[first::step][:count]
    middles = first - missing // 2 + length / 2 + step * np.arange(count, dtype=np.float64)
    return cut, middles


def track(sound: Array, criteria: Criteria = SPEECH) -> tuple[Array, Array]:
    """The pitch of a sound [n] in Hz [frames], 0 where it is unvoiced, and at which samples."""
    cut, middles = frames(sound, 2 * int(1.5 * SAMPLE_RATE / criteria.floor), criteria.step)
    pitch, strength = np.zeros((2, len(cut), 1 + _CANDIDATES))
    loudest = max(np.abs(sound - sound.mean()).max(), _LEAST)
    for rows in _batches(len(cut)):
        level, found, correlation = _candidates(cut[rows], criteria)
        pitch[rows, 1:] = found
        relative = level / loudest * (1 + criteria.voicing) / criteria.silence
        strength[rows, 0] = criteria.voicing + np.maximum(0, 2 - relative)
        lower = np.log2(criteria.ceiling / np.where(found > 0, found, criteria.ceiling))
        strength[rows, 1:] = np.where(found > 0, correlation - criteria.octave * lower, -np.inf)
    return _best_path(pitch, strength, criteria), middles


def harmonicity(sound: Array, floor: float = 75.0, silence: float = 0.1) -> Array:
    """The harmonics-to-noise ratio in dB of the frames [at most n / 10 ms] that are not silent.

    0 dB is as much noise as harmonics. By correlation of a stretch of one period of `floor` with
    what follows it; frames whose peak is less than about twice `silence` of the loudest are silent.
    """
    window = int(SAMPLE_RATE / floor)
    cut, _ = frames(sound, 2 * window, SAMPLE_RATE // 100)
    loudest = max(np.abs(sound - sound.mean()).max(), _LEAST)
    ratios = []
    for rows in _batches(len(cut)):
        block = cut[rows] - cut[rows].mean(1, keepdims=True)
        level = np.abs(block[:, window // 2 : window // 2 + window]).max(1)
        size = 1 << (3 * window).bit_length()
        spectrum = np.fft.rfft(block[:, :window], size).conj() * np.fft.rfft(block, size)
        product = np.fft.irfft(spectrum, size * _FINE)[:, : window * _FINE] * _FINE
        energy = np.cumsum(np.pad(block**2, ((0, 0), (1, 0))), 1)
        energy = energy[:, window : 2 * window] - energy[:, :window]
        norm = np.sqrt(energy[:, :1] * energy.clip(min=0))
        correlation = product / np.repeat(np.where(norm > 0, norm, np.inf), _FINE, 1)
        # Peaks are found from sample to sample, and measured between them.
        places, heights = _peaks(correlation[:, ::_FINE])
        top = np.take_along_axis(places, heights.argmax(1)[:, None], 1)
        around = (top * _FINE + np.arange(1 - _FINE, _FINE)).astype(np.intp)
        around = around.clip(0, correlation.shape[1] - 1)
        best = _turned(np.take_along_axis(correlation, around, 1).max(1))
        best = np.where(top[:, 0] > 0, best, 0)
        heard = best[best > np.maximum(0, 2 - level / loudest / silence)].clip(1e-15, 1 - 1e-15)
        ratios.append(10 * np.log10(heard / (1 - heard)))
    return np.concatenate(ratios)


def _batches(count: int) -> Iterator[slice]:
    return (slice(start, start + _BATCH) for start in range(0, count, _BATCH))


def _candidates(block: Array, criteria: Criteria) -> tuple[Array, Array, Array]:
    """How loud frames are [frames], and the pitch (0: not a voice's) and correlation of the best
    candidates of each [frames, candidates]."""
    length, period = block.shape[1], int(SAMPLE_RATE / criteria.floor)
    middle = length // 2
    mean = block[:, max(0, middle - period) : middle + period].mean(1, keepdims=True)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(length) + 0.5) / length)
    shown = (block - mean) * window
    level = np.abs(shown[:, middle - period // 2 - 1 : middle + period // 2 + 1]).max(1)
    most = min(period + 2, length // 2) * _FINE
    own, expected = (_autocorrelation(rows)[:, :most] for rows in (shown, window[None]))
    # A window lowers the correlation at long lags; divided by its own, it no longer does.
    correlation = own / np.maximum(own[:, :1], _LEAST**2) / (expected / expected[:, :1])
    lags, heights = _peaks(correlation)
    pitch = SAMPLE_RATE * _FINE / np.where(lags > 0, lags, np.inf)
    able = (lags >= 2 * _FINE) & (pitch >= criteria.floor) & (heights > criteria.voicing / 2)
    worth = np.where(able, heights - criteria.octave * np.log2(np.maximum(lags, 1)), -np.inf)
    best = np.argsort(-worth, 1)[:, :_CANDIDATES]
    # Lags too short for a voice compete too: in a hiss they are the best, and it stays unvoiced.
    pitch = np.where(able & (pitch <= criteria.ceiling), pitch, 0)
    return level, np.take_along_axis(pitch, best, 1), np.take_along_axis(heights, best, 1)


def _autocorrelation(rows: Array) -> Array:
    """Correlation of rows with themselves, at `_FINE` points a sample (by Fourier's series)."""
    size = 1 << (2 * rows.shape[1] - 1).bit_length()
    power = np.abs(np.fft.rfft(rows, size)) ** 2
    made: Array = np.fft.irfft(power, size * _FINE) * _FINE
    return made


def _peaks(rows: Array) -> tuple[Array, Array]:
    """The places and heights of all peaks from the third column on, by parabolas through three
    points; zeros where there is none."""
    left, middle, right = rows[:, 1:-2], rows[:, 2:-1], rows[:, 3:]
    top = (middle > left) & (middle >= right) & (middle > 0)
    shift = 0.5 * (right - left) / np.where(top, (middle - left) + (middle - right), 1.0)
    places = np.where(top, np.arange(2, rows.shape[1] - 1) + shift, 0.0)
    heights = np.where(top, middle + 0.25 * (right - left) * shift, 0.0)
    return places, _turned(heights)


def _turned(heights: Array) -> Array:
    """Correlations above one, which only noise has between samples, as far below it."""
    return np.where(heights > 1, 1 / np.maximum(heights, 1), heights)


def _best_path(pitch: Array, strength: Array, criteria: Criteria) -> Array:
    """The strongest way through the candidates [n, candidates], of which the first is unvoiced."""
    step = 0.01 * SAMPLE_RATE / criteria.step
    voiced = pitch > 0
    tone = np.log2(np.where(voiced, pitch, 1.0))
    total, back = strength[0], np.zeros(pitch.shape, np.intp)
    for row in range(1, len(pitch)):
        both = voiced[row - 1][:, None] & voiced[row]
        one = voiced[row - 1][:, None] != voiced[row]
        jumps = np.abs(tone[row - 1][:, None] - tone[row])
        reached = total[:, None] - step * (criteria.jump * both * jumps + criteria.change * one)
        back[row] = reached.argmax(0)
        total = reached.max(0) + strength[row]
    place = int(total.argmax())
    found = np.zeros(len(pitch))
    for row in range(len(pitch) - 1, -1, -1):
        found[row] = pitch[row, place]
        place = int(back[row, place])
    return found
