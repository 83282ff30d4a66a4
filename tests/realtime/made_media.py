"""Media files for tests, encoded here: pictures whose brightness says their number, clicks whose
time is known, and captions."""

import subprocess
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from devices import need

from gscon_live.realtime.capture.recording import RecordingSource
from gscon_live.realtime.pipeline.messages import AudioChunk, Message, VideoFrame
from gscon_live.realtime.pipeline.settings import Recording

RATE = 16_000


def brightness(number: int) -> int:
    """The grey value of the picture with this number; it tells ten numbers apart."""
    return 20 + number % 10 * 22


def click(seconds: float, at: Iterable[float] = (), rate: int = RATE) -> npt.NDArray[np.float32]:
    """Faint noise with a loud 2 ms click at each of the given times."""
    samples = np.random.default_rng(0).normal(0, 0.005, round(seconds * rate)).astype(np.float32)
    for time in at:
        samples[round(time * rate) : round((time + 0.002) * rate)] = 0.9
    return samples


def make(
    path: Path,
    *,
    video: Sequence[float] | None = None,
    audio: Sequence[npt.NDArray[np.float32]] = (),
    audio_start: Sequence[float] = (),
    rate: int = RATE,
    codecs: tuple[str, str] = ("mpeg4", "pcm_s16le"),
    size: tuple[int, int] = (64, 48),
    cover: bool = False,
) -> Path:
    """Encodes a file: a picture at each time of `video`, and audio tracks at `rate`.

    `audio_start` is when each track begins; later ones leave a hole before them. Audio parts that
    are given as one track with holes use NaN for the hole.
    """
    with av.open(str(path), "w") as container:
        packets: list[Any] = []
        pictures: Any = None
        if video is not None:
            pictures = container.add_stream(codecs[0], rate=25)
            pictures.width, pictures.height = size
            pictures.pix_fmt = "yuv420p"
            if container.format.name == "matroska":
                pictures.codec_context.time_base = Fraction(1, 1000)
        tracks = [container.add_stream(codecs[1], rate=rate, layout="mono") for _ in audio]
        for number, time in enumerate(video or ()):
            plane = np.full((size[1], size[0], 3), brightness(number), np.uint8)
            frame = av.VideoFrame.from_ndarray(plane, format="bgr24")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            packets += pictures.encode(frame)
        if pictures is not None:
            packets += pictures.encode(None)
        for index, (track, samples) in enumerate(zip(tracks, audio, strict=True)):
            begin = audio_start[index] if audio_start else 0.0
            packets += _encode_sound(track, samples, begin, rate)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)
    if cover:
        add_cover(path)
    return path


def _encode_sound(
    track: Any, samples: npt.NDArray[np.float32], begin: float, rate: int
) -> list[Any]:
    context = track.codec_context
    context.open()
    block = context.frame_size or 1024
    packets: list[Any] = []
    for first in range(0, len(samples), block):
        part = samples[first : first + block]
        if np.isnan(part).any():
            continue
        wide = context.format.name
        if wide.startswith("s16"):
            data = np.round(part * 32767).astype(np.int16)
        elif wide.startswith("s32"):
            data = np.round(part.astype(float) * (2**31 - 1)).astype(np.int32)
        else:
            data = part.astype(np.float32)
        frame = av.AudioFrame.from_ndarray(data[None], format=wide, layout="mono")
        frame.sample_rate = rate
        frame.pts, frame.time_base = round(begin * rate) + first, Fraction(1, rate)
        packets += track.encode(frame)
    return packets + list(track.encode(None))


