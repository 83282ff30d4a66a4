"""Makes the sample conversation: our own words, synthetic voices, a public-domain face.

Needs the packages hibari-tts, scikit-image and SciPy. The same versions of these and of PyAV give
the same file on the same machine.
"""

import importlib.util
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from gscon_live.common import cli
from gscon_live.common.errors import InputError
from gscon_live.common.files import replacing, write_whole
from gscon_live.realtime.sample.faces import EXPRESSIONS, Pixels, Portrait, Pose, between, pose
from gscon_live.realtime.sample.voices import MANNERS, RATE, VOICES, Samples, Synthesizer

WIDTH, HEIGHT, FPS = 640, 360, 15
LEAD = 0.45  # s before a line in which the picture changes to its speaker
CHANGE = 0.3  # s that an expression takes to become another
#: What makes the sample, by import name.
PACKAGES = {"hibari": "hibari-tts", "skimage": "scikit-image", "scipy": "scipy"}
NOTICE = "synthetic voices, altered portrait"
BACKGROUND, BAND, LETTERS = (52, 60, 72), (36, 42, 50), (225, 228, 232)


class Line(NamedTuple):
    """An utterance of the script: who says it, and how.

    `pause` is the seconds of silence before it, `face` whether its speaker is in the picture.
    """

    speaker: str
    emotion: str
    text: str
    pause: float
    face: bool = True


class Spoken(NamedTuple):
    """A line with its start and end in the recording, in seconds.

    `loudness` is that of its voice in each picture of the recording from the start on, 0 to 1.
    """

    line: Line
    start: float
    end: float
    loudness: NDArray[np.float64]


# A call: Ada has a camera, Ben has none.
SCRIPT = (
    Line("Ada", "neutral", "Good morning, Ben. The post comes at nine.", 1.0),
    Line("Ben", "neutral",
         "It is here already. There is a letter for you on the table, by the window.", 1.1,
         face=False),
    Line("Ada", "surprise", "Oh my God, it is from the university! Wow, already?", 1.2),
    Line("Ada", "fear", "I am so scared to open it, Ben. What if they say no?", 1.4),
    Line("Ada", "joy", "They said yes! I am so happy! This is the best day of my life!", 1.5),
    Line("Ben", "sadness", "I feel so sad that you are leaving. I will miss you terribly.", 1.4,
         face=False),
    Line("Ben", "neutral", "I will put the kettle on, and take a cup from the shelf.", 1.3,
         face=False),
    Line("Ada", "anger", "No! That is my cup! I hate it when you take my things!", 1.0),
    Line("Ben", "disgust", "Ugh, something green is growing in it. That is disgusting.", 1.1,
         face=False),
    Line("Ada", "joy", "Ha, then keep it! I am so happy today, nothing can spoil it!", 1.0),
)  # fmt: skip


def soundtrack(script: Sequence[Line]) -> tuple[Samples, list[Spoken]]:
    """The sound of the recording over faint room noise, and the times of the lines."""
    synthesizer = Synthesizer()
    parts: list[Samples] = []
    spoken: list[Spoken] = []
    position = 0
    for line in script:
        silence = np.zeros(round(line.pause * RATE), np.float32)
        voice = synthesizer.speak(line.text, VOICES[line.speaker], MANNERS[line.emotion])
        position += len(silence)
        start, end = position / RATE, (position + len(voice)) / RATE
        spoken.append(Spoken(line, start, end, loudness(voice)))
        position += len(voice)
        parts += [silence, voice]
    parts.append(np.zeros(round(1.0 * RATE), np.float32))
    mixed = np.concatenate(parts)
    noise = np.random.default_rng(1).normal(0, 3e-4, len(mixed))
    return np.asarray(np.clip(mixed + noise, -1, 1), np.float32), spoken


def loudness(voice: Samples) -> NDArray[np.float64]:
    """How loud the voice is in each picture: 0 for 24 dB below the loudest, 1 for the loudest."""
    length = RATE // FPS
    padded = np.pad(voice.astype(np.float64), (0, -len(voice) % length))
    power = np.square(padded.reshape(-1, length)).mean(axis=1)
    return np.asarray(np.clip(1 + 10 * np.log10(power / power.max() + 1e-9) / 24, 0, 1))


def posed(spoken: Sequence[Spoken], time: float) -> tuple[Spoken, Pose | None]:
    """Whose turn it is at `time`, and the face then; None where no face is in the picture."""
    turn = max(sum(time >= utterance.start - LEAD for utterance in spoken), 1) - 1
    now, before = spoken[turn], spoken[max(turn - 1, 0)]
    if not now.line.face:
        return now, None
    picture = int((time - now.start) * FPS)
    loud = now.loudness[picture] if 0 <= picture < len(now.loudness) and time >= now.start else 0.0
    after = pose(EXPRESSIONS[now.line.emotion], loud)
    share = min(max((time - now.start + LEAD) / CHANGE, 0.0), 1.0)
    if not before.line.face or share == 1:
        return now, after
    return now, between(pose(EXPRESSIONS[before.line.emotion]), after, share)


