"""Media times for the blocks of a microphone, whose callbacks come irregularly."""

from collections import deque

#: Seconds for which measured times must be late before samples count as missing.
_SETTLED = 1.0
#: Seconds by which the lateness of the first and of the second half of that time may differ.
_STEADY = 0.05


class SampleClock:
    """Media times of consecutive blocks, without the jitter of callbacks.

    Blocks follow without a gap. Per block, the clock moves towards the measured time by at most
    0.5 % of its length, which corrects the drift of a sound card. It jumps only if samples are
    missing: the device reports it, or measured times stay late for a second, and equally late.
    Sound that was kept while the process stood still comes late, too, but then faster than it was
    spoken: it is less late from block to block, and nothing of it is missing.
    """

    #: Maximal correction per block, as a share of its length.
    CORRECTION = 0.005
    #: Seconds by which measured times must be late for a jump.
    LATE = 0.1

    def __init__(self) -> None:
        self._next: float | None = None
        self._late: deque[tuple[float, float]] = deque()  # (measured, lateness), of a good second

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
        self._late.append((measured, late))
        while len(self._late) > 1 and measured - self._late[1][0] >= _SETTLED:
            self._late.popleft()
        missing = late if announced and late > 0 else self._missing()
        if missing:
            self._late.clear()
        limit = self.CORRECTION * length
        time = self._next + (missing or max(-limit, min(limit, late)))
        self._next = time + length
        return time, missing

    def _missing(self) -> float:
        """The lateness of the last second, if it is always there and does not shrink; else 0."""
        last = self._late[-1][0]
        if last - self._late[0][0] < _SETTLED:
            return 0.0
        middle = last - _SETTLED / 2
        first = [late for measured, late in self._late if measured < middle]
        second = [late for measured, late in self._late if measured >= middle]
        least = min(second)
        steady = min(first) - least <= _STEADY
        return least if steady and min(first) > self.LATE and least > self.LATE else 0.0

    def skip(self, seconds: float) -> None:
        """Leaves out a time before the next block, whose samples are known to be lost."""
        if self._next is not None:
            self._next += seconds

    @property
    def end(self) -> float | None:
        """The end of the last block in seconds; None before the first."""
        return self._next
