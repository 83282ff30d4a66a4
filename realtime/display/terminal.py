"""Notices and a progress bar on standard error."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class Notices:
    """Lines for the user that are neither results nor errors."""

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
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
        console = Console(stderr=True)
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
