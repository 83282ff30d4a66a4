"""What a pipeline stage and a source are: ordinary objects that give messages.

Neither owns a socket or a clock. Whoever hosts them calls their methods, one at a time.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from gscon_live.realtime.events.schema import AnyEvent
from gscon_live.realtime.pipeline.messages import AnyMessage, Message

#: What a stage may be given: messages, and the events of a stage before it.
Incoming = AnyMessage | AnyEvent
#: What a stage may give.
Outgoing = Message | AnyEvent
#: Readings for whoever watches the pipeline: levels, counts, states.
Gauges = Mapping[str, float | str | bool]

#: A clock in seconds, injected where a stage reports how long its work took. In replay it always
#: answers zero, so that the same file gives the same bytes.
Clock = Callable[[], float]


def no_clock() -> float:
    """The clock of a replay: time stands still."""
    return 0.0


class Stage(ABC):
    """Turns messages into messages. It owns no socket, no thread and no clock: time is in the
    messages. Only `process` has to be written; the rest has defaults."""

    @abstractmethod
    def process(self, message: Incoming) -> Iterable[Outgoing]:
        """Takes one message and gives those that follow from it, in order."""

    def flush(self) -> Iterable[Outgoing]:
        """What is still to be said when every input has ended; nothing by default."""
        return ()

    def reset(self) -> None:
        """Forgets everything heard so far; a stage without memory has nothing to do."""
        return

    def gauges(self) -> Gauges:
        """A few readings for whoever watches the pipeline; none by default."""
        return {}

    def stale(self, message: Incoming, waiting: Sequence[Incoming]) -> bool:
        """Whether a message is not worth the work any more, given those that wait behind it.

        Asked in live sessions only. Where it is true, the message is not processed. By default
        every message is worth the work.
        """
        return False

    def close(self) -> None:
        """Releases what the stage holds (a file, a window). Called once, also after an error."""
        return


class Source(ABC):
    """Turns a file or a device into messages: `open`, `read` again and again, `close`.

    Times in messages are seconds of media time from the session's start. A `Mark(t)` promises that
    nothing earlier than t follows from this source, in any medium. After `End` nothing follows. A
    source has no thread beyond what a device library forces on it.

    Attributes:
        state: "open", "gone" (a device that is waited for), or "ended" (nothing more will come).
    """

    state: Literal["open", "gone", "ended"] = "open"

    @abstractmethod
    def open(self) -> None:
        """Opens the file or device. Raises `InputError`, one line with a remedy."""

    @abstractmethod
    def read(self, timeout: float) -> Iterable[Message]:
        """The next messages; none where nothing came within about `timeout` seconds."""

    @abstractmethod
    def close(self) -> None:
        """Releases the file or device. May be called at any time, also twice."""
