"""What a command shows while it works."""

from io import StringIO

import pytest
from rich.console import Console

from gscon_live.train.progress import Reporting, progress


@pytest.mark.parametrize("lines", [False, True])
def test_where_there_is_no_terminal_new_lines_are_said_once_and_only_where_they_are_wanted(
    lines: bool,
) -> None:
    said = StringIO()
    with progress(Console(file=said), lines=lines) as display:
        assert not display.shows
        for done, line in enumerate(("first [bold]", "first [bold]", "second"), 1):
            display.report(done, 3, line)
        display.live("only for a moment")
        so_far = said.getvalue()
    assert so_far.splitlines() == (["first [bold]", "second"] if lines else [])
    assert said.getvalue() == so_far


@pytest.mark.parametrize("lines", [False, True])
def test_on_a_terminal_there_is_a_bar_which_stays_only_where_lines_are_wanted(lines: bool) -> None:
    said = StringIO()
    console = Console(file=said, force_terminal=True, width=100)
    with progress(console, lines=lines) as display:
        assert display.shows
        display.report(1, 2, "half")
        display.live("half of it")
    shown = said.getvalue()
    assert "half of it" in shown
    # A line that does not stay is erased at the end.
    assert shown.rstrip("\n").endswith("\x1b[2K") is not lines


def test_reports_are_handed_on() -> None:
    reports: list[tuple[int, int, str]] = []
    display = Reporting(lambda *report: reports.append(report))
    display.report(1, 2, "half")
    display.live("nothing of this")
    assert reports == [(1, 2, "half")]
    assert not display.shows