def picture(portrait: Portrait, spoken: Sequence[Spoken], time: float) -> Pixels:
    """The frame (RGB) at `time`: the face of the speaker, or a plain picture where none is seen."""
    turn, seen = posed(spoken, time)
    frame = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    frame[:] = BACKGROUND
    if seen is not None:
        drawn = portrait.draw(seen)
        size = 0.68 + 0.012 * np.sin(2 * np.pi * time / 7.0)
        turned = 0.015 * np.sin(2 * np.pi * time / 4.3)
        rotation = size * np.array([[1, -turned], [turned, 1]])
        middle = np.array([WIDTH / 2 + 10 * np.sin(2 * np.pi * time / 5.0), HEIGHT / 2])
        place = middle - rotation @ np.array([drawn.shape[1] / 2, 280])
        frame = np.asarray(
            cv2.warpAffine(drawn, np.column_stack([rotation, place]), (WIDTH, HEIGHT),
                           borderMode=cv2.BORDER_REPLICATE), np.uint8,
        )  # fmt: skip
    frame[HEIGHT - 36 :] = BAND
    name = turn.line.speaker + ("" if seen is not None else " (no camera)")
    for words, left, size in ((name, 16, 0.6), (NOTICE, 372, 0.45)):
        cv2.putText(frame, words, (left, HEIGHT - 12), cv2.FONT_HERSHEY_SIMPLEX, size, LETTERS, 1,
                    cv2.LINE_AA)  # fmt: skip
    return frame


def webvtt(spoken: Sequence[Spoken]) -> str:
    """The captions as a WebVTT file."""

    def stamp(seconds: float) -> str:
        minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
        below_minute = f"{milliseconds // 1000:02}.{milliseconds % 1000:03}"
        return f"{minutes // 60:02}:{minutes % 60:02}:{below_minute}"

    cues = [
        f"{stamp(utterance.start)} --> {stamp(utterance.end)}\n{payload(utterance.line)}\n"
        for utterance in spoken
    ]
    return "\n".join(["WEBVTT\n", *cues])


def payload(line: Line) -> str:
    """The text of a cue, with the speaker as a WebVTT voice span."""
    return f"<v {line.speaker}>{line.text}"


def encode(path: Path, samples: Samples, spoken: Sequence[Spoken]) -> None:
    """Writes the Matroska file: H.264, AAC and the captions as WebVTT."""
    portrait = Portrait()
    frames = int(len(samples) / RATE * FPS)
    # Without bitexact, the file has a random identifier and the library's version.
    with av.open(
        str(path), "w", format="matroska", container_options={"fflags": "+bitexact"}
    ) as out:
        video = out.add_stream(
            "libx264", rate=FPS, options={"crf": "24", "preset": "slow", "threads": "1"}
        )
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = out.add_stream("aac", rate=RATE, layout="mono", options={"b": "40000"})
        captions = out.add_mux_stream("webvtt")
        for stream in (video, sound):
            stream.codec_context.flags |= av.codec.context.Flags.bitexact
        captions.time_base = Fraction(1, 1000)
        captions.metadata["language"] = sound.metadata["language"] = "eng"
        captions.metadata["title"] = "Captions"

        waiting = list(spoken)
        for number in range(frames):
            time = number / FPS
            while waiting and waiting[0].start <= time:
                out.mux(_cue(waiting.pop(0), captions))
            pixels = picture(portrait, spoken, time)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            out.mux(video.encode(frame))
            begin, end = number * RATE // FPS, (number + 1) * RATE // FPS
            block = av.AudioFrame.from_ndarray(samples[None, begin:end], "fltp", "mono")
            block.sample_rate, block.pts, block.time_base = RATE, begin, Fraction(1, RATE)
            out.mux(sound.encode(block))
        out.mux(video.encode(None))
        out.mux(sound.encode(None))


def _cue(utterance: Spoken, stream: Any) -> av.Packet:
    packet = av.Packet(payload(utterance.line).encode())
    start, end = round(utterance.start * 1000), round(utterance.end * 1000)
    packet.stream, packet.time_base = stream, Fraction(1, 1000)
    packet.pts = packet.dts = start
    packet.duration = end - start
    return packet


def make(folder: Path) -> Path:
    """Writes conversation.mkv and conversation.vtt into `folder`; returns the first path."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; create it first")
    for module, package in PACKAGES.items():
        if importlib.util.find_spec(module) is None:
            raise InputError(f"{package}: not installed; run pip install {package}")
    samples, spoken = soundtrack(SCRIPT)
    conversation = folder / "conversation.mkv"
    with replacing(conversation) as unfinished:
        encode(unfinished, samples, spoken)
        write_whole(conversation.with_suffix(".vtt"), webvtt(spoken).encode())
    return conversation


def main(arguments: Sequence[str]) -> None:
    parser = cli.parser(
        "python -m realtime.sample.make",
        "Makes the sample conversation (conversation.mkv and conversation.vtt).",
        """
        python -m realtime.sample.make
        python -m realtime.sample.make some/folder
        """,
    )
    parser.add_argument("out", nargs="?", type=Path, default=Path(__file__).parent, metavar="OUT",
                        help="folder to write into (default: beside this script)")  # fmt: skip
    conversation = make(parser.parse_args(arguments).out)
    print(f"{conversation} ({conversation.stat().st_size / 1e6:.2f} MB)")


if __name__ == "__main__":
    sys.exit(cli.run(main))
