"""Progress of a command: a bar where there is a terminal, elsewhere lines where they are wanted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

#: Takes (done, total, what).
Report = Callable[[int, int, str], None]


class Display(Protocol):
    """Where progress is shown."""

    #: Whether there is a bar.
    shows: bool

    def report(self, done: int, total: int, line: str) -> None:
        """Shows that `done` of `total` are done. A new line is printed also without a bar."""
        ...

    def live(self, line: str) -> None:
        """Shows a line on the bar until the next report."""
        ...


class Reporting:
    """A display that passes reports to a function, without live lines."""

    shows = False

    def __init__(self, report: Report) -> None:
        self.report = report

    def live(self, line: str) -> None:
        """Ignored."""


class _Bar:
    def __init__(self, bar: Progress, console: Console, lines: bool) -> None:
        self.shows = console.is_terminal
        self._bar, self._console, self._line = bar, console, ""
        self._prints = lines and not self.shows
        self._task = bar.add_task("reading", total=None)

    def report(self, done: int, total: int, line: str) -> None:
        self._bar.update(self._task, completed=done, total=total)
        if line == self._line:
            return
        self._line = line
        self.live(line or "training")
        if self._prints:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def live(self, line: str) -> None:
        self._bar.update(self._task, description=line)


@contextmanager
def progress(console: Console | None = None, *, lines: bool = False) -> Iterator[Display]:
    """A progress bar on standard error, or on another console.

    Args:
        console: where it is shown.
        lines: it stays when all is done, and where there is no terminal, each new line is printed.
            Otherwise it leaves nothing behind.
    """
    console = console or Console(stderr=True)
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=not lines,
        disable=not console.is_terminal,
    ) as bar:
        yield _Bar(bar, console, lines)
