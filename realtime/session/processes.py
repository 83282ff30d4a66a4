"""Starting worker processes, and starting them again."""

import multiprocessing
import signal
import sys
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess

from gscon_live.realtime.session import worker as runner
from gscon_live.realtime.session.session_plan import Worker


def start_context(method: str | None = None) -> BaseContext:
    """How processes are started: forked from one that has everything imported where that is safe
    (Linux), fresh ones elsewhere (macOS, Windows). `method` forces "spawn" or "forkserver"."""
    chosen = method or ("forkserver" if sys.platform == "linux" else "spawn")
    context = multiprocessing.get_context(chosen)
    if chosen == "forkserver":
        context.set_forkserver_preload(["gscon_live.realtime.session.preload"])
    return context


class Process:
    """A worker process and what is known of it."""

    def __init__(self, context: BaseContext, worker: Worker) -> None:
        self.worker = worker
        self.state = "starting"
        self._process: BaseProcess = context.Process(  # type: ignore[attr-defined]
            target=runner.run, args=(worker,), name=f"gscon-{worker.service}", daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def died(self) -> str | None:
        """How the process ended, where it has ended without being done; else None."""
        if self._process.is_alive() or self.state in ("done", "failed"):
            return None
        code = self._process.exitcode
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code}"

    def join(self, timeout: float) -> None:
        self._process.join(timeout)

    def end(self) -> None:
        """Ends the process now, whatever it does."""
        if self._process.is_alive():
            self._process.kill()
        self._process.join(1.0)
