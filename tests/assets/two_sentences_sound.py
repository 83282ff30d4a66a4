"""What the test recogniser learns from: the recordings, the many ways to cut and spoil them.

Part of `make_two_sentences.py`.
"""

import io
import zipfile
from pathlib import Path

import av
import msgspec
import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray

from gscon_live.common.errors import InputError

Samples = NDArray[np.float32]

RATE = 16_000
SENTENCES = ("Kids are talking by the door.", "Dogs are sitting by the door.")
#: Encoder positions (20 ms each) that are told apart; all later ones of the 1500 share one
#: embedding. What follows the sound is padding, so that its positions are then equal, and one of
#: them can stand for all in training: the 30 s window costs no more than its first 5 s.
POSITIONS, ALL_POSITIONS = 256, 1500
#: Longest sound in mel frames (10 ms), so that position number `POSITIONS` sees padding alone.
LONGEST = 2 * POSITIONS - 4


class Clip(msgspec.Struct, frozen=True):
    """One recording: who speaks, which sentence, and where in it (samples) speech lies."""

    actor: int
    sentence: int
    samples: Samples
    start: int
    end: int

    def cut(self, margin: float) -> Samples:
        """The speech with this many seconds around it, as far as the recording goes."""
        around = round(margin * RATE)
        return self.samples[max(0, self.start - around) : self.end + around]


def read(archive: Path) -> list[Clip]:
    """All recordings, in the order of their names."""
    if not archive.is_file():
        raise InputError(f"{archive}: not there; set GSCON_DATA to the data folder")
    clips = []
    with zipfile.ZipFile(archive) as zipped:
        for name in sorted(zipped.namelist()):
            _, _, _, _, sentence, _, actor = map(int, Path(name).stem.split("-"))
            samples = _decode(zipped.read(name))
            clips.append(Clip(actor, sentence - 1, samples, *_speech(samples)))
    return clips


def _decode(file: bytes) -> Samples:
    with av.open(io.BytesIO(file)) as media:
        frames = [frame.to_ndarray().ravel() for frame in media.decode(audio=0)]
    return np.concatenate(frames).astype(np.float32) / 2**15


def _speech(samples: Samples) -> tuple[int, int]:
    """First and last sample of what is within 35 dB of the loudest 20 ms."""
    hop = RATE // 50
    frames = samples[: len(samples) // hop * hop].reshape(-1, hop)
    level = 10 * np.log10(np.square(frames).mean(axis=1) + 1e-12)
    loud = np.flatnonzero(level > level.max() - 35)
    return int(loud[0]) * hop, int(loud[-1] + 1) * hop


def noise(count: int, rng: np.random.Generator) -> Samples:
    """White noise, pink noise, hum or digital silence of -80 to -25 dB of full scale."""
    kind = rng.integers(4)
    if kind == 0:
        return np.zeros(count, np.float32)
    if kind == 1:
        made = rng.standard_normal(count)
    elif kind == 2:
        spectrum = np.fft.rfft(rng.standard_normal(count))
        made = np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 1.0), count)
    else:
        turns = np.arange(count) / RATE * rng.choice([50, 60])
        made = sum(rng.random() / n * np.sin(2 * np.pi * n * turns) for n in (1, 2, 3, 5))
    made = made / (np.sqrt(np.mean(np.square(made))) + 1e-12)
    return (made * 10 ** (rng.uniform(-80, -25) / 20)).astype(np.float32)


def vary(clip: Clip, rng: np.random.Generator) -> Samples:
    """The sentence as a segmenter might cut it: margins, tempo, gain and noise at random."""
    margins = rng.uniform(0, rng.choice([0.25, 1.3]), size=2) * RATE
    start, end = max(0, clip.start - int(margins[0])), clip.end + int(margins[1])
    samples = clip.samples[start:end]
    if rng.random() < 0.3:
        samples = np.pad(samples, tuple(rng.integers(0, RATE // 2, size=2)))
    where = np.arange(0, len(samples) - 1, rng.uniform(0.87, 1.15))
    samples = np.interp(where, np.arange(len(samples)), samples).astype(np.float32)
    if rng.random() < 0.6:
        loudness = np.sqrt(np.mean(np.square(samples))) + 1e-9
        added = noise(len(samples), rng)
        ceiling = loudness * 10 ** (-10 / 20)
        level = np.sqrt(np.mean(np.square(added))) + 1e-12
        samples = samples + added * np.float32(min(1.0, ceiling / level))
    return np.clip(samples * 10 ** (rng.uniform(-12, 12) / 20), -1, 1).astype(np.float32)


def no_speech(clip: Clip, rng: np.random.Generator) -> Samples:
    """Sound without words: made noise, or the room before the actor speaks."""
    if rng.random() < 0.3 and clip.start > RATE // 4:
        room = clip.samples[: clip.start - RATE // 10]
        return (room * 10 ** (rng.uniform(-12, 12) / 20)).astype(np.float32)
    return noise(int(rng.uniform(0.2, 5.0) * RATE), rng)


class Features:
    """Log-mel features as faster-whisper makes them, padded with zeros as it does."""

    def __init__(self) -> None:
        self._extract = FeatureExtractor()

    def __call__(self, samples: Samples) -> NDArray[np.float32]:
        """float32 [80, 2 * POSITIONS + 2]."""
        made = self._extract(samples)[:, :-1][:, :LONGEST]
        return np.pad(made, ((0, 0), (0, 2 * POSITIONS + 2 - made.shape[1]))).astype(np.float32)
