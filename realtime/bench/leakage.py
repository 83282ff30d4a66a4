"""What leaks from one speaker's channel into another's: whether it becomes an utterance.

    python -m realtime.bench.leakage ../shared/data/speech/librispeech_10x10.zip

Two readers take turns, each on a channel of their own, at the same level. The other channel hears
them more softly, 10 ms later, and in half of the cases through a room of 0.3 s. An utterance is
nobody's if its speaker is silent for most of it. A turn is missed if utterances of its speaker lie
over less than half of it. Then both speak at once, the second one more softly and with no leakage.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from gscon_live.common import cli
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.model.speech.endpoint_detector import Segmentation
from gscon_live.realtime.bench.ends import LONGEST_TURN, NOISE, clips, conversations
from gscon_live.realtime.listen.channel_segmenter import ChannelSegmenter
from gscon_live.realtime.pipeline import messages

EXAMPLES = "python -m realtime.bench.leakage librispeech_10x10.zip"
#: By how many dB the other channel is softer, in turns and when both speak.
SOFTER = (8, 12, 15, 20, 30)
SOFTER_SPEAKER = (0, 6, 9, 12, 15)
#: Conversations and turns of each that are tried.
TALKS, TURNS = 4, 8
#: Delay of the leakage, and reverberation of the room, in seconds.
_DELAY, _ROOM = 0.01, 0.3
_LEVEL = 0.05
_BLOCK = 4000

Samples = NDArray[np.float32]


class Turn(NamedTuple):
    """Who speaks, 0 or 1, and from when to when in seconds."""

    speaker: int
    start: float
    end: float


class Talk(NamedTuple):
    """Two channels, float32 [2, n], and the turns on them."""

    sound: Samples
    turns: list[Turn]


def talks(archive: Path) -> list[Talk]:
    """Readers who take turns, each on a channel and at the same level."""
    out = []
    for joined in conversations(clips(archive, LONGEST_TURN))[:TALKS]:
        places = joined.places[:TURNS]
        end = places[-1][1] + SAMPLE_RATE
        sound, turns = np.zeros((2, end), np.float32), []
        for number, (first, last) in enumerate(places):
            voice = joined.samples[first:last]
            speaker = number % 2
            sound[speaker, first:last] = voice * (_LEVEL / np.sqrt(np.mean(np.square(voice))))
            turns.append(Turn(speaker, first / SAMPLE_RATE, last / SAMPLE_RATE))
        out.append(Talk(sound, turns))
    return out


def leaking(talk: Talk, softer: float, room: bool, random: np.random.Generator) -> Samples:
    """The channels of a talk with what leaks between them, and faint noise."""
    late = np.roll(talk.sound[::-1], round(_DELAY * SAMPLE_RATE), axis=1)
    if room:
        time = np.arange(round(_ROOM * SAMPLE_RATE)) / SAMPLE_RATE
        echo = random.standard_normal(len(time)) * 10 ** (-3 * time / _ROOM)
        echo[0] = 4.0
        echo /= np.sqrt(np.sum(np.square(echo)))
        length = late.shape[1] + len(echo)
        spectrum = np.fft.rfft(late, length) * np.fft.rfft(echo, length)
        late = np.fft.irfft(spectrum, length)[:, : late.shape[1]].astype(np.float32)
    mixed = talk.sound + 10 ** (-softer / 20) * late
    return np.asarray(mixed + random.normal(0, NOISE, mixed.shape), np.float32)


def cut(sound: Samples) -> list[Turn]:
    """The utterances of two channels."""
    stage = ChannelSegmenter(Segmentation(), ["0", "1"])
    out: list[messages.Message] = []
    for at in range(0, sound.shape[1], _BLOCK):
        raw = np.ascontiguousarray(sound[:, at : at + _BLOCK]).tobytes()
        out += stage.process(messages.AudioChunk(at / SAMPLE_RATE, raw, 2))
    out += stage.flush()
    return [
        Turn(int(segment.speaker or 0), segment.start, segment.end)
        for segment in out
        if isinstance(segment, messages.Segment) and segment.final
    ]


def covered(turn: Turn, others: Sequence[Turn]) -> float:
    """The share of a turn over which others of the same speaker lie."""
    shared = sum(
        max(0.0, min(turn.end, other.end) - max(turn.start, other.start))
        for other in others
        if other.speaker == turn.speaker
    )
    return shared / (turn.end - turn.start)


def together(talk: Talk, softer: float, random: np.random.Generator) -> tuple[Samples, Turn]:
    """The first speaker's turns without a pause, and one of the second meanwhile."""
    own, other = talk.sound
    parts = [own[round(t.start * SAMPLE_RATE) : round(t.end * SAMPLE_RATE)] for t in talk.turns]
    first = np.concatenate(parts[::2])
    turn = talk.turns[1]
    second = other[round(turn.start * SAMPLE_RATE) : round(turn.end * SAMPLE_RATE)]
    begin = SAMPLE_RATE
    second = second[: len(first) - begin] * np.float32(10 ** (-softer / 20))
    sound = np.zeros((2, len(first) + SAMPLE_RATE), np.float32)
    sound[0, : len(first)] = first
    sound[1, begin : begin + len(second)] = second
    sound += random.normal(0, NOISE, sound.shape).astype(np.float32)
    return sound, Turn(1, 1.0, 1.0 + len(second) / SAMPLE_RATE)


def measure(archive: Path) -> dict[str, Any]:
    """The figures of both."""
    random = np.random.default_rng(0)
    spoken = talks(archive)
    rows: list[dict[str, Any]] = []
    for room in (False, True):
        for softer in SOFTER:
            nobodys = missed = 0
            for talk in spoken:
                utterances = cut(leaking(talk, softer, room, random))
                nobodys += sum(covered(utterance, talk.turns) < 0.5 for utterance in utterances)
                missed += sum(covered(turn, utterances) < 0.5 for turn in talk.turns)
            rows.append({"room": room, "softer": softer, "nobodys": nobodys, "missed": missed})
    both = []
    for softer in SOFTER_SPEAKER:
        shares = []
        for talk in spoken:
            sound, turn = together(talk, softer, random)
            shares.append(covered(turn, cut(sound)))
        both.append({"softer": softer, "covered": round(float(np.mean(shares)), 3)})
    return {
        "turns": sum(len(talk.turns) for talk in spoken),
        "leakage": rows,
        "both": both,
        "seed": 0,
    }


def main(arguments: Sequence[str]) -> None:
    """Entry point."""
    parser = cli.parser("python -m realtime.bench.leakage", "Measures leakage.", EXAMPLES)
    parser.add_argument("archive", type=Path, help="ZIP of FLAC files, a folder for each reader")
    figures = measure(parser.parse_args(arguments).archive)
    print(msgspec.json.format(msgspec.json.encode(figures), indent=2).decode())


if __name__ == "__main__":
    cli.program(main)
