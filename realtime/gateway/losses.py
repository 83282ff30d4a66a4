"""What of a visitor's sound or pictures was lost on the way, added up by reason."""

import time as system_time
from collections.abc import Callable

from gscon_live.realtime.pipeline.visitor import Missing, Outlet

#: Seconds between two reports.
INTERVAL = 5.0
#: Number of reasons that are remembered.
_MOST = 8


class Losses:
    """Adds up, and tells the session at most every 5 s: each loss once.

    Attributes:
        begun: whether the session has taken anything yet. Before that, nothing is lost.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = system_time.monotonic) -> None:
        self.begun = False
        self._clock = clock
        self._told_at = -INTERVAL
        self._sums: dict[str, tuple[int, float]] = {}

    def add(self, count: int, seconds: float, reason: str) -> None:
        """Counts a loss."""
        if not self.begun or not (count or seconds):
            return
        if reason not in self._sums and len(self._sums) >= _MOST:
            reason = next(reversed(self._sums))
        counts, lengths = self._sums.get(reason, (0, 0.0))
        self._sums[reason] = (counts + count, lengths + seconds)

    def pass_on(self, outlet: Outlet, at_once: bool = False) -> None:
        """Tells the session what was lost, if it is time to; what it does not take is kept.

        Sound has to be told before the sound that follows: its times go on after the loss.
        """
        lengths = any(seconds for _, seconds in self._sums.values())
        if not at_once and not lengths and self._clock() - self._told_at < INTERVAL:
            return
        for reason, (count, seconds) in list(self._sums.items()):
            if not outlet.send(Missing(count, seconds, reason)):
                return
            del self._sums[reason]
            self._told_at = self._clock()
