"""Stages and sources: ordinary objects that give messages, without sockets.

Their host (`session.worker`) calls their methods, never two at a time.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from gscon_live.realtime.events.schema import AnyEvent
from gscon_live.realtime.pipeline.messages import AnyMessage, Message

#: What a stage takes: messages, and the events of earlier stages.
Incoming = AnyMessage | AnyEvent
#: What a stage gives.
Outgoing = Message | AnyEvent
#: Readings for displays: levels, counts, states.
Gauges = Mapping[str, float | str | bool]

#: A clock in seconds, for stages that measure their processing time. In a replay it stands at 0, so
#: that the same file gives the same events.
Clock = Callable[[], float]


def no_clock() -> float:
    """The clock of a replay, which stands at 0."""
    return 0.0


class Stage(ABC):
    """Turns messages into messages. It has no socket, thread or clock: times are in the messages.
    Only `process` is required; the other methods have defaults."""

    @abstractmethod
    def process(self, message: Incoming) -> Iterable[Outgoing]:
        """Takes a message and gives the resulting messages in order."""

    def flush(self) -> Iterable[Outgoing]:
        """The last messages, after the end of all inputs; none by default."""
        return ()

    def reset(self) -> None:
        """Forgets all input; a stage without memory has nothing to do."""
        return

    def gauges(self) -> Gauges:
        """Readings for displays; none by default."""
        return {}

    def stale(self, message: Incoming, waiting: Sequence[Incoming]) -> bool:
        """Whether a message is out of date, by those that wait behind it.

        Called in live sessions. A stale message is not processed. By default none is stale.
        """
        return False

    def attend(self, waiting: Callable[[], Sequence[Incoming]]) -> None:
        """Takes a function that gives the messages that wait, for a stage that can leave off work
        that is out of date. Called once, in live sessions. By default it is not used."""
        return

    def close(self) -> None:
        """Releases a file or a window of the stage. Called once, also after an error."""
        return


class Source(ABC):
    """Turns a file or a device into messages: `open`, `read` again and again, `close`.

    Times in messages are seconds of media time from the session's start. After `Mark(t)`, no medium
    of the source has a message before t. After `End` nothing follows. A source has no threads
    except those of a device library.

    Attributes:
        state: "open", "gone" (it tries to reopen its device), or "ended" (nothing more will come).
    """

    state: Literal["open", "gone", "ended"] = "open"

    @abstractmethod
    def open(self) -> None:
        """Opens the file or device. Raises `InputError` if that is not possible."""

    @abstractmethod
    def read(self, timeout: float) -> Iterable[Message]:
        """The next messages; none if nothing comes within about `timeout` seconds."""

    @abstractmethod
    def close(self) -> None:
        """Releases the file or device. May be called at any time, also repeatedly."""
