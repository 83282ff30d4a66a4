"""Worker processes, and the server from which they are forked."""

import atexit
import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Collection, Mapping
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess

from gscon_live.common import guard, signals
from gscon_live.common.errors import InputError
from gscon_live.realtime.session import worker as runner
from gscon_live.realtime.session.session_plan import Worker

#: Seconds in which a worker may exit by itself, and in which it may complete the user's file.
EXIT_TIMEOUT, KEEP_TIMEOUT = 0.5, 5.0
#: Seconds without a report after which a live source hangs: a library does not come back to us.
#: Opening a camera at an address takes up to 30.
HANGS = 45.0
#: How the names of all workers begin.
_NAME = "gscon-"
#: The exit code of a process whose fork server has gone.
_UNKNOWN = 255


def start_context(method: str | None = None) -> BaseContext:
    """The way to start processes: on Linux forked from a process with all imports, elsewhere new
    (macOS, Windows). `method` forces "spawn" or "forkserver"."""
    chosen = method or ("forkserver" if sys.platform == "linux" else "spawn")
    context = multiprocessing.get_context(chosen)
    if chosen == "forkserver":
        context.set_forkserver_preload(["gscon_live.realtime.session.preload"])
    # PyTorch creates this folder when it is imported, also if it compiles nothing: a new one would
    # stay behind.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", tempfile.gettempdir())
    return context


class Process:
    """A worker process and its last reported state.

    Raises:
        EOFError, OSError: the server was killed meanwhile, or there are too few resources.
    """

    def __init__(self, context: BaseContext, worker: Worker) -> None:
        self.worker = worker
        self.state = "starting"
        self._reported = time.monotonic()
        self._hung = ""
        self._process: BaseProcess = context.Process(  # type: ignore[attr-defined]
            target=runner.run, args=(worker,), name=f"{_NAME}{worker.service}", daemon=True
        )
        if context.get_start_method() == "forkserver":
            _start_fork_server()
            # Waits until the server has imported everything; signals are heard meanwhile.
            self._process.start()
        else:
            with signals.held_back():
                self._process.start()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def report(self, state: str) -> None:
        """Takes the state that the process reported just now."""
        self.state = state
        self._reported = time.monotonic()

    def died(self) -> str | None:
        """How the process died; None if it runs, or ended after it was done. A source of a live
        session that hangs is killed.

        Raises:
            InputError: it only imported the program, which would have started another session.
        """
        if self.state in ("done", "failed"):
            return None
        if self._process.is_alive():
            watched = self.worker.source and self.worker.plan.live and self.state == "running"
            if not watched or time.monotonic() - self._reported <= HANGS:
                return None
            self._hung = f"it did not answer for {HANGS:g} s"
            self.end()
        if self._hung:
            return self._hung
        code = self._process.exitcode
        if code == guard.NO_GUARD:
            raise InputError(guard.ADVICE)
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code}"

    def join(self, timeout: float) -> None:
        self._process.join(timeout)

    def end(self) -> None:
        """Kills the process, also where the server that would know it is gone."""
        if self._process.is_alive():
            self._process.kill()
        elif sys.platform == "linux" and self._process.exitcode == _UNKNOWN and self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self._process.join(1.0)


def end_all(workers: Mapping[str, Process], keeping: Collection[str], gently: bool) -> None:
    """Waits until the workers of a session have ended, and kills the others.

    Args:
        workers: by service; they have been told to stop.
        keeping: those that complete a file of the user's, and have more time for it.
        gently: whether they have any time.
    """
    began = time.monotonic()
    for name, process in workers.items():
        if gently:
            patience = KEEP_TIMEOUT if name in keeping else EXIT_TIMEOUT
            process.join(max(0.0, began + patience - time.monotonic()))
        process.end()


def _start_fork_server() -> None:
    """Starts the server, if it does not run, so that Ctrl-C in the terminal does not reach it and
    its children."""
    from multiprocessing import forkserver, resource_tracker

    # First, as it lets two of the signals through when it has started.
    with signals.held_back():
        resource_tracker.ensure_running()
    with signals.held_back():
        forkserver.ensure_running()
    atexit.unregister(end_fork_server)
    atexit.register(end_fork_server)


def kill_fork_server() -> None:
    """Kills the server, also while it imports: a worker that it has not forked yet fails to start.
    A signal handler may call it."""
    server = getattr(sys.modules.get("multiprocessing.forkserver"), "_forkserver", None)
    if server is not None and server._forkserver_pid is not None:
        os.kill(server._forkserver_pid, signal.SIGKILL)


def end_fork_server() -> None:
    """Ends the server and the process beside it, and waits for them. By themselves, they would
    outlive the program by seconds, since libraries are unloaded, and hold its standard error."""
    from multiprocessing import forkserver, resource_tracker

    for child in multiprocessing.active_children():
        if child.name.startswith(_NAME):  # they would keep the second process alive
            child.kill()
    kill_fork_server()
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]
