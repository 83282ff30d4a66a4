"""The progress of an archive on standard error: recordings, failures and the time left."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class ArchiveProgress:
    """A progress bar over all recordings, by the sizes of their files, and a line for each.

    Args:
        sizes: bytes of each recording that is to be done, by path.
        shown: false shows failures only.
    """

    def __init__(self, sizes: dict[str, int], shown: bool) -> None:
        self._sizes = {path: max(size, 1) for path, size in sizes.items()}
        self._reached: dict[str, float] = {}
        self._ended = 0
        self._shown = shown
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:.0f} %"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not shown or not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=sum(self._sizes.values()) or None)
        self._update()

    def reach(self, path: str, share: float) -> None:
        """Moves the bar: this share of a recording is done, 0 to 1."""
        self._reached[path] = self._sizes.get(path, 0) * share
        self._update()

    def done(self, path: str, line: str) -> None:
        """A recording has its results; `line` says so."""
        self._end(path)
        if self._shown:
            self._console.print(f"{self._count()} {line}", markup=False, style="dim")

    def failed(self, path: str, line: str) -> None:
        """A recording has failed, and why."""
        self._end(path)
        self._console.print(f"{self._count()} failed: {line}", markup=False)

    def _end(self, path: str) -> None:
        self._ended += 1
        self.reach(path, 1.0)

    def _count(self) -> str:
        return f"{self._ended}/{len(self._sizes)}"

    def _update(self) -> None:
        description = f"{self._ended} of {len(self._sizes)} recordings"
        self._bar.update(self._task, completed=sum(self._reached.values()), description=description)

    def __enter__(self) -> "ArchiveProgress":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
