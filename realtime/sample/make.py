"""Makes the sample conversation: our own words, synthetic voices, a public-domain face.

Needs the `espeak-ng` command and scikit-image. The same versions of the tools give the same file.
"""

import io
import shutil
import subprocess
import sys
import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from gscon_live.common import cli
from gscon_live.common.errors import Failure, InputError
from gscon_live.common.files import replacing, write_whole

WIDTH, HEIGHT, FPS, RATE = 640, 360, 15, 22_050

Pixels = NDArray[np.uint8]
Samples = NDArray[np.float32]


class Line(NamedTuple):
    """An utterance of the script, and the settings of its synthetic voice.

    `speed` in words per minute, `pitch` 0 to 99, `amplitude` 0 to 200, `pause` the seconds of
    silence before it, `face` whether the face is in the picture meanwhile.
    """

    speaker: str
    emotion: str
    text: str
    speed: int
    pitch: int
    amplitude: int
    pause: float
    face: bool = True


class Spoken(NamedTuple):
    """A line with its start and end in the recording, in seconds."""

    line: Line
    start: float
    end: float


VOICES = {"Ada": "en-us+f3", "Ben": "en-gb+m3"}

SCRIPT = (
    Line("Ben", "neutral", "Good morning, Ada. The post came at nine.", 165, 40, 90, 1.0),
    Line("Ada", "surprise", "Oh my God, a letter from the university? Wow, already?",
         195, 78, 130, 1.1),
    Line("Ada", "fear", "I am so scared to open it, Ben. What if they say no?", 200, 70, 60, 1.3),
    Line("Ben", "neutral", "Give it to me, then. I will read it to you.", 165, 40, 90, 1.0),
    Line("Ada", "joy", "They said yes! I am so happy, this is the best day of my life!",
         190, 75, 140, 0.9),
    Line("Ben", "sadness", "I am sorry, I just feel so sad, and I will miss you terribly.",
         132, 22, 50, 1.4),
    Line("Ada", "neutral", "Wait a minute, I will put the kettle on.",
         170, 50, 80, 1.2, face=False),
    Line("Ben", "anger", "No! That is my cup! I hate it when you take my things!",
         205, 55, 180, 1.0, face=False),
    Line("Ada", "disgust", "Ugh, something green is growing in it. That is disgusting.",
         150, 38, 100, 1.2),
    Line("Ben", "joy", "Ha, keep it! Congratulations, Ada, I am so proud of you!",
         185, 62, 130, 1.1),
)  # fmt: skip


def speak(line: Line) -> Samples:
    """The line as sound at `RATE`, without the silence before and after it.

    Raises:
        Failure: espeak-ng is missing, or gives no sound at `RATE`.
    """
    voice = ["-v", VOICES[line.speaker], "-s", str(line.speed), "-p", str(line.pitch)]
    command = ["espeak-ng", *voice, "-a", str(line.amplitude), "--stdout", line.text]
    try:
        output = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failure(f"espeak-ng: {error}; install the package espeak-ng") from error
    with wave.open(io.BytesIO(output)) as sound:
        if sound.getframerate() != RATE:
            raise Failure(f"espeak-ng: voice at {sound.getframerate()} Hz, expected {RATE} Hz")
        # espeak-ng writes to a pipe, so the length in the header is wrong.
        raw = output[output.index(b"data") + 8 :]
    samples = np.frombuffer(raw[: len(raw) // 2 * 2], np.int16).astype(np.float32) / np.float32(
        32768
    )
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    if not len(loud):
        raise Failure(f"espeak-ng: no sound for {line.text!r}; check the voice with --voices")
    return samples[loud[0] : loud[-1] + 1]


def soundtrack(script: Sequence[Line]) -> tuple[Samples, list[Spoken]]:
    """The sound of the recording over faint room noise, and the times of the lines."""
    parts: list[Samples] = []
    spoken: list[Spoken] = []
    position = 0
    for line in script:
        silence = np.zeros(round(line.pause * RATE), np.float32)
        voice = speak(line)
        position += len(silence)
        spoken.append(Spoken(line, position / RATE, (position + len(voice)) / RATE))
        position += len(voice)
        parts += [silence, voice]
    parts.append(np.zeros(round(1.0 * RATE), np.float32))
    mixed = np.concatenate(parts)
    noise = np.random.default_rng(1).normal(0, 3e-4, len(mixed))
    return np.asarray(np.clip(mixed + noise, -1, 1), np.float32), spoken


def picture(portrait: Pixels, time: float, away: float) -> Pixels:
    """The frame (RGB) at `time`: the portrait sways and zooms; at `away` 1 it is out of view."""
    frame = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    frame[:] = (52, 60, 72)
    frame[HEIGHT - 48 :] = (92, 78, 66)
    if away >= 1:
        return frame
    scale = 1.15 + 0.10 * np.sin(2 * np.pi * time / 7.0)
    left = WIDTH / 2 + 30 * np.sin(2 * np.pi * time / 5.0) + away * WIDTH - scale * 150
    top = HEIGHT / 2 + 6 * np.sin(2 * np.pi * time / 3.1) - scale * 150
    transform = np.array([[scale, 0, left], [0, scale, top]])
    moved = np.asarray(cv2.warpAffine(portrait, transform, (WIDTH, HEIGHT)))
    mask: Pixels = np.full(portrait.shape[:2], 255, np.uint8)
    inside = np.asarray(cv2.warpAffine(mask, transform, (WIDTH, HEIGHT))) > 127
    frame[inside] = moved[inside]
    return frame


def absence(spoken: Sequence[Spoken], time: float) -> float:
    """How far the face has left the picture at `time`, 0 to 1; leaving it takes half a second."""
    away = 0.0
    for utterance in spoken:
        if not utterance.line.face:
            outside = max(utterance.start - 0.2 - time, time - utterance.end - 0.2, 0.0)
            away = max(away, 1 - outside / 0.5)
    return away


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
    from skimage import data

    portrait: Pixels = np.ascontiguousarray(data.astronaut()[0:300, 70:370])
    frames = int(len(samples) / RATE * FPS)
    # Without bitexact, the file has a random identifier and the library's version.
    with av.open(
        str(path), "w", format="matroska", container_options={"fflags": "+bitexact"}
    ) as out:
        video = out.add_stream(
            "libx264", rate=FPS, options={"crf": "25", "preset": "slow", "threads": "1"}
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
            pixels = picture(portrait, time, absence(spoken, time))
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
    if shutil.which("espeak-ng") is None:
        raise InputError("espeak-ng: no such command; install the package espeak-ng")
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
