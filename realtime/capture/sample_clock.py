"""Media times for the blocks of a microphone, whose callbacks come when they come."""

from collections import deque


class SampleClock:
    """Media times of consecutive blocks, freed from the jitter of callbacks.

    Blocks follow one another without a gap. The clock leans towards the measured times by at most
    0.5 % of a block, which takes up the drift of a sound card. It jumps only where samples are
    really missing: announced by the device, or measured times that stay late for a whole second.
    """

    LEAN = 0.005
    LATE = 0.1  # seconds

    def __init__(self) -> None:
        self._next: float | None = None
        self._late: deque[tuple[float, float]] = deque()  # (lateness, length) of the last second

    def stamp(self, measured: float, length: float, announced: bool) -> tuple[float, float]:
        """Time of a block's first sample and the seconds missing before it.

        Args:
            measured: when the first sample was captured, in seconds, as far as anyone knows.
            length: of the block in seconds.
            announced: the device says that samples before this block are lost.
        """
        if self._next is None:
            self._next = measured
        late = measured - self._next
        self._late.append((late, length))
        while sum(length for _, length in self._late) - self._late[0][1] >= 1.0:
            self._late.popleft()
        whole = sum(length for _, length in self._late) >= 1.0
        steady = min(lateness for lateness, _ in self._late)
        if announced and late > 0:
            missing = late
        elif whole and steady > self.LATE:
            missing = steady
        else:
            missing = 0.0
        if missing:
            self._late.clear()
        limit = self.LEAN * length
        time = self._next + (missing or max(-limit, min(limit, late)))
        self._next = time + length
        return time, missing

    def skip(self, seconds: float) -> None:
        """Samples of this length are known to be missing before the next block."""
        if self._next is not None:
            self._next += seconds

    @property
    def end(self) -> float | None:
        """Where the last block ends; None before the first."""
        return self._next
