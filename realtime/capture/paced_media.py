"""Reads a recording or a stream as it would be heard and seen live: for programs that give it."""

import heapq
import itertools
import time as system_time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import av
import cv2

from gscon_live.common.errors import InputError
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.pipeline.picture_rate import PictureRate

#: Length of a block of sound in samples.
BLOCK = SAMPLE_RATE // 50
#: Seconds by which sound and pictures of a file may be apart.
_APART = 3.0
#: Seconds by which a stream may be late before its times are moved.
_LATE = 0.5


class Part(NamedTuple):
    """Sound (mono PCM, 16 bit, 16 kHz) or a JPEG; `time` is in seconds of the recording, `length`
    that of the sound."""

    time: float
    kind: Literal["sound", "picture"]
    content: bytes
    length: float = 0.0


class PacedMedia:
    """Sound and pictures of a recording, in the order in which they are captured.

    Args:
        source: a file, or a stream that is read once.
        name: what it is called in messages.
        width: wider pictures are scaled down, in pixels; 0: no pictures.
        rate: pictures per second.

    Raises:
        InputError: it cannot be read, or has neither sound nor pictures.
    """

    def __init__(self, source: Path | BinaryIO, name: str, width: int, rate: float) -> None:
        self._name = name
        self._width, self._rate = width, PictureRate(rate)
        try:
            opened = str(source) if isinstance(source, Path) else source
            self._container: Any = av.open(opened)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(
                f"{name}: cannot be read as a recording ({reason}); give a file with sound or "
                "pictures"
            ) from error
        streams = self._container.streams
        self._streams = [*streams.audio[:1], *(streams.video[:1] if width else [])]
        if not self._streams:
            self._container.close()
            raise InputError(f"{name}: has nothing of what the session wants; give another file")
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        self._rest = b""
        self._sound_at: float | None = None

    def parts(self) -> Iterator[Part]:
        """All parts in order of time. Raises `InputError`: it is damaged from the start."""
        waiting: list[tuple[float, int, Part]] = []
        count = itertools.count()
        reached = {stream.type: -1.0 for stream in self._streams}
        for part in self._decoded():
            # A picture is there at its time, sound when it has been spoken.
            due = part.time + part.length
            kind = "audio" if part.kind == "sound" else "video"
            reached[kind] = max(reached[kind], due)
            heapq.heappush(waiting, (due, next(count), part))
            while waiting and (
                waiting[0][0] <= min(reached.values()) or waiting[0][0] < due - _APART
            ):
                yield heapq.heappop(waiting)[2]
        while waiting:
            yield heapq.heappop(waiting)[2]

    def close(self) -> None:
        """Closes the file."""
        self._container.close()

    def _decoded(self) -> Iterator[Part]:
        decoded = False
        frames = self._container.decode(self._streams)
        while True:
            try:
                frame = next(frames, None)
            except (OSError, ValueError) as error:
                if not decoded:
                    raise InputError(f"{self._name}: {error}; give another file") from error
                return  # it breaks off
            if frame is None:
                return
            decoded = True
            if isinstance(frame, av.AudioFrame):
                yield from self._sound(frame)
            else:
                yield from self._picture(frame)

    def _sound(self, frame: Any) -> Iterator[Part]:
        if self._sound_at is None:
            self._sound_at = float(frame.time or 0.0)
        frame.pts = None
        for part in self._resampler.resample(frame):
            self._rest += part.to_ndarray()[0].astype("<i2").tobytes()
        while len(self._rest) >= 2 * BLOCK:
            block, self._rest = self._rest[: 2 * BLOCK], self._rest[2 * BLOCK :]
            yield Part(self._sound_at, "sound", block, BLOCK / SAMPLE_RATE)
            self._sound_at += BLOCK / SAMPLE_RATE

    def _picture(self, frame: Any) -> Iterator[Part]:
        time = float(frame.time or 0.0)
        if not self._rate.takes(time):
            return
        pixels: Any = frame.to_ndarray(format="bgr24")
        height, width = pixels.shape[:2]
        if width > self._width:
            size = (self._width, max(1, round(height * self._width / width)))
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        encoded, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])
        if encoded:
            yield Part(time, "picture", jpeg.tobytes())


def in_real_time(
    parts: Iterator[Part],
    clock: Callable[[], float] = system_time.monotonic,
    sleep: Callable[[float], None] = system_time.sleep,
) -> Iterator[tuple[float, Part]]:
    """Gives each part when it would be captured, with the time of its capture on the clock.

    A stream that stands still is late from then on: its later times are moved by as much.
    """
    begun: float | None = None
    for part in parts:
        due = part.time + part.length
        if begun is None:
            begun = clock() - due
        wait = begun + due - clock()
        if wait > 0:
            sleep(wait)
        elif wait < -_LATE:
            begun -= wait
        yield begun + part.time, part
