"""Counts the failures of services, and remembers how far each had come."""

from gscon_live.realtime.pipeline.control import Status

#: A service that fails more often within the period, in seconds, is given up.
MAX_RESTARTS, RESTART_PERIOD = 3, 60.0


class Restarts:
    """What a new process of a service must know of those before it."""

    def __init__(self) -> None:
        self._failures: dict[str, list[float]] = {}
        self._reached: dict[str, float] = {}

    def report(self, status: Status) -> None:
        """Takes a worker's report."""
        reached = status.gauges.get("reached")
        if isinstance(reached, float):
            self._reached[status.service] = reached

    def failed(self, service: str, now: float) -> bool:
        """Counts a failure. Returns whether the service is given up.

        Args:
            service: its name.
            now: seconds of a monotonic clock.
        """
        failures = self._failures.setdefault(service, [])
        failures.append(now)
        return len([at for at in failures if now - at < RESTART_PERIOD]) > MAX_RESTARTS

    def count(self, service: str) -> int:
        """How often it has failed."""
        return len(self._failures.get(service, []))

    def reached(self, service: str) -> float:
        """The media time in seconds up to which its processes had heard."""
        return self._reached.get(service, 0.0)
