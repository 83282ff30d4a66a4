"""Real human speech for tests: recordings, where speech lies in them, and what counts as an error.

The judgements here are deliberately plain and share nothing with the code under test: bounds of
speech come from the loudness alone, errors from counting words.
"""

import io
import os
import wave
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
from numpy.typing import NDArray

Samples = NDArray[np.float32]

RATE = 16_000
DATA = Path(os.environ.get("GSCON_DATA") or Path(__file__).parents[3] / "shared" / "data")
RAVDESS = DATA / "voice" / "ravdess_speech_16k.zip"
EMODB = DATA / "voice" / "emodb_16k.zip"
LIBRISPEECH = DATA / "speech" / "librispeech_10x10.zip"
#: The actors of the tests.
HELD_OUT_ACTORS = (21, 22, 23, 24)
SENTENCES = {1: "Kids are talking by the door.", 2: "Dogs are sitting by the door."}

needs_ravdess = pytest.mark.skipif(
    not RAVDESS.is_file(), reason=f"needs the RAVDESS recordings, {RAVDESS}; set GSCON_DATA"
)
needs_emodb = pytest.mark.skipif(
    not EMODB.is_file(), reason=f"needs EMO-DB, {EMODB}; set GSCON_DATA"
)
needs_librispeech = pytest.mark.skipif(
    not LIBRISPEECH.is_file(), reason=f"needs LibriSpeech, {LIBRISPEECH}; set GSCON_DATA"
)

#: Speech is what comes within this many dB of the loud parts of a recording ...
RANGE = 30.0
#: ... and stands out from its quiet parts by this many dB ...
ABOVE_FLOOR = 10.0
#: ... in frames of this many seconds.
FRAME = 0.01


class Sentence(NamedTuple):
    """A RAVDESS recording: actor, emotion (1 to 8), the words, the sound."""

    actor: int
    emotion: int
    words: str
    samples: Samples


class Clip(NamedTuple):
    """A sound, and where in it speech begins and ends, in seconds."""

    samples: Samples
    start: float
    end: float


class Placed(NamedTuple):
    """Where a recording's speech lies in a joined one, in seconds."""

    start: float
    end: float


def read(archive: Path, name: str) -> Samples:
    """A recording from an archive, mono at 16 kHz."""
    with zipfile.ZipFile(archive) as zipped, av.open(io.BytesIO(zipped.read(name))) as media:
        frames = [frame.to_ndarray().ravel() for frame in media.decode(audio=0)]
    return np.concatenate(frames).astype(np.float32) / 2**15


def held_out_sentences(emotions: Iterable[int], each: int) -> list[Sentence]:
    """`each` recordings (at most 4) of every held-out actor, emotion and sentence."""
    with zipfile.ZipFile(RAVDESS) as zipped:
        names = sorted(zipped.namelist())
    found: dict[tuple[int, int, int], list[str]] = {}
    for name in names:
        _, _, emotion, _, sentence, _, actor = map(int, Path(name).stem.split("-"))
        if actor in HELD_OUT_ACTORS and emotion in emotions:
            found.setdefault((actor, emotion, sentence), []).append(name)
    return [
        Sentence(actor, emotion, SENTENCES[sentence], read(RAVDESS, name))
        for (actor, emotion, sentence), same in sorted(found.items())
        # From the back: the intense ones first, where there are any.
        for name in same[::-1][:each]
    ]


def recordings(archive: Path, count: int) -> list[Samples]:
    """The first recordings of an archive, in the order of their names."""
    with zipfile.ZipFile(archive) as zipped:
        names = sorted(name for name in zipped.namelist() if name.endswith(".flac"))
    return [read(archive, name) for name in names[:count]]


