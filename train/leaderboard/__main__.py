"""`gscon-live leaderboard`: runs beside each other and beside published figures."""

import sys

from gscon_live.common import extras

extras.require("train", __name__)

import textwrap
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec
import torch
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gscon_live.common import signals
from gscon_live.common.cli import parser, program
from gscon_live.common.errors import InputError
from gscon_live.common.files import write_output
from gscon_live.common.outputs import Outputs
from gscon_live.train.evaluate import find_model, print_table
from gscon_live.train.leaderboard import run_list as lists
from gscon_live.train.leaderboard.board import Board, board
from gscon_live.train.leaderboard.board_view import (
    COLUMNS,
    COMPARISON_COLUMNS,
    COMPARISON_NOTE,
    CROSS_TABLE_NOTE,
    HTML_TITLE,
    MARKDOWN_HEADING,
    REMARKS,
    cells,
    comparison_cells,
    cross_table_text,
    markdown,
    page,
)
from gscon_live.train.leaderboard.published import published
from gscon_live.train.leaderboard.run_list import PlannedRun
from gscon_live.train.markdown import ENDINGS
from gscon_live.train.networks.evaluate_run import (
    Material,
    conversation_material,
    finished,
    is_run,
    of_run,
)
from gscon_live.train.progress import progress

EXAMPLES = """
gscon-live leaderboard runs/iemocap-*
gscon-live leaderboard gscon mlp --html board.html --markdown board.md
gscon-live leaderboard runs/* --json
gscon-live leaderboard iemocap-small --fit --jobs 2     a list of runs, trained where they are not
gscon-live leaderboard iemocap-small --fit --ray auto   the same on a Ray cluster
"""

#: The columns of the table of all rows, and of that of the runs: a terminal is too narrow for all.
_PROTOCOL_COLUMNS = ("model", *COLUMNS[COLUMNS.index("context") : COLUMNS.index("accuracy") + 1])
_RUN_COLUMNS = ("model", "network", "balance", *COLUMNS[COLUMNS.index("macro F1") :])


def main(words: Sequence[str], material: Material = conversation_material) -> None:
    """Runs the command. `material` gives the features of a run that is not yet evaluated."""
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
    arguments.add_argument(
        "--jobs",
        type=int,
        metavar="NUMBER",
        help="trainings at a time (default: 1; with --ray, as many as it has processors)",
    )
    arguments.add_argument("--ray", metavar="ADDRESS|auto", help="train on an existing Ray cluster")
    arguments.add_argument("--html", type=Path, metavar="OUT.html", help="also write a page")
    arguments.add_argument("--markdown", type=Path, metavar="OUT.md", help="also write Markdown")
    arguments.add_argument("--json", action="store_true", help="machine-readable")
    options = arguments.parse_args(words)
    torch.set_num_threads(1)
    if options.jobs is not None and options.jobs < 1:
        raise InputError(f"--jobs {options.jobs}: expected 1 or more")
    _check_outputs(options.html, options.markdown)
    folders, planned = _runs_and_lists(options.runs)
    if options.ray is not None and not options.fit:
        raise InputError("--ray is for trainings; add --fit, or leave --ray out")
    if options.fit and not planned:
        raise InputError("--fit is for the runs of a list; give one, or leave --fit out")
    untrained = [entry for entry in planned if not entry.finished]
    if untrained and not options.fit:
        raise InputError(
            f"run {untrained[0].folder}: not trained, as {len(untrained)} of {len(planned)} on "
            "the list; add --fit"
        )
    names = [folder.resolve().name for folder in folders]
    if duplicates := [name for name in names if names.count(name) > 1]:
        raise InputError(f"two runs are named {duplicates[0]!r}; rename the folder of one")
    untrained_folders = {entry.folder for entry in untrained}
    for folder in folders:
        if folder not in untrained_folders:
            finished(folder)
    if untrained:
        signals.raise_interrupts()
    with ExitStack() as stack:
        start: Callable[[lists.Job], lists.Started] = lists.LocalJob
        jobs = options.jobs or 1
        if untrained and options.ray is not None:
            extras.require("ray", __name__)
            from gscon_live.train.leaderboard.ray_jobs import RayJobs

            cluster = stack.enter_context(closing(RayJobs(options.ray)))
            start, jobs = cluster.start, options.jobs or cluster.processors
        display = stack.enter_context(progress())
        lists.fit(untrained, jobs, display.report, start)
        evaluations = [of_run(folder, display.report, material) for folder in folders]
    leaderboard = board(evaluations, published())
    if options.html:
        write_output(options.html, page(leaderboard, evaluations).encode())
    if options.markdown:
        write_output(options.markdown, markdown(leaderboard).encode())
    if options.json:
        sys.stdout.buffer.write(msgspec.json.encode(leaderboard) + b"\n")
    else:
        _print_tables(leaderboard)


