"""Ctrl-C that stops a session between two events, never in the middle of one."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def interrupts(ask: Callable[[], None]) -> Iterator[None]:
    """While this lasts, the first Ctrl-C (or SIGTERM, where that is handled) calls `ask`, and the
    next one does what it did before. Only the main thread hears signals: elsewhere this is nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handled = {number: handler for number, handler in before.items() if callable(handler)}

    def hear(number: int, frame: FrameType | None) -> None:
        restore()
        ask()

    def restore() -> None:
        for number, handler in handled.items():
            signal.signal(number, handler)

    for number in handled:
        signal.signal(number, hear)
    try:
        yield
    finally:
        restore()
