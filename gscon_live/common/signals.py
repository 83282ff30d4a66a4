"""How a command ends when it is asked to: by Ctrl-C, by SIGTERM, or by a terminal that was closed.

There are three ways to take these signals, one after the other in a command's life:

- `exit_at_once`, while modules are imported and the request is checked: there is nothing to clean.
- `raise_interrupts`: an exception, for work that cleans up behind itself.
- `note`, in a session: nothing is raised, so that no event and no file is cut in two.

A signal that was ignored when the command started, as `nohup` does, stays ignored.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

#: The signals, and how the user knows them. Windows has no SIGHUP.
_CALLED = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "SIGTERM",
    **({signal.SIGHUP: "SIGHUP: the terminal was closed"} if hasattr(signal, "SIGHUP") else {}),
}
SIGNALS = tuple(_CALLED)
#: Seconds after a first signal in which others change nothing: the command is ending.
PATIENCE = 5.0


class Interrupted(KeyboardInterrupt):
    """A signal asked the command to end.

    Args:
        number: the signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def exit_code(number: int) -> int:
    """The exit code of a command that a signal has ended: 130 after SIGINT, 143 after SIGTERM, 129
    after SIGHUP."""
    return 128 + number


def in_words(number: int) -> str:
    """What the user is told: `stopped by Ctrl-C`."""
    return f"stopped by {_CALLED[signal.Signals(number)]}"


def exit_at_once() -> None:
    """Makes the signals end this process with a line and the right exit code. Without effect
    outside of the main thread, as all functions here, and in a worker that imports the program."""
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is None or multiprocessing.parent_process() is None:
        _install(_exit)


def exit_at_once_in(program: str) -> None:
    """Does so if a module is the program. Call it before the imports, which take seconds.

    Args:
        program: the module's `__name__`.
    """
    if program == "__main__":
        exit_at_once()


def raise_interrupts() -> None:
    """Makes the signals raise `Interrupted`."""
    _install(_Raise())


def note(stop: Callable[[], None] = lambda: None, *, handled: bool = False) -> "Noted":
    """Makes the signals known to the `Noted` that is returned.

    Args:
        stop: called at the first signal, and at once if it has come already.
        handled: leaves signals alone that have no handler, for programs that embed a session.
    """
    noted = Noted(stop)
    _install(noted, handled)
    return noted


def ignore() -> None:
    """Ignores the signals: the work is done, and the process is about to end."""
    _install(signal.SIG_IGN)


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """Puts back at the end what the signals did before."""
    if not _is_main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Processes that are started within hold these signals back, so that the command alone decides
    how they end."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Noted:
    """Whether a signal has asked for the end.

    Attributes:
        number: the first signal, or None.

    Args:
        stop: called at the first signal.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self.number: int | None = None
        self._stop = stop
        self._since = 0.0
        handlers = map(signal.getsignal, SIGNALS if _is_main_thread() else ())
        self._outer = next((h for h in handlers if isinstance(h, Noted)), None)
        if self._outer is not None and self._outer.number is not None:
            self._take(self._outer.number)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signal handler. A signal long after the first one raises `Interrupted`: whatever
        takes so long must not hold up the user."""
        if self.number is None:
            if self._outer is not None:
                self._outer._take(number)
            self._take(number)
        elif time.monotonic() > self._since + PATIENCE:
            raise Interrupted(self.number)

    def check(self) -> None:
        """Raises `Interrupted` if a signal has come."""
        if self.number is not None:
            raise Interrupted(self.number)

    def _take(self, number: int) -> None:
        if self.number is None:
            self.number, self._since = number, time.monotonic()
            self._stop()


class _Raise:
    """A handler for this process; one that was forked from it ends as by default."""

    def __init__(self) -> None:
        self._process = os.getpid()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() == self._process:
            raise Interrupted(number)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _exit(number: int, frame: FrameType | None) -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            os.write(2, f"{in_words(number)}\n".encode())
    os._exit(exit_code(number))


def _install(
    handler: Callable[[int, FrameType | None], None] | signal.Handlers, handled: bool = False
) -> None:
    if not _is_main_thread():
        return
    leave = (signal.SIG_IGN, None, signal.SIG_DFL) if handled else (signal.SIG_IGN, None)
    for number in SIGNALS:
        if signal.getsignal(number) not in leave:
            signal.signal(number, handler)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
