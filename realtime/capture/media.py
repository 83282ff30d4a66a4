"""Decodes the two media of a recording: sound to 16 kHz mono chunks, pictures to BGR frames.

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

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.capture.mixdown import Mixdown, to_float
from gscon_live.realtime.pipeline.messages import AudioChunk, Dropped, Message, VideoFrame

#: Seconds of sound per `AudioChunk` by default.
BLOCK = 0.25
#: A jump of the time stamps by more than this many seconds is a gap; a smaller one is rounding.
GAP = 0.05
#: Times that differ by less, in seconds, are equal: far below any time base, far above the rounding
#: of floats.
_EXACT = 1e-6


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
                while self._pending and self._pending[0] <= time + _EXACT:
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


class AudioTrack(Track):
    """Sound as 16 kHz mono chunks, without a gap from the file's start.

    `filled` is the silence in seconds that was inserted where the recording has no sound; `block`
    is the length of a chunk in seconds.
    """

    what = "audio"

    def __init__(
        self,
        stream: Any,
        start: Fraction,
        times: npt.NDArray[np.float64],
        shifts: npt.NDArray[np.float64],
        block: float = BLOCK,
    ) -> None:
        super().__init__(stream, start, times, shifts)
        self._block = round(block * SAMPLE_RATE)
        self.filled = 0.0
        self._buffer: list[npt.NDArray[np.float32]] = []
        self._written = 0  # samples at 16 kHz, buffered or sent
        self._sent = 0
        self._resampler: Any = None
        self._kind: tuple[str, str, int] | None = None
        self._mixdown = Mixdown(["FC"])
        self._clock = 0.0  # media time of the end of the decoded sound
        self._excess = 0  # samples to leave out, as their time is filled already
        self._exact = True  # follow the next time stamp exactly, not only beyond `GAP`

    @property
    def position(self) -> float:
        """Media time of the end of the sound that was sent."""
        return self._sent / SAMPLE_RATE

    @property
    def mark(self) -> float:
        return math.inf if self.ended else self.position

    @property
    def clock(self) -> float:
        """Media time of the end of the decoded sound, silence included."""
        return self._clock

    def fill(self, until: float) -> list[Message]:
        """Silence up to `until`, or to the next sound if that comes before."""
        until = min(until, self.next_time)
        if self.ended or not math.isfinite(until) or until - self._clock <= GAP:
            return []
        self._silence(until)
        self._exact = True
        return self._chunks()

    def _frame(self, frame: Any, time: float | None) -> list[Message]:
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        gap = 0.0 if time is None else time - self._clock
        out: list[Message] = []
        if time is not None and abs(gap) > (_EXACT if self._exact else GAP):
            if gap > 0:
                self._silence(time)
            else:
                out += self._overlap(time, -gap)
                self._drain()
                self._excess += round(-gap * SAMPLE_RATE)
                self._clock = time
        self._exact = False
        if kind != self._kind:
            self._drain()
            self._kind = kind
            self._mixdown = Mixdown([channel.name for channel in frame.layout.channels])
        if self._resampler is None:
            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        self._clock += frame.samples / frame.sample_rate
        self._write(self._resampler.resample(self._mono(frame)))
        return out + self._chunks()

    def _overlap(self, time: float, seconds: float) -> list[Message]:
        """Reports sound that is left out; that before the file's start is the codec's padding."""
        if not self._written or seconds <= GAP:
            return []
        reason = "its time stamps are those of the sound before it"
        return [Dropped(max(time, 0.0), self.what, round(seconds * SAMPLE_RATE), seconds, reason)]

    def _mono(self, frame: Any) -> Any:
        if frame.layout.nb_channels > 1:
            block = to_float(frame.to_ndarray(), frame.layout.nb_channels, frame.format.is_planar)
            samples = self._mixdown(block, frame.sample_rate)[None]
            mono = av.AudioFrame.from_ndarray(samples, format="flt", layout="mono")
            mono.sample_rate = frame.sample_rate
            return mono
        frame.pts = None
        return frame

    def _flush(self) -> list[Message]:
        self._drain()
        return self._chunks(last=True)

    def _silence(self, until: float) -> None:
        self._drain()
        count = max(0, round(until * SAMPLE_RATE) - self._written)
        self.filled += count / SAMPLE_RATE
        self._buffer.append(np.zeros(count, np.float32))
        self._written += count
        self._clock = until

    def _drain(self) -> None:
        if self._resampler is not None:
            self._write(self._resampler.resample(None))
            self._resampler = None

    def _write(self, frames: list[Any]) -> None:
        for frame in frames:
            samples = frame.to_ndarray().reshape(-1)[self._excess :]
            self._excess -= min(self._excess, frame.samples)
            self._buffer.append(samples.astype(np.float32) / np.float32(32768))
            self._written += len(samples)

    def _chunks(self, last: bool = False) -> list[Message]:
        if self._written - self._sent < (1 if last else self._block):
            return []
        sound = np.concatenate(self._buffer)
        end = len(sound) if last else len(sound) // self._block * self._block
        out: list[Message] = []
        for begin in range(0, end, self._block):
            part = sound[begin : min(begin + self._block, end)]
            out.append(AudioChunk(self._sent / SAMPLE_RATE, part.tobytes()))
            self._sent += len(part)
        self._buffer = [sound[end:]]
        return out


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
        if time < -_EXACT or time < self._due / self._rate - _EXACT:
            return []
        self._due = math.floor(time * self._rate + _EXACT) + 1
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
