"""Ctrl-C stops a session between two events, never in the middle of an event."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def interrupts(stop: Callable[[], None]) -> Iterator[None]:
    """Within this context, the first Ctrl-C calls `stop`, and the next one has its former effect.
    The same holds for SIGTERM, if it has a handler. Without effect outside of the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handled = {number: handler for number, handler in before.items() if callable(handler)}

    def handle(number: int, frame: FrameType | None) -> None:
        restore()
        stop()

    def restore() -> None:
        for number, handler in handled.items():
            signal.signal(number, handler)

    for number in handled:
        signal.signal(number, handle)
    try:
        yield
    finally:
        restore()