def loud_frames(samples: Samples) -> NDArray[np.bool_]:
    """Which frames of 10 ms are loud between 100 Hz and 1 kHz.

    Voiced speech has its strength there, rumble and breath have little. Wants a whole recording,
    which has quiet parts too: the 95th and the 5th percentile of the level are taken for its loud
    parts and its background.
    """
    size = round(FRAME * RATE)
    spectrum = np.fft.rfft(samples)
    frequency = np.fft.rfftfreq(len(samples), 1 / RATE)
    band = np.fft.irfft(spectrum * ((frequency > 100) & (frequency < 1000)), len(samples))
    frames = band[: len(band) // size * size].reshape(-1, size)
    power = np.convolve(np.square(frames).mean(axis=1), np.full(3, 1 / 3), "same")
    level = 10 * np.log10(power + 1e-12)
    background, loud = np.percentile(level, [5, 95])
    return np.asarray(level > max(loud - RANGE, background + ABOVE_FLOOR))


def runs(loud: NDArray[np.bool_], bridge: float, shortest: float = 0.05) -> list[tuple[int, int]]:
    """Runs of loud frames, as first and last + 1; gaps up to `bridge` seconds do not break them.

    Runs shorter than `shortest` are clicks and lip noise, not speech.
    """
    edges = np.flatnonzero(np.diff(np.pad(loud.astype(np.int8), 1)))
    pairs = [
        (int(start), int(end))
        for start, end in edges.reshape(-1, 2)
        if (end - start) * FRAME >= shortest
    ]
    merged: list[tuple[int, int]] = []
    for start, end in pairs:
        if merged and (start - merged[-1][1]) * FRAME <= bridge:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def phrases(samples: Samples, longest_pause: float) -> Iterator[Clip]:
    """The stretches of speech between pauses, each with up to 0.1 s of what surrounds it."""
    size = round(FRAME * RATE)
    margin = round(min(0.1, longest_pause / 2) / FRAME)
    for start, end in runs(loud_frames(samples), longest_pause):
        first = max(0, start - margin)
        yield Clip(
            samples[first * size : (end + margin) * size],
            (start - first) * FRAME,
            (end - first) * FRAME,
        )


def readers() -> list[str]:
    """LibriSpeech's ten."""
    with zipfile.ZipFile(LIBRISPEECH) as zipped:
        return sorted({name.split("/")[0] for name in zipped.namelist() if name.endswith(".flac")})


def phrases_of(reader: str, count: int, longest_pause: float) -> list[Clip]:
    """The first phrases of 1 to 8 s of a reader."""
    with zipfile.ZipFile(LIBRISPEECH) as zipped:
        names = sorted(name for name in zipped.namelist() if name.endswith(".flac"))
    own = (name for name in names if name.startswith(f"{reader}/"))
    every = (phrase for name in own for phrase in phrases(read(LIBRISPEECH, name), longest_pause))
    return list(islice((phrase for phrase in every if 1 <= phrase.end - phrase.start <= 8), count))


def whole(samples: Samples) -> Clip:
    """A whole recording, and where speech begins and ends in it."""
    found = runs(loud_frames(samples), bridge=float("inf"))
    return Clip(samples, found[0][0] * FRAME, found[-1][1] * FRAME)


def join(
    clips: Sequence[Clip], gaps: Sequence[float], background: float, rng: np.random.Generator
) -> tuple[Samples, list[Placed]]:
    """Clips one after another, a gap before each and after the last, and where speech lies.

    Args:
        clips: the sounds.
        gaps: seconds, one more than clips.
        background: amplitude of the white noise under everything, 0 for digital silence.
        rng: makes the noise.
    """
    pieces: list[Samples] = []
    placed: list[Placed] = []
    count = 0
    fade = np.linspace(0, 1, round(FRAME * RATE), dtype=np.float32)
    for clip, gap in zip(clips, gaps, strict=False):
        faded = clip.samples.copy()
        faded[: len(fade)] *= fade
        faded[-len(fade) :] *= fade[::-1]
        pieces += [np.zeros(round(gap * RATE), np.float32), faded]
        count += len(pieces[-2])
        placed.append(Placed(count / RATE + clip.start, count / RATE + clip.end))
        count += len(faded)
    pieces.append(np.zeros(round(gaps[-1] * RATE), np.float32))
    joined = np.concatenate(pieces)
    joined += (background * rng.standard_normal(len(joined))).astype(np.float32)
    return joined, placed


def write_wav(path: Path, samples: Samples) -> None:
    """Sound as a 16-bit WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes())


def plain(text: str) -> list[str]:
    """Lower-case words without punctuation."""
    return "".join(c if c.isalnum() else " " for c in text.lower()).split()


def word_errors(wanted: Sequence[str], found: Sequence[str]) -> int:
    """The fewest words to insert, delete or replace to turn `found` into `wanted`."""
    table = np.zeros((len(wanted) + 1, len(found) + 1), int)
    table[:, 0] = np.arange(len(wanted) + 1)
    table[0] = np.arange(len(found) + 1)
    for i, word in enumerate(wanted, 1):
        for j, other in enumerate(found, 1):
            table[i, j] = min(
                table[i - 1, j] + 1,
                table[i, j - 1] + 1,
                table[i - 1, j - 1] + (word != other),
            )
    return int(table[-1, -1])


def word_error_rate(pairs: Iterable[tuple[str, str]]) -> float:
    """Errors per wanted word over pairs of wanted and found text."""
    errors = words = 0
    for wanted, found in pairs:
        errors += word_errors(plain(wanted), plain(found))
        words += len(plain(wanted))
    return errors / words


def record(path: Path, *who: tuple[str, slice]) -> Path:
    """Writes a recording of readers, each with some of their phrases, with pauses of 1.3 s."""
    clips = [clip for name, part in who for clip in phrases_of(name, 12, 0.5)[part]]
    samples, _ = join(clips, [1.3] * (len(clips) + 1), 0.0003, np.random.default_rng(3))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path