def make_sounds(
    path: Path,
    tracks: Sequence[npt.NDArray[np.float32]],
    *,
    rates: Sequence[int] = (),
    starts: Sequence[float] = (),
    titles: Sequence[dict[str, str]] = (),
    codec: str = "pcm_s16le",
    interleaved: bool = True,
) -> Path:
    """Encodes a file of audio tracks, each [channels, n], with a rate, a start and tags."""
    layouts = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
    # Else the writer puts packets in order.
    options = {} if interleaved else {"max_interleave_delta": "1"}
    with av.open(str(path), "w", options=options) as container:
        packets: list[Any] = []
        streams = []
        for number, samples in enumerate(tracks):
            rate = rates[number] if rates else RATE
            layout = layouts[len(samples) - 1]
            stream = container.add_stream(codec, rate=rate, layout=layout)
            stream.metadata.update(titles[number] if titles else {})
            streams.append(stream)
        for number, (stream, samples) in enumerate(zip(streams, tracks, strict=True)):
            stream.codec_context.open()
            rate, block = stream.rate, stream.codec_context.frame_size or 1024
            begin = starts[number] if starts else 0.0
            for first in range(0, samples.shape[1], block):
                part = samples[:, first : first + block]
                if np.isnan(part).any():
                    continue
                data = np.round(part.T.reshape(1, -1) * 32767).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(
                    data, format="s16", layout=layouts[len(samples) - 1]
                )
                frame.sample_rate = rate
                frame.pts, frame.time_base = round(begin * rate) + first, Fraction(1, rate)
                packets += stream.encode(frame)
            packets += stream.encode(None)
        if interleaved:
            packets.sort(key=lambda packet: packet.dts * packet.time_base)
        for packet in packets:
            container.mux(packet)
    return path


def ffmpeg(*words: str | Path) -> None:
    """Runs the ffmpeg program; skips the test where there is none."""
    need("ffmpeg")
    subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", "-y", *map(str, words)], check=True)


def add_cover(path: Path) -> None:
    """Puts a cover picture into an audio file."""
    picture = path.with_name("cover.png")
    ffmpeg("-f", "lavfi", "-i", "color=red:size=64x64", "-frames:v", "1", picture)
    made = path.with_name("covered-" + path.name)
    ffmpeg("-i", path, "-i", picture, "-map", "0:a", "-map", "1:v", "-c", "copy",
           "-disposition:v:0", "attached_pic", made)  # fmt: skip
    made.replace(path)


def replay(
    path: Path, settings: Recording | None = None, **options: Any
) -> tuple[RecordingSource, list[Message]]:
    """Everything that a recording gives, from `open` to `End`."""
    options.setdefault("captions", "off")
    options.setdefault("frame_rate", 10.0)
    source = RecordingSource(path, settings or Recording(), **options)
    source.open()
    messages: list[Message] = []
    while found := source.read(0.1):
        messages += found
    assert source.read(0.1) == []
    source.close()
    return source, messages


def only(messages: Iterable[Message], kind: type[Any]) -> list[Any]:
    """The messages of one kind."""
    return [message for message in messages if isinstance(message, kind)]


def sound(messages: Iterable[Message]) -> npt.NDArray[np.float32]:
    """All samples, after checking that each chunk's time agrees with the samples before it."""
    parts: list[npt.NDArray[np.float32]] = []
    count = 0
    for chunk in only(messages, AudioChunk):
        assert abs(chunk.time - count / RATE) < 1e-9
        parts.append(np.frombuffer(chunk.samples, np.float32))
        count += len(parts[-1])
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def channels(messages: Iterable[Message]) -> npt.NDArray[np.float32]:
    """All samples [channels, n], after checking the times of the chunks."""
    parts: list[npt.NDArray[np.float32]] = []
    count = 0
    for chunk in only(messages, AudioChunk):
        assert abs(chunk.time - count / RATE) < 1e-9
        parts.append(np.frombuffer(chunk.samples, np.float32).reshape(chunk.channels, -1))
        count += parts[-1].shape[1]
    return np.concatenate(parts, axis=1)


def number_of(frame: VideoFrame, numbers: Iterable[int]) -> int:
    """Which of these numbers the picture's brightness says."""
    grey = float(np.frombuffer(frame.pixels, np.uint8).mean())
    return min(numbers, key=lambda number: abs(brightness(number) - grey))


def grid(times: Sequence[float], rate: float) -> list[int]:
    """Which pictures are to be taken: of each grid interval the first at or after its point."""
    taken: list[int] = []
    due = 0
    for index, time in enumerate(times):
        if time >= due / rate - 1e-6:
            taken.append(index)
            due = int(time * rate + 1e-6) + 1
    return taken
