"""`gscon-live leaderboard`: runs beside each other and beside published figures."""

import sys

from gscon_live.common import extras

extras.require("train", __name__)

import textwrap
from collections.abc import Sequence
from pathlib import Path

import msgspec
import torch
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gscon_live.common.cli import parser, run, terminate_like_interrupt
from gscon_live.common.errors import InputError
from gscon_live.common.files import write_output
from gscon_live.train.evaluate import find_model, print_table
from gscon_live.train.leaderboard import run_list as lists
from gscon_live.train.leaderboard.board import Board, board
from gscon_live.train.leaderboard.board_view import (
    COLUMNS,
    COMPARISON_COLUMNS,
    COMPARISON_NOTE,
    CROSS_TABLE_NOTE,
    REMARKS,
    cells,
    comparison_cells,
    cross_table_text,
    markdown,
    page,
)
from gscon_live.train.leaderboard.published import published
from gscon_live.train.leaderboard.run_list import PlannedRun
from gscon_live.train.networks.evaluate_run import (
    Material,
    conversation_material,
    finished,
    is_run,
    of_run,
    writable,
)
from gscon_live.train.progress import progress

EXAMPLES = """
gscon-live leaderboard runs/iemocap-*
gscon-live leaderboard gscon mlp --html board.html --markdown board.md
gscon-live leaderboard runs/* --json
gscon-live leaderboard iemocap --fit --jobs 2     a list of runs, trained where they are not
"""

#: What is printed of all rows, and of the runs: a terminal is too narrow for everything at once.
_PROTOCOL = ("model", *COLUMNS[COLUMNS.index("context") : COLUMNS.index("accuracy") + 1])
_MEASURED = ("model", "network", "balance", *COLUMNS[COLUMNS.index("macro F1") :])


def main(words: Sequence[str], material: Material = conversation_material) -> None:
    """The command; see the module. `material` gives the features of a run not yet evaluated."""
    arguments = parser(
        "gscon-live leaderboard",
        "One table of runs of train.fit on conversations, beside published figures and what is "
        "known of how these came about. Runs without an evaluation are evaluated first.",
        EXAMPLES,
    )
    arguments.add_argument(
        "runs", nargs="+", metavar="RUN|LIST", help="a run's folder or name, or a list of runs"
    )
    arguments.add_argument("--fit", action="store_true", help="train the runs of lists first")
    arguments.add_argument("--jobs", type=int, default=1, help="trainings at a time (default: 1)")
    arguments.add_argument("--html", type=Path, metavar="OUT.html", help="also write a page")
    arguments.add_argument("--markdown", type=Path, metavar="OUT.md", help="also write Markdown")
    arguments.add_argument("--json", action="store_true", help="machine-readable")
    given = arguments.parse_args(words)
    torch.set_num_threads(1)
    if given.jobs < 1:
        raise InputError(f"--jobs {given.jobs}: expected 1 or more")
    folders, listed = _runs(given.runs)
    if given.fit and not listed:
        raise InputError("--fit is for the runs of a list; give one, or leave --fit out")
    unfinished = [one for one in listed if not one.finished]
    if unfinished and not given.fit:
        raise InputError(
            f"run {unfinished[0].folder}: not trained, as {len(unfinished)} of {len(listed)} on "
            "the list; add --fit"
        )
    for out in (given.html, given.markdown):
        if out:
            writable(out)
    names = [folder.resolve().name for folder in folders]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"two runs are named {twice[0]!r}; rename the folder of one")
    to_come = {one.folder for one in unfinished}
    for folder in folders:
        if folder not in to_come:
            finished(folder)
    if unfinished:
        terminate_like_interrupt()
    with progress() as display:
        lists.fit(unfinished, given.jobs, display.report)
        evaluations = [of_run(folder, display.report, material) for folder in folders]
    made = board(evaluations, published())
    if given.html:
        write_output(given.html, page(made, evaluations).encode())
    if given.markdown:
        write_output(given.markdown, markdown(made).encode())
    if given.json:
        sys.stdout.buffer.write(msgspec.json.encode(made) + b"\n")
    else:
        _print(made)


def _runs(names: Sequence[str]) -> tuple[list[Path], list[PlannedRun]]:
    """The folders of all runs that are asked for, each once, and what lists say of them."""
    folders: dict[Path, None] = {}
    listed: list[PlannedRun] = []
    for name in names:
        made = lists.read(name) if lists.is_list(name) else []
        listed += made
        folders.update(dict.fromkeys([one.folder for one in made] or [_folder(name)]))
    return list(folders), listed


def _folder(name: str) -> Path:
    place = find_model(name)
    if isinstance(place, Path) and place.is_dir():
        if is_run(place):
            return place
        raise InputError(
            f"{place}: no run on conversations (its recipe.json is missing or of another kind); "
            "give the folder of such a run of train.fit"
        )
    raise InputError(f"{name}: a checkpoint; give the folder of the run that it is from")


def _print(made: Board) -> None:
    console = Console()
    for corpus in dict.fromkeys(row.corpus for row in made.rows):
        rows = [row for row in made.rows if row.corpus == corpus]
        print_table(_table(corpus, _PROTOCOL, COLUMNS, [cells(row) for row in rows]))
        mine = [cells(row) for row in rows if row.origin == "run"]
        print_table(_table(f"{corpus}: runs", _MEASURED, COLUMNS, mine))
    for table in map(cross_table_text, made.crossings):
        lines = [line.cells for line in table.lines]
        print_table(_table(table.title, table.columns, table.columns, lines))
    if made.crossings:
        console.print(CROSS_TABLE_NOTE)
    if made.comparisons:
        pairs = [comparison_cells(pair) for pair in made.comparisons]
        print_table(_table("Ablations", COMPARISON_COLUMNS, COMPARISON_COLUMNS, pairs))
        console.print(COMPARISON_NOTE)
    for remark in REMARKS:
        console.print(f"- {remark}")


def _table(
    title: str, shown: Sequence[str], columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> Table:
    """A table of those of the columns that are shown."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in shown:
        table.add_column(textwrap.fill(name, 14))
    for row in rows:
        said = dict(zip(columns, row, strict=True))
        table.add_row(*(Text(said[name]) for name in shown))
    return table


if __name__ == "__main__":
    sys.exit(run(main))
