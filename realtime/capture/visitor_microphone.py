"""The microphone of a visitor as a source: sound that the page hands on."""

import time as system_time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.capture.mono_resampler import MonoResampler
from gscon_live.realtime.capture.only_zeros import ZEROS_SECONDS, OnlyZeros
from gscon_live.realtime.capture.sample_clock import SampleClock
from gscon_live.realtime.pipeline.messages import AudioChunk, Dropped, Mark, Message
from gscon_live.realtime.pipeline.stage import Source
from gscon_live.realtime.pipeline.visitor import SOUND_QUEUE, Inlet, Left, Missing, Sound

#: The name in messages.
NAME = "the visitor's microphone"
#: Seconds without sound after which the microphone counts as gone.
_TIMEOUT = 2.0
#: Seconds between two marks while it is gone.
_MARK_INTERVAL = 0.5
#: Seconds by which the sound may be ahead of the clock: more was never spoken in this time.
_AHEAD = 0.5
#: Seconds between two reports of such sound.
_REPORT_INTERVAL = 5.0

Samples = npt.NDArray[np.float32]


class VisitorMicrophone(Source):
    """Live sound of a visitor. One that goes is reported, and waited for.

    `state` is "gone" until sound comes, "open" as long as it comes. Before the first visitor
    nothing is lost. A `Dropped` reports that the microphone is gone (with count 0, as the length is
    not known yet), that it is back, and everything that was lost on the way. Another reports, once,
    that there were only zeros in the first 5 s.

    Args:
        endpoint: where the page sends sound to.
        t0: `time.monotonic()` at the session's start; times in messages count from there.
        block: length of a sound block in seconds.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        endpoint: str,
        t0: float,
        block: float,
        *,
        clock: Callable[[], float] = system_time.monotonic,
    ) -> None:
        self.state = "gone"
        self.description = NAME
        self._endpoint = endpoint
        self._t0 = t0
        self._block = max(1, round(block * SAMPLE_RATE))
        self._clock = clock
        self._inlet: Inlet | None = None
        self._visitor: int | None = None
        self._rate = SAMPLE_RATE
        self._resampler = MonoResampler(SAMPLE_RATE)
        self._zeros = OnlyZeros()
        self._samples = SampleClock()
        self._until = 0.0  # nothing earlier may follow
        self._ended_at: float | None = None  # the end of the sound before it was gone
        self._came_at = 0.0
        self._marked_at = 0.0
        self._early = 0.0  # seconds of sound that came too early and were not reported yet
        self._reported_at = -_REPORT_INTERVAL

    def open(self) -> None:
        """Waits for sound from now on."""
        self._inlet = Inlet(self._endpoint, SOUND_QUEUE)

    def read(self, timeout: float) -> list[Message]:
        """The sound that has come, after at most `timeout` s; marks while there is none."""
        assert self._inlet is not None
        out: list[Message] = []
        for given in self._inlet.receive(timeout):
            match given:
                case Sound():
                    out += self._sound(given)
                case Missing():
                    out += self._missing(given)
                case Left(visitor=visitor):
                    if visitor == self._visitor:
                        out += self._gone()
        return out + self._look_after()

    def close(self) -> None:
        """Ends the connection to the page."""
        inlet, self._inlet = self._inlet, None
        self.state = "gone"
        if inlet is not None:
            inlet.close()

    def _now(self) -> float:
        return self._clock() - self._t0

    def _sound(self, given: Sound) -> list[Message]:
        samples = np.frombuffer(given.samples, "<i2").astype(np.float32) / np.float32(32768)
        length = len(samples) / given.rate
        measured = given.at - self._t0
        out: list[Message] = []
        if self.state == "gone" or given.visitor != self._visitor or given.rate != self._rate:
            if measured + length <= self._until:
                return []
            measured = max(measured, self._until)
            out += self._begin(given, measured)
        self._came_at = self._clock()
        before = self._samples.end
        if before is not None and before + length > self._now() + _AHEAD:
            self._early += length
            return out
        time, missing = self._samples.stamp(measured, length, False)
        if missing:
            out.append(_dropped(before or time, missing, "sound of the visitor is missing"))
        if zeros := self._zeros.look(samples, time, length):
            reason = (
                f"{NAME} has given only zeros for {ZEROS_SECONDS:g} s; unmute it, or allow its "
                "use in the settings of the browser and of the system"
            )
            out.append(_dropped(zeros[0], zeros[1], reason))
        resampled = self._resampler(samples)
        for begin in range(0, len(resampled), self._block):
            part = resampled[begin : begin + self._block]
            out.append(AudioChunk(time + begin / SAMPLE_RATE, part.tobytes()))
        self._until = max(self._until, time + length)
        return out

    def _begin(self, given: Sound, measured: float) -> list[Message]:
        """Sound of a new visitor, or of one that was gone."""
        out: list[Message] = []
        if self.state == "open":
            self._gone()
        if self._ended_at is not None:
            seconds = max(0.0, measured - self._ended_at)
            out.append(_dropped(measured, seconds, f"{NAME} is back after {seconds:.1f} s"))
        self.state = "open"
        self._visitor, self._rate = given.visitor, given.rate
        self._samples, self._zeros = SampleClock(), OnlyZeros()
        self._resampler = MonoResampler(given.rate)
        return out

    def _missing(self, given: Missing) -> list[Message]:
        end = self._samples.end
        if self._visitor is None:  # it was lost while this service was started again
            return [_dropped(self._until, given.seconds, given.reason)]
        if self.state != "open" or end is None:
            return []  # it is part of what is told when the visitor is back
        # The sound that follows may not be ahead of the clock.
        seconds = min(given.seconds, max(0.0, self._now() - end))
        self._samples.skip(seconds)
        return [_dropped(end, seconds, given.reason)]

    def _gone(self) -> list[Message]:
        if self.state != "open":
            return []
        self.state = "gone"
        self._ended_at = self._samples.end or self._until
        return [_dropped(self._ended_at, 0.0, f"{NAME} is gone; it is waited for")]

    def _look_after(self) -> list[Message]:
        out: list[Message] = []
        if self.state == "open" and self._clock() - self._came_at > _TIMEOUT:
            out += self._gone()
        now = self._now()
        if self._early and now - self._reported_at >= _REPORT_INTERVAL:
            reason = "sound of the visitor came faster than it can have been spoken"
            out.append(_dropped(self._until, self._early, reason))
            self._early, self._reported_at = 0.0, now
        if self.state == "gone" and now - self._marked_at >= _MARK_INTERVAL:
            self._marked_at = now
            self._until = max(self._until, now)
            out.append(Mark(self._until, "microphone"))
        return out


def _dropped(time: float, seconds: float, reason: str) -> Dropped:
    return Dropped(max(time, 0.0), "audio", round(seconds * SAMPLE_RATE), seconds, reason)
