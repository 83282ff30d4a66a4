"""Short recordings of our own: parts of the sample conversation, no two alike."""

import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from gscon_live.realtime.sample import CONVERSATION

#: The seconds of the shortest and of the longest.
LENGTHS = (2.0, 5.0)


def excerpts(folder: Path, count: int, seed: int) -> list[Path]:
    """Writes `count` recordings, every fourth without captions and every fifth without pictures.

    The seed decides where each begins and ends, and how loud it is.
    """
    generator = random.Random(seed)
    pictures, sound, rate = _decoded()
    cues = _cues()
    paths = []
    for number in range(count):
        length = generator.uniform(*LENGTHS)
        start = generator.uniform(0.0, len(sound) / rate - length)
        path = folder / f"talk {number:03}.mkv"
        shown = [] if number % 5 == 4 else [p for p in pictures if 0 <= p.time - start < length]
        heard = sound[round(start * rate) : round((start + length) * rate)]
        _write(path, start, shown, heard * generator.uniform(0.5, 1.0), rate)
        if number % 4 < 3:
            inside = [(b - start, e - start, w) for b, e, w in cues if start <= b < start + length]
            path.with_suffix(".vtt").write_text(_captions(inside, length), encoding="utf-8")
        paths.append(path)
    return paths


def _decoded() -> tuple[list[Any], Any, int]:
    """The pictures of the sample, its sound (int16), and the samples a second."""
    with av.open(str(CONVERSATION)) as media:
        pictures = list(media.decode(video=0))
    with av.open(str(CONVERSATION)) as media:
        rate = media.streams.audio[0].rate
        resampler = av.AudioResampler("s16", "mono", rate)
        blocks = [b for frame in media.decode(audio=0) for b in resampler.resample(frame)]
        sound = np.concatenate([block.to_ndarray()[0] for block in blocks])
    return pictures, sound, rate


def _write(path: Path, start: float, pictures: list[Any], sound: Any, rate: int) -> None:
    with av.open(str(path), "w", format="matroska") as out:
        audio = out.add_stream("pcm_s16le", rate=rate, layout="mono")
        video: Any = None
        if pictures:
            video = out.add_stream("libx264", rate=15, options={"preset": "ultrafast"})
            video.width, video.height = pictures[0].width, pictures[0].height
            video.time_base = Fraction(1, 1000)
        samples = np.ascontiguousarray(sound.astype(np.int16)[None])
        block = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        block.sample_rate, block.pts = rate, 0
        out.mux(audio.encode(block))
        for picture in pictures:
            copy = picture.reformat(format="yuv420p")
            copy = av.VideoFrame.from_ndarray(copy.to_ndarray(), format="yuv420p")
            copy.pts = round((picture.time - start) * 1000)
            copy.time_base = Fraction(1, 1000)
            out.mux(video.encode(copy))
        for stream in (audio, video):
            if stream is not None:
                out.mux(stream.encode(None))


def _cues() -> list[tuple[float, float, str]]:
    blocks = CONVERSATION.with_suffix(".vtt").read_text(encoding="utf-8").strip().split("\n\n")
    cues = []
    for block in blocks[1:]:
        times, _, words = block.partition("\n")
        begin, end = (_seconds(time) for time in times.split(" --> "))
        cues.append((begin, end, words))
    return cues


def _seconds(time: str) -> float:
    hours, minutes, seconds = time.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _captions(cues: list[tuple[float, float, str]], length: float) -> str:
    blocks = ["WEBVTT"]
    for begin, end, words in cues:
        blocks.append(f"{_time(begin)} --> {_time(min(end, length))}\n{words}")
    return "\n\n".join(blocks) + "\n"


def _time(seconds: float) -> str:
    return f"00:00:{seconds:06.3f}"
