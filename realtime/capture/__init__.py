"""Where signals come from: a recording, a microphone, a camera.

A source is an ordinary class that turns one of these into pipeline messages. It owns no socket, and
no thread beyond what a device library forces on it; whoever hosts it calls `read` in a loop.
"""

from collections.abc import Iterable
from typing import Protocol

from gscon_live.realtime.pipeline.messages import Message


class Source(Protocol):
    """What every source does, in this order: `open`, `read` again and again, `close`.

    Times in messages are seconds of media time from the session's start. A `Mark(t)` promises that
    nothing earlier than t follows from this source, in any medium. After `End` nothing follows.
    """

    def open(self) -> None:
        """Opens the file or device. Raises `common.errors.InputError`, one line with a remedy."""

    def read(self, timeout: float) -> Iterable[Message]:
        """The next messages; none where nothing came within about `timeout` seconds."""

    def close(self) -> None:
        """Releases the file or device. May be called at any time, also twice."""
