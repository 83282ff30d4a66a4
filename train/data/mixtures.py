"""Utterances in which two people speak at once, mixed from recordings of one person each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.model.speech.overlap import HOP, WINDOW

Samples = NDArray[np.float32]
#: The recordings of each speaker.
Recordings = Mapping[str, Sequence[Samples]]

#: Levels of the second voice over the first, in dB.
LEVELS = (-6.0, 6.0)
#: A frame is voiced where its level is at most so many dB below that of the recording's loud ones.
_VOICED = 25.0
#: Levels of noise under the voices, in dB.
_NOISE = (-50.0, -15.0)


@dataclass(frozen=True)
class Mixture:
    """Sound, float32 [n], and whether two people speak in each of its frames, bool [frames]."""

    samples: Samples
    overlapped: NDArray[np.bool_]


def frames_of(count: int) -> int:
    """The number of frames of so many samples."""
    return max(0, count - WINDOW) // HOP + 1


def levels(samples: Samples) -> NDArray[np.float64]:
    """The level of each frame in dB, [frames]."""
    padded = np.pad(samples, (0, max(0, WINDOW - len(samples))))
    power = np.concatenate([[0.0], np.cumsum(np.square(padded, dtype=np.float64))])
    starts = np.arange(frames_of(len(padded))) * HOP
    mean = np.maximum(power[starts + WINDOW] - power[starts], 0.0) / WINDOW
    return np.asarray(10 * np.log10(mean + 1e-10), np.float64)


def speech(samples: Samples) -> Samples:
    """A recording without the silence around its voice, at a level of -26 dB."""
    measured = levels(samples)
    loud = np.percentile(measured, 95)
    voiced = np.flatnonzero(measured > loud - _VOICED)
    part = samples[voiced[0] * HOP : voiced[-1] * HOP + WINDOW]
    return np.asarray(part * np.float32(10 ** ((-26 - loud) / 20)), np.float32)


def voiced(samples: Samples) -> NDArray[np.bool_]:
    """The frames of a voice at a level of -26 dB in which it is heard, bool [frames]; pauses of
    up to 0.2 s count as voice."""
    heard = levels(samples) > -26 - _VOICED
    places = np.flatnonzero(heard)
    for before, after in pairwise(places):
        if (after - before) * HOP <= 0.2 * SAMPLE_RATE:
            heard[before:after] = True
    return heard


def utterance(
    recordings: Sequence[Samples], seconds: float, random: np.random.Generator
) -> Samples:
    """Recordings of a speaker, as `speech` gives them, with short pauses between them, for so many
    seconds."""
    count = round(seconds * SAMPLE_RATE)
    parts: list[Samples] = []
    while sum(map(len, parts)) < count:
        parts.append(recordings[int(random.integers(len(recordings)))])
        parts.append(np.zeros(round(random.uniform(0.02, 0.3) * SAMPLE_RATE), np.float32))
    joined = np.concatenate(parts)
    first = random.integers(len(joined) - count + 1)
    return joined[first : first + count]


def mixed(
    first: Samples,
    second: Samples | None,
    at: float,
    random: np.random.Generator,
    level: float | None = None,
) -> Mixture:
    """A voice, and from `at` seconds on a second one, cut at the end of the first.

    Args:
        first: a voice at a level of -26 dB, float32 [n].
        second: another one; None: there is no overlap.
        at: where the second begins, in seconds.
        random: draws levels and noise.
        level: of the second voice over the first, in dB; None: drawn from `LEVELS`.
    """
    samples = first.copy()
    overlapped = np.zeros(frames_of(len(first)), bool)
    if second is not None:
        begin = round(at * SAMPLE_RATE)
        own = np.zeros(len(first), np.float32)
        own[begin : begin + len(second)] = second[: len(first) - begin]
        overlapped = voiced(first) & voiced(own)
        gain = random.uniform(*LEVELS) if level is None else level
        samples += own * np.float32(10 ** (gain / 20))
    noise = random.standard_normal(len(samples)).astype(np.float32)
    if random.random() < 0.5:  # as loud at low frequencies as rooms are
        noise = np.asarray(np.convolve(noise, np.full(8, 0.35), "same"), np.float32)
    samples += noise * np.float32(10 ** ((-26 + random.uniform(*_NOISE)) / 20))
    return Mixture(samples, overlapped)


def colour(samples: Samples, random: np.random.Generator) -> Samples:
    """Sound through a microphone of another colour: a random filter of a few taps."""
    taps = random.normal(0, 0.25, 5)
    taps[0] = 1.0
    return np.asarray(np.convolve(samples, taps)[: len(samples)], np.float32)
