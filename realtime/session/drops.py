"""What was dropped because a stage was busy, told every few seconds."""

from collections import Counter

from gscon_live.realtime.pipeline.control import Status

#: Seconds between two gap events about it.
EVERY = 5.0


class Drops:
    """Adds up what processes report as dropped since they started, by the receiver to blame."""

    def __init__(self) -> None:
        self._reported: dict[tuple[int, str], int] = {}
        self._unsaid: Counter[str] = Counter()
        self._said_at = 0.0

    def report(self, status: Status) -> None:
        """Takes a worker's report; a process that is started anew counts from zero."""
        for receiver, count in status.dropped.items():
            key = (status.pid, receiver)
            self._unsaid[receiver] += count - self._reported.get(key, 0)
            self._reported[key] = count

    def due(self, now: float, last: bool = False) -> list[tuple[str, int]]:
        """What is to be said at `now` (seconds): receivers, and how much was dropped for each.

        Args:
            now: a clock that does not jump.
            last: nothing will be said later, so say all there is.
        """
        if not last and now - self._said_at < EVERY:
            return []
        self._said_at = now
        receivers = [
            (receiver, count) for receiver, count in sorted(self._unsaid.items()) if count > 0
        ]
        self._unsaid.clear()
        return receivers
