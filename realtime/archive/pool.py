"""Worker processes on this machine. One that dies costs its recording's time and no more."""

import contextlib
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

import msgspec
import psutil

from gscon_live.common import signals
from gscon_live.common.errors import Failure
from gscon_live.realtime.archive.entries import Entry, Failed
from gscon_live.realtime.archive.station import Recipe, Station
from gscon_live.realtime.session.processes import start_context
from gscon_live.realtime.session.threads import limit_children, limit_this_process

#: Bytes of memory that a worker takes, without a transcriber.
WORKER_BYTES = 900 << 20
#: A recording whose worker died this often has failed.
_ATTEMPTS = 2
#: Workers that die in a row without any work done, before all is given up.
_STILLBORN = 3
#: Seconds between two reports of a worker.
_REPORT_EVERY = 0.5


class Reached(msgspec.Struct, frozen=True):
    """A worker's report: the share of a recording that is done, 0 to 1."""

    path: str
    share: float


Report = Reached | Entry | Failed


class Workers(Protocol):
    """Do recordings somewhere, several at a time."""

    def run(
        self, paths: Sequence[str], take: Callable[[Report], None], stopping: Callable[[], bool]
    ) -> None:
        """Does the recordings in about this order; gives every report to `take`. Returns when all
        are done, or soon after `stopping` is true; then nothing works any more.

        Raises:
            Failure: no worker can work.
        """


class LocalWorkers:
    """Processes on this machine, each with its own models.

    Args:
        recipe: how recordings are done.
        count: number of processes.
    """

    def __init__(self, recipe: Recipe, count: int) -> None:
        self._recipe = recipe
        self._count = count
        self._members: list[_Member] = []
        self._stillborn = 0

    def run(
        self, paths: Sequence[str], take: Callable[[Report], None], stopping: Callable[[], bool]
    ) -> None:
        """See `Workers`."""
        limit_children()
        waiting = deque(paths)
        attempts: dict[str, int] = {}
        try:
            while not stopping() and (waiting or any(m.path for m in self._members)):
                self._employ(waiting)
                wait([part for m in self._members for part in m.parts], timeout=0.2)
                for member in list(self._members):
                    for report in member.reports():
                        self._stillborn = 0
                        take(report)
                    if member.dead:
                        self._lose(member, waiting, attempts, take)
        finally:
            for member in self._members:
                member.end()
            self._members.clear()

    def _employ(self, waiting: deque[str]) -> None:
        """Gives work to all who have none, and starts workers as long as there is more."""
        for member in self._members:
            if waiting and not member.path:
                member.give(waiting.popleft())
        while waiting and len(self._members) < self._count:
            member = _Member(self._recipe)
            self._members.append(member)
            member.give(waiting.popleft())

    def _lose(
        self,
        member: "_Member",
        waiting: deque[str],
        attempts: dict[str, int],
        take: Callable[[Report], None],
    ) -> None:
        self._members.remove(member)
        reason = member.end()
        self._stillborn += 1
        path = member.path
        if not path:
            return
        attempts[path] = attempts.get(path, 0) + 1
        if attempts[path] >= _ATTEMPTS:
            take(
                Failed(
                    path=path,
                    reason=f"{path}: its worker process died {_ATTEMPTS} times ({reason}); "
                    "give it more memory with fewer --workers, or replay it alone",
                )
            )
            return
        if self._stillborn > _STILLBORN * self._count:
            raise Failure(
                f"the worker processes die ({reason}) before they do anything; "
                "give fewer --workers, and see gscon-live doctor"
            )
        waiting.appendleft(path)


class _Member:
    """A worker process, and the recording that it works on; "" for none."""

    def __init__(self, recipe: Recipe) -> None:
        context = start_context()
        self.path = ""
        self.dead = False
        self._ours, theirs = multiprocessing.Pipe()
        self._process = context.Process(  # type: ignore[attr-defined]
            target=_work, args=(theirs, recipe), name="gscon-archive", daemon=True
        )
        self._process.start()
        # Then the end of the process ends the pipe.
        theirs.close()

    @property
    def parts(self) -> "list[Connection[Any, Any] | int]":
        """What to wait for."""
        return [self._ours, self._process.sentinel]

    def give(self, path: str) -> None:
        self.path = path
        with contextlib.suppress(OSError):  # it has died, and `reports` tells so
            self._ours.send(path)

    def reports(self) -> list[Report]:
        """The reports that have come."""
        reports: list[Report] = []
        try:
            while self._ours.poll():
                report: Report = self._ours.recv()
                if not isinstance(report, Reached):
                    self.path = ""
                reports.append(report)
        except (EOFError, OSError):
            self.dead = True
        return reports

    def end(self) -> str:
        """Kills the process, and says how it had died if it had."""
        self._process.join(0.5 if self.dead else 0.0)
        code = self._process.exitcode
        self._process.kill()
        self._process.join(5.0)
        self._ours.close()
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code}"


class _Orphaned(BaseException):
    """The program that gave the work has ended."""


def _work(pipe: Connection, recipe: Recipe) -> None:
    """The life of a worker process."""
    signals.ignore()  # the program decides when to stop
    limit_this_process()
    parent = multiprocessing.parent_process()
    reported = 0.0

    def progress(share: float) -> None:
        nonlocal reported
        if (now := time.monotonic()) - reported < _REPORT_EVERY:
            return
        reported = now
        if parent is not None and not parent.is_alive():
            raise _Orphaned
        pipe.send(Reached(path, share))

    with contextlib.suppress(_Orphaned, EOFError, OSError):
        station = Station(recipe)
        while True:
            path: str = pipe.recv()
            pipe.send(station.do(path, progress))


def workers_that_pay(recordings: int, transcriber: str | None) -> int:
    """As many processes as this machine has cores and memory for, and recordings to do.

    Args:
        recordings: their number.
        transcriber: directory of the Whisper model that the workers load; None: none.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _quota()
    if quota is not None:
        cores = min(cores or 1, max(1, round(quota)))
    each = WORKER_BYTES
    if transcriber is not None:
        # The weights, and about as much again while it works.
        each += 2 * (Path(transcriber) / "model.bin").stat().st_size
    memory = psutil.virtual_memory().available // each
    return int(max(1, min(recordings, cores or 1, memory)))


def _quota() -> float | None:
    """The cores that a container may use; None: no limit."""
    try:
        allowed, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return int(allowed) / int(period)
    except (OSError, ValueError):
        return None
