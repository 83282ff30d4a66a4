"""What a command shows on standard output and standard error. The reader of either may go away: a
closed terminal, or `| head`. Then nothing is shown any more, and the work goes on."""

import sys
from types import TracebackType
from typing import IO, Any, TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

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
        self._console = Console(
            file=lasting(sys.stderr), quiet=quiet, highlight=False, soft_wrap=True
        )
        self._printed: set[str] = set()

    def say(self, line: str) -> None:
        """Prints a line on standard error."""
        self._console.print(line, markup=False, style="dim")

    def once(self, line: str) -> None:
        """Prints a line unless it has been printed before."""
        if line not in self._printed:
            self._printed.add(line)
            self.say(line)


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
