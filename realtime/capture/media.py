"""Decodes the media of a recording packet by packet; pictures to BGR frames.

Times are seconds of media time: presentation time minus the container's start. From the times of
all its packets, a track knows the earliest time that can still follow (`mark`).
"""

import math
from bisect import insort
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from gscon_live.realtime.pipeline.messages import Dropped, Message, VideoFrame

#: Times that differ by less, in seconds, are equal: far below any time base, far above the rounding
#: of floats.
EXACT = 1e-6


def packet_time(packet: Any, start: Fraction) -> float | None:
    """Media time of a packet, from its decoding time if it has no presentation time."""
    return _media_time(packet.pts if packet.pts is not None else packet.dts, packet, start)


def decoding_time(packet: Any, start: Fraction) -> float | None:
    """Decoding time of a packet in seconds of media time, from its presentation if it has none."""
    return _media_time(packet.dts if packet.dts is not None else packet.pts, packet, start)


def _media_time(stamp: int | None, packet: Any, start: Fraction) -> float | None:
    return None if stamp is None else float(stamp * packet.time_base - start)


class Track:
    """A stream that is decoded packet by packet.

    Args:
        stream: the container's stream.
        start: the container's start in seconds.
        times: media times of all packets of the stream, in file order.
        shifts: seconds by which the time stamps of each packet are moved, in file order.
    """

    what = ""

    def __init__(
        self,
        stream: Any,
        start: Fraction,
        times: npt.NDArray[np.float64],
        shifts: npt.NDArray[np.float64],
    ) -> None:
        self._codec = stream.codec_context
        self._codec.thread_count = 1  # the order of messages must not depend on the machine
        self._start = start
        self._time_base = stream.time_base
        #: By packet, the earliest time of it and all packets after it.
        self._earliest = np.minimum.accumulate(times[::-1])[::-1]
        self._shifts = shifts
        self._fed = 0
        self._pending: list[float] = []
        self._damage: Dropped | None = None
        self.ended = False

    @property
    def next_time(self) -> float:
        """The earliest time that is not decoded yet; infinite at the end."""
        earliest = self._earliest[self._fed] if self._fed < len(self._earliest) else math.inf
        return float(min([earliest, *self._pending[:1]]))

    def feed(self, packet: Any) -> list[Message]:
        """Decodes a packet. Damaged packets are skipped, and counted in a `Dropped`."""
        self._move(packet)
        self._fed += 1
        time = packet_time(packet, self._start)
        try:
            # Of uncompressed sound, the part of a packet that is there is as good as any.
            if packet.is_corrupt and not self._codec.name.startswith("pcm_"):
                raise av.error.InvalidDataError(0, "flagged as corrupt")
            if time is not None:
                insort(self._pending, time)
            frames = self._codec.decode(packet)
        except av.error.FFmpegError:
            self._skip(packet, time)
            frames = []
        out = self._take(frames)
        if self._fed >= len(self._earliest):
            out += self.flush()
        return out

    def flush(self) -> list[Message]:
        """The messages that are left in the decoder; ends the track."""
        if self.ended:
            return []
        self.ended = True
        try:
            frames = self._codec.decode(None)
        except av.error.FFmpegError:
            frames = []
        out = self._take(frames)
        self._pending.clear()
        return out + self._flush() + self._report()

    def _move(self, packet: Any) -> None:
        """Moves the time stamps of the next packet by its shift."""
        shift = self._shifts[self._fed] if self._fed < len(self._shifts) else 0.0
        if ticks := round(shift / float(packet.time_base or 1)):
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks

    def _take(self, frames: list[Any]) -> list[Message]:
        out: list[Message] = self._report() if frames else []
        for frame in frames:
            stamp = frame.pts if frame.pts is not None else frame.dts
            base = frame.time_base or self._time_base
            time = None if stamp is None else float(stamp * base - self._start)
            if time is not None:
                # Frames come in order of time: earlier ones that did not come are lost.
                while self._pending and self._pending[0] <= time + EXACT:
                    del self._pending[0]
            elif self._pending:
                time = self._pending.pop(0)
            out += self._frame(frame, time)
        return out

    def _skip(self, packet: Any, time: float | None) -> None:
        if time in self._pending:
            self._pending.remove(time)
        seconds = float((packet.duration or 0) * packet.time_base)
        if self._damage is None:
            reason = "damaged data in the recording"
            self._damage = Dropped(max(time or 0.0, 0.0), self.what, 1, seconds, reason)
        else:
            old = self._damage
            self._damage = Dropped(
                old.time, old.what, old.count + 1, old.seconds + seconds, old.reason
            )

    def _report(self) -> list[Message]:
        damage, self._damage = self._damage, None
        return [] if damage is None else [damage]

    def _frame(self, frame: Any, time: float | None) -> list[Message]:
        raise NotImplementedError

    def _flush(self) -> list[Message]:
        return []


class VideoTrack(Track):
    """Pictures, upright, with square pixels, at most `max_width` wide, at most `rate` per second.

    From each interval of 1/rate seconds, the first picture is taken.
    """

    what = "frames"

    def __init__(
        self,
        stream: Any,
        start: Fraction,
        times: npt.NDArray[np.float64],
        shifts: npt.NDArray[np.float64],
        rate: float,
        max_width: int,
    ) -> None:
        super().__init__(stream, start, times, shifts)
        self._rate = rate
        self._max_width = max_width
        self._due = 0  # number of the next interval
        self._aspect = float(stream.sample_aspect_ratio or 1) or 1.0
        self._last = 0.0
        self._step = 1 / float(stream.average_rate or 25)

    @property
    def mark(self) -> float:
        return math.inf if self.ended else max(0.0, self.next_time)

    def _frame(self, frame: Any, time: float | None) -> list[Message]:
        self._last = time = self._last + self._step if time is None else time
        if time < -EXACT or time < self._due / self._rate - EXACT:
            return []
        self._due = math.floor(time * self._rate + EXACT) + 1
        pixels, full_width = self._pixels(frame)
        height, width = pixels.shape[:2]
        return [VideoFrame(max(time, 0.0), width, height, pixels.tobytes(), full_width)]

    def _pixels(self, frame: Any) -> tuple[npt.NDArray[np.uint8], int]:
        """The picture, and its width if it were not made smaller."""
        turns = round((frame.rotation or 0) / 90) % 4
        width, height = frame.width * self._aspect, float(frame.height)
        shown = height if turns % 2 else width
        scale = min(1.0, self._max_width / shown)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = frame.reformat(
            width=size[0], height=size[1], format="bgr24", interpolation="AREA"
        ).to_ndarray()
        return np.ascontiguousarray(np.rot90(pixels, turns)), max(1, round(shown))
