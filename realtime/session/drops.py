"""Counts messages that were dropped because a stage was too slow."""

from collections import Counter

from gscon_live.realtime.pipeline.control import Status

#: Seconds between two gap events for drops.
INTERVAL = 5.0


class Drops:
    """Sums up the dropped messages in the reports of workers, by the receiver that was too slow."""

    def __init__(self) -> None:
        self._reported: dict[tuple[int, str], int] = {}
        self._pending: Counter[str] = Counter()
        self._taken_at = 0.0

    def report(self, status: Status) -> None:
        """Takes a worker's report; a new process counts from zero."""
        for receiver, count in status.dropped.items():
            key = (status.pid, receiver)
            self._pending[receiver] += count - self._reported.get(key, 0)
            self._reported[key] = count

    def due(self, now: float, last: bool = False) -> list[tuple[str, int]]:
        """Takes the counts since the last call: receivers, and numbers of dropped messages. Nothing
        before `INTERVAL` is over.

        Args:
            now: seconds of a monotonic clock.
            last: whether this is the session's last call, which does not wait for the interval.
        """
        if not last and now - self._taken_at < INTERVAL:
            return []
        self._taken_at = now
        receivers = [
            (receiver, count) for receiver, count in sorted(self._pending.items()) if count > 0
        ]
        self._pending.clear()
        return receivers
