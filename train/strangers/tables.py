"""Measurements on strangers for people: tables for a terminal, and a page in Markdown."""

from collections.abc import Iterator

from rich import box
from rich.table import Table

from gscon_live.model.labels import EMOTIONS
from gscon_live.train.markdown import markdown_table
from gscon_live.train.scoring.stranger_scores import StrangerScores
from gscon_live.train.strangers.measure import Strangers

#: Confidence above which answers should be right as often as they are sure.
_SURE = 0.6
_COLUMNS = ("n", "accuracy", "recall", "ECE", "sure", "right", "risk", *EMOTIONS)
_FIGURES = "Shares and confidences"


def tables(measured: Strangers) -> Iterator[Table]:
    """A table for each section, and one of the figures."""
    for title, rows in measured.sections.items():
        table = _table(title)
        for column in _COLUMNS:
            table.add_column(column, justify="right")
        for name, scores in rows.items():
            table.add_row(name, *_cells(scores))
        yield table
    if measured.figures:
        table = _table(_FIGURES)
        table.add_column("", justify="right")
        for name, value in measured.figures.items():
            table.add_row(name, f"{value:.3f}")
        yield table


def markdown(measured: Strangers) -> str:
    """All tables in Markdown, with what was measured, when and where."""
    lines = [
        f"Model {measured.model} {measured.version}, measured {measured.created[:10]}; "
        f"{measured.machine}.",
        "",
        legend(),
        "",
        *(f"- {note}" for note in measured.notes),
    ]
    for title, rows in measured.sections.items():
        cells = [(name, *_cells(scores)) for name, scores in rows.items()]
        lines += ["", f"### {title}", "", *markdown_table(("", *_COLUMNS), cells)]
    if measured.figures:
        cells = [(name, f"{value:.3f}") for name, value in measured.figures.items()]
        lines += ["", f"### {_FIGURES}", "", *markdown_table(("", "share"), cells)]
    return "\n".join(lines) + "\n"


def legend() -> str:
    """What the columns of a section's table are."""
    return (
        "recall: mean over the emotions that occur. sure, right: mean confidence and accuracy of "
        f"the answers above {_SURE}. risk: mean share of wrong answers where only the most "
        "confident are given. Then the recall of each emotion."
    )


def _cells(scores: StrangerScores) -> Iterator[str]:
    yield str(scores.count)
    yield from (f"{x:.3f}" for x in (scores.accuracy, scores.macro_recall, scores.ece))
    bins = [b for place, b in enumerate(scores.by_confidence) if place >= round(10 * _SURE)]
    count = sum(b.count for b in bins)
    for name in ("confidence", "accuracy"):
        total = sum(b.count * getattr(b, name) for b in bins)
        yield f"{total / count:.2f}" if count else "–"
    yield f"{scores.area:.2f}"
    yield from (f"{scores.recall[e]:.2f}" if e in scores.recall else "" for e in EMOTIONS)


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("")
    return table
