"""Decodes the sound of a recording to 16 kHz chunks."""

import math
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.capture.media import EXACT, Track
from gscon_live.realtime.capture.mixdown import Mixdown, to_float
from gscon_live.realtime.pipeline.messages import AudioChunk, Dropped, Message

#: Seconds of sound per `AudioChunk` by default.
BLOCK = 0.25
#: A jump of the time stamps by more than this many seconds is a gap; a smaller one is rounding.
GAP = 0.05


class AudioTrack(Track):
    """Sound as 16 kHz chunks, without a gap from the file's start.

    `filled` is the silence in seconds that was inserted where the recording has no sound; `block`
    is the length of a chunk in seconds. The chunks are mono, or keep so many `channels`: those that
    a part of the recording lacks are silent in it.
    """

    what = "audio"

    def __init__(
        self,
        stream: Any,
        start: Fraction,
        times: npt.NDArray[np.float64],
        shifts: npt.NDArray[np.float64],
        block: float = BLOCK,
        channels: int | None = None,
    ) -> None:
        super().__init__(stream, start, times, shifts)
        self._block = round(block * SAMPLE_RATE)
        self._channels = channels
        self.filled = 0.0
        self._buffer: list[npt.NDArray[np.float32]] = []  # [channels, n]
        self._written = 0  # samples at 16 kHz, buffered or sent
        self._sent = 0
        self._resamplers: list[Any] = []  # one for each channel
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
        if time is not None and abs(gap) > (EXACT if self._exact else GAP):
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
            out += self._left_out(frame.layout.nb_channels)
        self._clock += frame.samples / frame.sample_rate
        parts = self._mono(frame)
        self._resamplers = self._resamplers or [
            av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE) for _ in parts
        ]
        self._write([own.resample(part) for own, part in zip(self._resamplers, parts, strict=True)])
        return out + self._chunks()

    def _overlap(self, time: float, seconds: float) -> list[Message]:
        """Reports sound that is left out; that before the file's start is the codec's padding."""
        if not self._written or seconds <= GAP:
            return []
        reason = "its time stamps are those of the sound before it"
        return [Dropped(max(time, 0.0), self.what, round(seconds * SAMPLE_RATE), seconds, reason)]

    def _left_out(self, count: int) -> list[Message]:
        """Reports channels beyond those that are kept, which only a later part of a file has."""
        if self._channels is None or count <= self._channels:
            return []
        reason = f"its sound has {count} channels from here on, of which {self._channels} are read"
        return [Dropped(max(self._clock, 0.0), self.what, 0, 0.0, reason)]

    def _mono(self, frame: Any) -> list[Any]:
        """A frame for each channel that is kept, or one of their mix."""
        count = frame.layout.nb_channels
        if count == 1 and self._channels is None:
            frame.pts = None
            return [frame]
        block = to_float(frame.to_ndarray(), count, frame.format.is_planar)
        if self._channels is None:
            rows = [self._mixdown(block, frame.sample_rate)]
        else:
            absent = [np.zeros(len(block), np.float32)] * (self._channels - count)
            rows = [*block.T[: self._channels], *absent]
        return [_frame_of(row, frame.sample_rate) for row in rows]

    def _flush(self) -> list[Message]:
        self._drain()
        return self._chunks(last=True)

    def _silence(self, until: float) -> None:
        self._drain()
        count = max(0, round(until * SAMPLE_RATE) - self._written)
        self.filled += count / SAMPLE_RATE
        self._buffer.append(np.zeros((self._channels or 1, count), np.float32))
        self._written += count
        self._clock = until

    def _drain(self) -> None:
        if self._resamplers:
            self._write([own.resample(None) for own in self._resamplers])
            self._resamplers = []

    def _write(self, channels: list[list[Any]]) -> None:
        """Takes what each channel's resampler gave: as many frames of the same lengths."""
        for frames in zip(*channels, strict=True):
            rows = np.stack([frame.to_ndarray().reshape(-1) for frame in frames])
            samples = rows[:, self._excess :]
            self._excess -= min(self._excess, rows.shape[1])
            self._buffer.append(samples.astype(np.float32) / np.float32(32768))
            self._written += samples.shape[1]

    def _chunks(self, last: bool = False) -> list[Message]:
        if self._written - self._sent < (1 if last else self._block):
            return []
        sound = np.concatenate(self._buffer, axis=1)
        channels, count = sound.shape
        end = count if last else count // self._block * self._block
        out: list[Message] = []
        for begin in range(0, end, self._block):
            part = sound[:, begin : min(begin + self._block, end)]
            out.append(AudioChunk(self._sent / SAMPLE_RATE, part.tobytes(), channels))
            self._sent += part.shape[1]
        self._buffer = [sound[:, end:]]
        return out


def _frame_of(samples: npt.NDArray[np.float32], rate: int) -> Any:
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(samples)[None], format="flt", layout="mono"
    )
    frame.sample_rate = rate
    return frame
