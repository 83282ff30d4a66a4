"""What a pipeline stage is: an ordinary object that turns messages into messages."""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from gscon_live.realtime.pipeline import messages

#: A clock in seconds, injected where a stage reports how long its work took. In replay it always
#: answers zero, so that the same file gives the same bytes.
Clock = Callable[[], float]


def no_clock() -> float:
    """The clock of a replay: time stands still."""
    return 0.0


class Stage(Protocol):
    """A stage owns no socket, no thread and no clock: time is in the messages."""

    def process(self, message: messages.Any) -> Iterable[object]:
        """Takes one message and gives those that follow from it, in order."""

    def flush(self) -> Iterable[object]:
        """What is still to be said when every input has ended."""

    def reset(self) -> None:
        """Forgets everything heard so far."""

    def gauges(self) -> Mapping[str, float | str | bool]:
        """A few readings for whoever watches the pipeline: levels, counts, states."""