def _check_outputs(html: Path | None, text: Path | None) -> None:
    """Refuses pages that would destroy something or cannot be written."""
    outputs = Outputs()
    if html:
        outputs.writes(html, "--html", _is_page, (".html", ".htm"))
    if text:
        outputs.writes(text, "--markdown", _is_markdown, ENDINGS)
    outputs.check()


def _is_page(head: bytes) -> bool:
    return HTML_TITLE.encode() in head


def _is_markdown(head: bytes) -> bool:
    return head.startswith(f"{MARKDOWN_HEADING}\n\n| {COLUMNS[0]} |".encode())


def _runs_and_lists(names: Sequence[str]) -> tuple[list[Path], list[PlannedRun]]:
    """The folders of all requested runs without duplicates, and the runs of all requested lists."""
    folders: dict[Path, None] = {}
    planned: list[PlannedRun] = []
    for name in names:
        entries = lists.read(name) if lists.is_list(name) else []
        planned += entries
        folders.update(dict.fromkeys([entry.folder for entry in entries] or [_run_folder(name)]))
    return list(folders), planned


def _run_folder(name: str) -> Path:
    """The folder of a run by name or path. Raises `InputError` where it is none."""
    target = find_model(name)
    if isinstance(target, Path) and target.is_dir():
        if is_run(target):
            return target
        raise InputError(
            f"{target}: no run on conversations (its recipe.json is missing or of another kind); "
            "give the folder of such a run of train.fit"
        )
    raise InputError(f"{name}: a checkpoint; give the folder of the run that it is from")


def _print_tables(leaderboard: Board) -> None:
    console = Console()
    for corpus in dict.fromkeys(row.corpus for row in leaderboard.rows):
        rows = [row for row in leaderboard.rows if row.corpus == corpus]
        print_table(_table(corpus, _PROTOCOL_COLUMNS, COLUMNS, [cells(row) for row in rows]))
        run_rows = [cells(row) for row in rows if row.origin != "published"]
        print_table(_table(f"{corpus}: runs", _RUN_COLUMNS, COLUMNS, run_rows))
    for table in map(cross_table_text, leaderboard.crossings):
        text_rows = [row.cells for row in table.rows]
        print_table(_table(table.title, table.columns, table.columns, text_rows))
    if leaderboard.crossings:
        console.print(CROSS_TABLE_NOTE)
    if leaderboard.comparisons:
        pairs = [comparison_cells(pair) for pair in leaderboard.comparisons]
        print_table(_table("Ablations", COMPARISON_COLUMNS, COMPARISON_COLUMNS, pairs))
        console.print(COMPARISON_NOTE)
    for remark in REMARKS:
        console.print(f"- {remark}")


def _table(
    title: str, shown: Sequence[str], columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> Table:
    """A table of the columns in `shown`."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in shown:
        table.add_column(textwrap.fill(name, 14))
    for row in rows:
        by_column = dict(zip(columns, row, strict=True))
        table.add_row(*(Text(by_column[name]) for name in shown))
    return table


if __name__ == "__main__":
    program(main)
