"""The leaderboard as text: cells of tables, Markdown, and a self-contained HTML page."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gscon_live.common.templates import rendered
from gscon_live.train.leaderboard import plots
from gscon_live.train.leaderboard.board import Board, ModelRow
from gscon_live.train.leaderboard.comparisons import Comparison
from gscon_live.train.leaderboard.grid import CrossTable
from gscon_live.train.markdown import markdown_table
from gscon_live.train.scoring.evaluation import Evaluation, Spread

#: How the page in Markdown begins, and what the HTML page has in its head.
MARKDOWN_HEADING, HTML_TITLE = "# Leaderboard", "<title>Leaderboard – gscon-live</title>"

#: The columns of the table of models.
COLUMNS = (
    "model",
    "network",
    "balance",
    "corpus",
    "context",
    "modalities",
    "selected on",
    "seeds",
    "weighted F1",
    "95 % over dialogues",
    "accuracy",
    "macro F1",
    "ECE",
    "each modality alone",
    "validation F1",
    "best on test (not for comparison)",
    "parameters",
    "answer",
    "training",
)
#: The columns of the table of ablations.
COMPARISON_COLUMNS = (
    "corpus",
    "from",
    "to",
    "what changed",
    "seeds",
    "difference",
    "95 %",
    "p",
    "dialogues 95 %",
    "dialogues p",
    "q",
)

#: Notes for the reader, in all formats.
REMARKS = (
    "Figures are in percent, on test, as trained, with all modalities of the model: mean ± "
    "standard deviation over seeds. The 95 % interval is over dialogues, drawn with replacement.",
    "Runs are selected on validation alone, and stand in the order of their validation scores.",
    "Published figures are as stated by their sources, with other features than ours. Those "
    "selected on test are too high, by an unknown amount; “leaking” means that the released code "
    "lets some of the future through. All use gold transcripts, turns and speakers; none is a "
    "figure for live speech.",
    "“Best on test” is the score of whichever epoch was the best on test. It shows how much such a "
    "selection flatters, and is not to be compared with anything.",
    "“Seeds together” is the mean of the probabilities of all trainings of a run, at a temperature "
    "that is fitted on validation; where each training has another validation split, at none of "
    "its own. It costs as many answers.",
    "A window limits what the network sees; features that were made in context keep theirs.",
    "“Balance” are the consistency losses and plug-ins that a network was trained with. “Answer” "
    "is the median processor time of the next answer, on one thread; with full context, that of a "
    "dialogue over its utterances.",
)
COMPARISON_NOTE = (
    "Runs of one recipe but for what balances the modalities, where the second only adds to it; "
    "and GSCon against other networks, each as it was published; over the seeds that both have. p "
    "is two-sided: of the paired t test over seeds, which says nothing of other test sets, and of "
    "the paired bootstrap over dialogues. Seeds that share a text encoder are no independent "
    "trainings: the test is over the means of each encoder's seeds. q is the larger of the two, "
    "corrected for the number of comparisons: of all that are called different at q up to 0.05, "
    "5 % are expected not to be (Benjamini & Hochberg)."
)
CROSS_TABLE_NOTE = (
    "Weighted F1 on test of networks by the consistency losses and plug-ins that they were trained "
    "with, of runs that have all else in common. Where several differ in settings alone, all are "
    "in one cell. The last column is the mean difference from the same networks without any, and "
    "its standard deviation over networks."
)


class TableRow(NamedTuple):
    """A row of a table; `css` has the names of its styles on the page."""

    cells: tuple[str, ...]
    css: str = ""


class CorpusSection(NamedTuple):
    """The section of the page on a corpus. `unplotted` is the number of runs that are in the tables
    but not in the plots, which have `plots.COLOURS` colours."""

    name: str
    rows: list[ModelRow]
    table: list[TableRow]
    bars: plots.Bars
    contexts: plots.Chart
    modalities: plots.Chart
    diagrams: list[plots.Diagram]
    unplotted: int


class TextTable(NamedTuple):
    """A table as text."""

    title: str
    columns: tuple[str, ...]
    rows: list[TableRow]


def cells(row: ModelRow) -> tuple[str, ...]:
    """A row as text, in the order of `COLUMNS`; a dash for unknown values."""
    return (
        row.model,
        row.network or "–",
        row.balance or "–",
        row.corpus,
        row.context,
        row.modalities,
        row.selection,
        "–" if row.seeds is None else str(row.seeds),
        _percent(row.weighted_f1),
        "–" if row.interval is None else _between(row.interval.low, row.interval.high),
        _percent(row.accuracy),
        _percent(row.macro_f1),
        _percent(row.ece),
        ", ".join(f"{m} {_percent(spread)}" for m, spread in row.alone.items()) or "–",
        _percent(row.validation),
        _percent(row.best_on_test),
        "–" if row.parameters is None else f"{row.parameters:,}",
        "–" if row.answer_ms is None else f"{row.answer_ms:.2f} ms",
        "–" if row.training_seconds is None else f"{row.training_seconds.mean / 60:.1f} min",
    )


def comparison_cells(pair: Comparison) -> tuple[str, ...]:
    """A comparison as text, in the order of `COMPARISON_COLUMNS`."""
    seeds, dialogues = pair.over_seeds, pair.over_dialogues.interval
    encoders = f"{seeds.n} encoder{'s' if seeds.n > 1 else ''}"
    sd = "" if seeds.sd is None else f" ± {100 * seeds.sd:.2f}"
    return (
        pair.corpus,
        pair.first,
        pair.second,
        pair.changed,
        str(len(pair.seeds)) + (f", {encoders}" if seeds.n < len(pair.seeds) else ""),
        f"{100 * seeds.mean:+z.2f}{sd}",
        "–" if seeds.interval is None else _between(seeds.interval.low, seeds.interval.high, "+"),
        "–" if seeds.p is None else f"{seeds.p:.3f}",
        _between(dialogues.low, dialogues.high, "+"),
        f"{pair.over_dialogues.p:.3f}",
        "–" if pair.q is None else f"{pair.q:.3f}",
    )


def cross_table_text(table: CrossTable) -> TextTable:
    """A cross table as text, with a column for each network."""
    rows = []
    for balance, gain, *cells in zip(table.balances, table.gains, *table.cells, strict=True):
        texts = (" / ".join(map(_percent, cell)) or "–" for cell in cells)
        rows.append(TableRow((balance, *texts, _percent(gain, "+"))))
    title = f"{table.corpus}, {table.context}: {table.modalities.replace('+', ' and ')}"
    return TextTable(title, ("balance", *table.networks, "mean gain"), rows)


def markdown(leaderboard: Board) -> str:
    """The leaderboard in Markdown."""
    lines = [
        MARKDOWN_HEADING,
        "",
        *markdown_table(COLUMNS, [cells(row) for row in leaderboard.rows]),
    ]
    lines += ["", *(f"- {remark}" for remark in REMARKS), "", "## Sources", ""]
    lines += dict.fromkeys(
        f"- {row.model}: {row.source}" + (f"; {row.note}" if row.note else "")
        for row in leaderboard.rows
    )
    if leaderboard.crossings:
        lines += ["", "## Networks by what balances them", "", CROSS_TABLE_NOTE]
    for table in map(cross_table_text, leaderboard.crossings):
        rows = [row.cells for row in table.rows]
        lines += ["", f"### {table.title}", "", *markdown_table(table.columns, rows)]
    if leaderboard.comparisons:
        pairs = [comparison_cells(pair) for pair in leaderboard.comparisons]
        lines += [
            "",
            "## Ablations",
            "",
            *markdown_table(COMPARISON_COLUMNS, pairs),
            "",
            COMPARISON_NOTE,
        ]
    return "\n".join(lines) + "\n"


def page(leaderboard: Board, evaluations: Sequence[Evaluation]) -> str:
    """The leaderboard as an HTML page that loads nothing. All text of the data is escaped."""
    corpora = []
    for name in dict.fromkeys(evaluation.corpus for evaluation in evaluations):
        rows = [row for row in leaderboard.rows if row.corpus == name]
        order = [row.model for row in rows]
        runs = [evaluation for evaluation in evaluations if evaluation.corpus == name]
        runs.sort(key=lambda evaluation: order.index(evaluation.run))
        plotted = runs[: plots.COLOURS]
        corpora.append(
            CorpusSection(
                name,
                rows,
                [
                    TableRow(_without_corpus(cells(row)), f"{row.origin} {row.selection}")
                    for row in rows
                ],
                plots.bars(
                    [row for row in rows if row.selection != "none" and row.origin != "ensemble"]
                ),
                plots.by_context(plotted),
                plots.by_modalities(plotted),
                [plots.reliability(evaluation) for evaluation in plotted],
                len(runs) - len(plotted),
            )
        )
    return rendered(
        Path(__file__).with_name("leaderboard.html.j2"),
        corpora=corpora,
        columns=_without_corpus(COLUMNS),
        crossings=[cross_table_text(table) for table in leaderboard.crossings],
        crossed=CROSS_TABLE_NOTE,
        comparisons=[TableRow(comparison_cells(pair)) for pair in leaderboard.comparisons],
        pairs=COMPARISON_COLUMNS,
        remarks=REMARKS,
        paired=COMPARISON_NOTE,
    )


def _without_corpus(line: Sequence[str]) -> tuple[str, ...]:
    """The cells of a row without that of the corpus."""
    return tuple(cell for name, cell in zip(COLUMNS, line, strict=True) if name != "corpus")


def _percent(spread: Spread | None, sign: str = "") -> str:
    return "–" if spread is None else plots.percent(spread.mean, spread.sd, sign)


def _between(low: float, high: float, sign: str = "") -> str:
    return f"{100 * low:{sign}z.2f} to {100 * high:{sign}z.2f}"
