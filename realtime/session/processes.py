"""Worker processes."""

import multiprocessing
import signal
import sys
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess

from gscon_live.realtime.session import worker as runner
from gscon_live.realtime.session.session_plan import Worker


def start_context(method: str | None = None) -> BaseContext:
    """The way to start processes: on Linux forked from a process with all imports, elsewhere new
    (macOS, Windows). `method` forces "spawn" or "forkserver"."""
    chosen = method or ("forkserver" if sys.platform == "linux" else "spawn")
    context = multiprocessing.get_context(chosen)
    if chosen == "forkserver":
        context.set_forkserver_preload(["gscon_live.realtime.session.preload"])
    return context


class Process:
    """A worker process and its last reported state."""

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
        """How the process died; None if it runs, or ended after it was done."""
        if self._process.is_alive() or self.state in ("done", "failed"):
            return None
        code = self._process.exitcode
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code}"

    def join(self, timeout: float) -> None:
        self._process.join(timeout)

    def end(self) -> None:
        """Kills the process."""
        if self._process.is_alive():
            self._process.kill()
        self._process.join(1.0)
