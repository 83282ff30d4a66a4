"""The media time of captured sound, and a buffer of the last seconds of it."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.pipeline import messages

#: Deviations of the capture clock up to this, in seconds, are jitter.
JITTER = 0.02
#: Deviations above this, in seconds, are lost sound or a jump of the clock, no drift.
JUMP = 0.25
#: Share of the deviation that is corrected per chunk, to follow a drifting clock.
FOLLOW = 0.02


class Timeline:
    """Maps sample positions to media time, follows slow drift, and notices jumps.

    A position counts samples from the session's start. It never goes back, whatever the capture
    clock does.
    """

    def __init__(self) -> None:
        self._position = 0
        self._offset = 0.0
        self._clock_shift = 0.0
        self._started = False
        self._reported = 0.0

    @property
    def position(self) -> int:
        """The position of the next sample."""
        return self._position

    @property
    def now(self) -> float:
        """Media time in seconds of the next sample."""
        return self.time(self._position)

    def time(self, position: int) -> float:
        """Media time in seconds of a sample position."""
        return position / SAMPLE_RATE + self._offset

    def sample(self, time: float) -> int:
        """The sample position of a media time in seconds."""
        return round((time - self._offset) * SAMPLE_RATE)

    def arrive(self, time: float, count: int) -> float:
        """Places a chunk of `count` samples that was captured at `time`.

        Afterwards, `position` is that of the chunk's first sample. Call `advance` after the use of
        the samples.

        Returns:
            Seconds by which the clock jumped: positive if sound is missing, negative if the clock
            went back, zero if the chunk follows on the last one.
        """
        if not self._started:
            self._started = True
            self._position = max(0, round(time * SAMPLE_RATE))
            return 0.0
        deviation = time + self._clock_shift - self.now
        if deviation > JUMP:
            self._position += round(deviation * SAMPLE_RATE)
            return deviation
        if deviation < -JUMP:
            # Times must not come twice: from here on, the samples are the clock.
            self._clock_shift -= deviation
            return deviation
        if abs(deviation) > JITTER:
            self._offset += FOLLOW * deviation
        return 0.0

    def advance(self, count: int) -> None:
        """Moves on by `count` samples."""
        self._position += count

    def known(self, loss: messages.Dropped) -> None:
        """Takes a loss that the source has reported, so that its jump is not reported again."""
        if loss.what == "audio":
            self._reported += loss.seconds

    def report(self, jump: float) -> Iterator[messages.Dropped]:
        """The message for a jump, as `arrive` returns it; none if the source has reported it."""
        reported, self._reported = self._reported, 0.0
        if jump > 0:
            rest = jump - reported  # a device that is back gives sound only after a while
            if rest > JUMP:
                yield messages.Dropped(
                    max(0.0, self.now - rest), "audio", 1, round(rest, 3), "no sound arrived"
                )
        elif jump < 0:
            reason = f"the capture clock jumped back by {-jump:.2f} s; times go on from the samples"
            yield messages.Dropped(max(0.0, self.now), "audio", 0, 0.0, reason)


class History:
    """A ring buffer of the last seconds of sound, addressed by sample position.

    Args:
        seconds: its length.
    """

    def __init__(self, seconds: float) -> None:
        self._capacity = round(seconds * SAMPLE_RATE)
        self._ring = np.zeros(self._capacity, np.float32)
        self._end = 0

    def append(self, position: int, samples: NDArray[np.float32]) -> None:
        """Adds samples from `position` on; skipped positions read as silence."""
        if position != self._end:
            skipped = min(position - self._end, self._capacity)
            self._write(position - skipped, np.zeros(skipped, np.float32))
        self._write(position, samples)

    def slice(self, start: int, end: int) -> NDArray[np.float32]:
        """A copy of the samples from `start` to `end`, as far as they are in the buffer."""
        start = max(start, self._end - self._capacity, 0)
        end = min(end, self._end)
        if end <= start:
            return np.zeros(0, np.float32)
        left, right = start % self._capacity, end % self._capacity
        if left < right:
            return self._ring[left:right].copy()
        return np.concatenate([self._ring[left:], self._ring[:right]])

    def _write(self, position: int, samples: NDArray[np.float32]) -> None:
        beyond = max(0, len(samples) - self._capacity)
        position, samples = position + beyond, samples[beyond:]
        start = position % self._capacity
        head = min(len(samples), self._capacity - start)
        self._ring[start : start + head] = samples[:head]
        self._ring[: len(samples) - head] = samples[head:]
        self._end = position + len(samples)
