"""Media times for the blocks of a microphone, whose callbacks come irregularly."""

from collections import deque


class SampleClock:
    """Media times of consecutive blocks, without the jitter of callbacks.

    Blocks follow without a gap. Per block, the clock moves towards the measured time by at most
    0.5 % of its length, which corrects the drift of a sound card. It jumps only if samples are
    missing: the device reports it, or measured times stay late for a second.
    """

    #: Maximal correction per block, as a share of its length.
    CORRECTION = 0.005
    #: Seconds by which measured times must be late for a jump.
    LATE = 0.1

    def __init__(self) -> None:
        self._next: float | None = None
        self._late: deque[tuple[float, float]] = deque()  # (lateness, length) of the last second

    def stamp(self, measured: float, length: float, announced: bool) -> tuple[float, float]:
        """The time of a block's first sample, and the seconds missing before it.

        Args:
            measured: when the first sample was captured, in seconds, by the device.
            length: seconds of sound in the block.
            announced: whether the device reports lost samples before this block.
        """
        if self._next is None:
            self._next = measured
        late = measured - self._next
        self._late.append((late, length))
        while sum(length for _, length in self._late) - self._late[0][1] >= 1.0:
            self._late.popleft()
        full_second = sum(length for _, length in self._late) >= 1.0
        always_late = min(lateness for lateness, _ in self._late)
        if announced and late > 0:
            missing = late
        elif full_second and always_late > self.LATE:
            missing = always_late
        else:
            missing = 0.0
        if missing:
            self._late.clear()
        limit = self.CORRECTION * length
        time = self._next + (missing or max(-limit, min(limit, late)))
        self._next = time + length
        return time, missing

    def skip(self, seconds: float) -> None:
        """Leaves out a time before the next block, whose samples are known to be lost."""
        if self._next is not None:
            self._next += seconds

    @property
    def end(self) -> float | None:
        """The end of the last block in seconds; None before the first."""
        return self._next
