"""Whether words are written where nobody speaks.

    python -m realtime.bench.noise ~/models/whisper-tiny.en --minutes 30

The sounds are generated, with a seed: silence, noise, hum, chords and breath, at several levels.
They take the path of a session: they are cut into utterances, and Whisper reads what is cut. As
hardly anything is, pieces of the same sounds are also given to Whisper at once.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from gscon_live.common import cli
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.bench import whisper_model
from gscon_live.realtime.listen.segmenter import Segmenter
from gscon_live.realtime.listen.whisper import Whisper
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.settings import Settings
from gscon_live.realtime.session.models import Models

EXAMPLES = """
python -m realtime.bench.noise tiny.en
python -m realtime.bench.noise ~/models/whisper-base --minutes 30 --json
"""
#: Levels of a sound, root mean square in dB of full scale, one after the other.
LEVELS = (-60.0, -45.0, -30.0, -20.0)
#: Seconds of a sound at one level.
PIECE = 5.0
#: Seconds of sound in a block, as a recording gives it.
_BLOCK = 0.25

Samples = NDArray[np.float32]
Kind = Callable[[np.random.Generator, int], NDArray[np.float64]]


class Outcome(NamedTuple):
    """What became of a kind of sound."""

    seconds: float
    utterances: int
    words: list[str]
    words_at_once: list[str]


def _silence(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    return np.zeros(count)


def _white(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    return rng.standard_normal(count)


def _pink(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    return _shaped(rng, count, lambda hertz: 1 / np.sqrt(np.maximum(hertz, 20.0)))


def _hum(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Mains: 50 Hz and some of its multiples."""
    turns = np.arange(count) * 2 * np.pi * 50 / SAMPLE_RATE
    parts = [np.sin(n * turns + rng.uniform(0, 6)) / n for n in (1, 2, 3, 5, 7)]
    return np.asarray(np.sum(parts, axis=0))


def _music(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Chords of three notes with overtones, which fade; every half second a new one."""
    time = np.arange(count) / SAMPLE_RATE
    length = SAMPLE_RATE // 2
    fade = np.exp(-np.arange(length) / (0.25 * SAMPLE_RATE))
    sound = np.zeros(count)
    for begin in range(0, count, length):
        end = min(begin + length, count)
        for note in rng.integers(-12, 12, 3):
            pitch = 330.0 * 2 ** (int(note) / 12)
            for overtone in (1, 2, 3):
                tone = np.sin(2 * np.pi * overtone * pitch * time[begin:end])
                sound[begin:end] += fade[: end - begin] * tone / overtone
    return sound


def _breath(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Noise around 500 to 3000 Hz that swells and fades every three seconds."""
    air = _shaped(rng, count, lambda hertz: np.exp(-(np.log(np.maximum(hertz, 1.0) / 1200) ** 2)))
    swell = np.sin(np.pi * np.arange(count) / (1.5 * SAMPLE_RATE)) ** 2
    return np.asarray(air * swell)


def _shaped(
    rng: np.random.Generator, count: int, gain: Callable[[NDArray[Any]], NDArray[Any]]
) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(rng.standard_normal(count))
    gains = gain(np.fft.rfftfreq(count, 1 / SAMPLE_RATE))
    shaped: NDArray[np.float64] = np.fft.irfft(spectrum * gains, count)
    return shaped


#: The kinds of sound.
KINDS: dict[str, Kind] = {
    "silence": _silence,
    "white noise": _white,
    "pink noise": _pink,
    "hum": _hum,
    "chords": _music,
    "breath": _breath,
}


def pieces(kind: str, seconds: float, seed: int = 0) -> Iterator[Samples]:
    """Pieces of a kind of sound, up to `PIECE` seconds long, at all levels in turn; the same for
    the same seed."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    for number in range(int(np.ceil(seconds / PIECE))):
        length = min(PIECE, seconds - number * PIECE)
        sound = KINDS[kind](rng, round(length * SAMPLE_RATE))
        power = float(np.sqrt(np.mean(np.square(sound)))) or 1.0
        level = 10 ** (LEVELS[number % len(LEVELS)] / 20)
        yield np.clip(sound / power * level, -1, 1).astype(np.float32)


def listen(
    kind: str, seconds: float, settings: Settings, whisper: Whisper, seed: int = 0
) -> Outcome:
    """What a session makes of a kind of sound, and Whisper of its pieces."""
    every = list(pieces(kind, seconds, seed))
    segmenter = Segmenter(settings.segmentation, changes=Models().voice_change())
    sound = np.concatenate(every)
    utterances = list(_utterances(segmenter, sound))
    heard = [whisper(np.frombuffer(part.audio or b"", np.float32)).text for part in utterances]
    at_once = [whisper(piece).text for piece in every[: len(LEVELS)]]
    return Outcome(
        len(sound) / SAMPLE_RATE,
        len(utterances),
        [text for text in heard if text],
        [text for text in at_once if text],
    )


def _utterances(segmenter: Segmenter, sound: Samples) -> Iterator[messages.Segment]:
    block = round(_BLOCK * SAMPLE_RATE)
    for start in range(0, len(sound), block):
        piece = sound[start : start + block]
        chunk = messages.AudioChunk(start / SAMPLE_RATE, piece.tobytes())
        yield from _final(segmenter.process(chunk))
    yield from _final(segmenter.flush())


def _final(given: Iterator[messages.Message]) -> Iterator[messages.Segment]:
    return (part for part in given if isinstance(part, messages.Segment) and part.final)


def main(arguments: Sequence[str]) -> None:
    """Entry point."""
    parser = cli.parser(
        "python -m realtime.bench.noise", "Looks for words where nobody speaks.", EXAMPLES
    )
    whisper_model.add_arguments(parser)
    parser.add_argument(
        "--minutes", type=float, default=6.0, help="length of all sounds (default: 6)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers (default: 0)")
    chosen = parser.parse_args(arguments)
    directory, settings = whisper_model.chosen_model(chosen.model, chosen.overrides)
    whisper = Whisper(directory, settings.transcription)
    seconds = chosen.minutes * 60 / len(KINDS)
    outcomes = {kind: listen(kind, seconds, settings, whisper, chosen.seed) for kind in KINDS}
    if chosen.json:
        rows = {kind: row._asdict() for kind, row in outcomes.items()}
        print(msgspec.json.encode({"kinds": rows, "seed": chosen.seed}).decode())
        return
    for kind, row in outcomes.items():
        print(
            f"{kind:12} {row.seconds:6.0f} s   {row.utterances} utterances, "
            f"{len(row.words)} with words {row.words or ''}   "
            f"at once: {len(row.words_at_once)} of {len(LEVELS)} with words "
            f"{row.words_at_once or ''}"
        )


if __name__ == "__main__":
    cli.program(main)
