"""How far the stages of a live session are behind the conversation."""

from collections.abc import Iterator

from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.control import Status

#: Seconds of lag at which a stage counts as behind, and as recovered.
BEHIND, RECOVERED = 3.0, 1.0


def known_at(message: object) -> float | None:
    """The media time from which a message can be sent; None if the message has no such time."""
    match message:
        case messages.Segment(at=at) | messages.Utterance(at=at):
            return at
        case messages.AudioChunk(time=time) | messages.VideoFrame(time=time):
            return time
    return None


class Lags:
    """Detects stages that fall behind and those that have recovered."""

    def __init__(self) -> None:
        self._behind: set[str] = set()

    def report(self, status: Status) -> Iterator[tuple[str, str]]:
        """Takes a worker's report with its gauge `lag`.

        Yields:
            The new status, `behind` or `recovered`, and the lag in words.
        """
        lag = status.gauges.get("lag")
        if not isinstance(lag, float):
            return
        words = f"{lag:.1f} s behind the conversation"
        if lag >= BEHIND and status.service not in self._behind:
            self._behind.add(status.service)
            yield "behind", words
        elif lag <= RECOVERED and status.service in self._behind:
            self._behind.remove(status.service)
            yield "recovered", words
