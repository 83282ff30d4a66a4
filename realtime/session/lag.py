"""How far the stages of a live session are behind the conversation, and which of them is slow."""

from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Literal, NamedTuple

from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.control import Status

#: Seconds of lag at which the session counts as behind, and as recovered.
BEHIND, RECOVERED = 3.0, 1.0
#: Seconds for which no stage may be late before the session has recovered. A slow stage is late at
#: each utterance and not in between; a shorter time would report that.
QUIET = 30.0
#: Seconds of work that are compared to find the slow stage.
WINDOW = 15.0
#: Seconds between a lag and the event: the slow stage reports its work only when it is done.
GRACE = 0.5

#: What helps, by the stage that is slow.
REMEDIES = {
    "transcribe": "a smaller model is faster, such as --transcriber base or tiny",
    "watch": "fewer or smaller pictures are faster: lower camera.rate or camera.width",
}
#: What helps where another stage is slow.
REMEDY = "close other programs that use the processor"
#: The stages in words.
NAMES = {
    "segment": "finding utterances",
    "transcribe": "transcription",
    "watch": "finding faces",
    "recognise": "recognition",
    "record": "the recording",
    "show": "the pictures of the page",
}
#: Which stages can make a stage late, by the path of its messages: itself and those before it.
PATHS = {
    "transcribe": ("segment", "transcribe"),
    "recognise": ("segment", "transcribe", "recognise"),
}


def known_at(message: object) -> float | None:
    """The media time from which a message can be sent; None if the message has no such time."""
    match message:
        case messages.Segment(at=at) | messages.Utterance(at=at):
            return at
        case messages.AudioChunk(time=time) | messages.VideoFrame(time=time):
            return time
    return None


class Change(NamedTuple):
    """The session fell behind or recovered: the stage that is slow, and words about it."""

    stage: str
    status: Literal["behind", "recovered"]
    detail: str


class Lags:
    """Detects that a session falls behind, names the slow stage, and tells when it has recovered.

    A late message makes all later stages late. The slow stage is the one that worked most in the
    last `WINDOW` seconds, among those that the message passed.
    """

    def __init__(self) -> None:
        self._work: dict[str, deque[tuple[float, float]]] = defaultdict(deque)
        self._slow: str | None = None
        self._late_since: float | None = None
        self._late_at = 0.0
        self._lag = 0.0
        self._late = ""

    def report(self, status: Status, now: float) -> Iterator[Change]:
        """Takes a worker's report with its gauges `lag` and `work`.

        Args:
            status: the report.
            now: seconds of a monotonic clock.

        Yields:
            At most one change.
        """
        work, lag = status.gauges.get("work"), status.gauges.get("lag")
        if isinstance(work, float) and work > 0:
            self._work[status.service].append((now, work))
        if isinstance(lag, float):
            if lag > RECOVERED:
                self._late_at = now
            if lag >= BEHIND:
                self._late_since = now if self._late_since is None else self._late_since
                if lag > self._lag:
                    self._lag, self._late = lag, status.service
        if self._slow is None:
            if self._late_since is not None and now - self._late_since >= GRACE:
                self._slow = self._busiest(now)
                yield Change(self._slow, "behind", self._words(self._slow))
        elif now - self._late_at >= QUIET:
            slow, self._slow, self._late_since, self._lag = self._slow, None, None, 0.0
            yield Change(slow, "recovered", f"for {QUIET:.0f} s nothing was late")

    def _words(self, stage: str) -> str:
        name, remedy = NAMES.get(stage, stage), REMEDIES.get(stage, REMEDY)
        return f"{name} is {self._lag:.1f} s behind the conversation; {remedy}"

    def _busiest(self, now: float) -> str:
        """The stage that worked most in the window, of those before the latest one."""
        totals: dict[str, float] = {}
        for stage in PATHS.get(self._late, (self._late,)):
            spells = self._work[stage]
            while spells and spells[0][0] < now - WINDOW:
                spells.popleft()
            totals[stage] = sum(seconds for _, seconds in spells)
        return max(totals, key=lambda stage: totals[stage])
