"""What a command shows on standard output and standard error, and asks there.

The reader of either may go away: a closed terminal, or `| head`. Then nothing is shown any more,
and the work goes on.
"""

import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from gscon_live.common.errors import Failure
from gscon_live.realtime.events import sinks
from gscon_live.realtime.events.schema import AnyEvent


class _Lasting:
    """A text stream that takes everything, also when its terminal was closed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            return

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def lasting(stream: TextIO) -> IO[str]:
    """The stream for a `Console`; a write to a terminal that was closed is no error."""
    return cast(IO[str], _Lasting(stream))


class Listener(sinks.Sink):
    """A sink on standard output. Where it cannot be written, it goes, and the other sinks stay.

    Attributes:
        gone: whether nothing is written any more.
        failure: why, unless the reader has gone, which is no error.

    Args:
        sink: writes to standard output.
    """

    def __init__(self, sink: sinks.Sink) -> None:
        self.gone = False
        self.failure: Failure | None = None
        self._sink = sink

    def write(self, event: AnyEvent) -> None:
        if self.gone:
            return
        try:
            self._sink.write(event)
        except BrokenPipeError:
            self.gone = True
        except Failure as failure:
            self.gone, self.failure = True, failure

    def close(self) -> None:
        if not self.gone:
            self._sink.close()


class Notices:
    """Lines for the user that are neither results nor errors."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(
            file=lasting(sys.stderr), quiet=quiet, highlight=False, soft_wrap=True
        )
        self._printed: set[str] = set()

    def downloads(self, folders: Sequence[Path]) -> "Downloads":
        """Asks about downloads into folders, and shows them."""
        return Downloads(folders, self._quiet)

    def say(self, line: str) -> None:
        """Prints a line on standard error."""
        self._console.print(line, markup=False, style="dim")

    def once(self, line: str) -> None:
        """Prints a line unless it has been printed before."""
        if line not in self._printed:
            self._printed.add(line)
            self.say(line)


class Downloads:
    """Asks about downloads, and shows how far they are.

    Args:
        folders: where they arrive.
        quiet: nothing is asked and shown.
        interval: seconds between two looks into the folder.
    """

    def __init__(self, folders: Sequence[Path], quiet: bool = False, interval: float = 0.5) -> None:
        self._folders = folders
        self._quiet = quiet
        self._interval = interval
        self._console = Console(stderr=True, highlight=False)

    def allowed(self, what: str, megabytes: int) -> bool:
        """Asks whether something may be downloaded. No where nobody can answer, as in a script."""
        can_answer = sys.stdin is not None and sys.stdin.isatty() and self._console.is_terminal
        if self._quiet or not can_answer:
            return False
        question = f"The words need {what}. Download it, about {megabytes} MB, once? [Y/n] "
        answer = self._console.input(question, markup=False)
        return answer.strip().lower() in ("", "y", "yes")

    @contextmanager
    def shown(self, what: str, megabytes: int | None) -> Iterator[None]:
        """Shows on a terminal how much has arrived, until the block ends."""
        before = _bytes_in(self._folders)
        ended = threading.Event()
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            console=self._console,
            transient=True,
            disable=self._quiet or not self._console.is_terminal,
        ) as progress:
            task = progress.add_task(what, total=None if megabytes is None else megabytes * 1e6)

            def follow() -> None:
                while not ended.wait(self._interval):
                    progress.update(task, completed=_bytes_in(self._folders) - before)

            thread = threading.Thread(target=follow, name="download", daemon=True)
            thread.start()
            try:
                yield
            finally:
                ended.set()
                thread.join()


def _bytes_in(folders: Iterable[Path]) -> int:
    """The bytes of all files in folders; links count once."""
    total = 0
    for path in (path for folder in folders for path in folder.rglob("*")):
        try:
            total += 0 if path.is_symlink() or path.is_dir() else path.stat().st_size
        except OSError:  # it was moved meanwhile
            continue
    return total


class ReplayProgress:
    """A progress bar in seconds of media time.

    Args:
        name: the recording's name.
        duration: its length in seconds; 0 if unknown.
        shown: false shows nothing.
    """

    def __init__(self, name: str, duration: float, shown: bool) -> None:
        console = Console(file=lasting(sys.stderr))
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} s"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            redirect_stdout=True,
            disable=not shown or not console.is_terminal,
        )
        self._task = self._progress.add_task(name, total=duration or None)

    def reach(self, time: float) -> None:
        """Moves the bar to `time`, the media time in seconds."""
        self._progress.update(self._task, completed=time)

    def __enter__(self) -> "ReplayProgress":
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
