"""`gscon-live shares`: the modality contributions over the training of a fusion network.

A modality's contribution is the loss of weighted F1 on validation when it is removed (an ablation).
"""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from gscon_live.common import extras

extras.require("train", __name__)

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from gscon_live.common.cli import parser, program
from gscon_live.common.errors import InputError
from gscon_live.common.files import write_output
from gscon_live.common.outputs import Outputs
from gscon_live.common.templates import rendered
from gscon_live.model.checkpoint import modality_set_name
from gscon_live.model.labels import MODALITIES
from gscon_live.train.evaluate import find_model, print_table

EXAMPLES = """
gscon-live fit live name=plain plugins={}
gscon-live shares runs/live runs/plain --svg shares.svg
"""

#: Weighted F1 on validation by seed, epoch and set of modalities, from before training.
History = dict[str, list[dict[str, float]]]


class Contribution(NamedTuple):
    """A modality's contribution in points of weighted F1, by epoch from before training.

    `mean` and `sd` (0 for a single seed) are over seeds, [epochs + 1].
    """

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]


def main(words: Sequence[str]) -> None:
    """Runs the command."""
    arguments = parser(
        "gscon-live shares",
        "Shows the modality contributions of a fusion network on composed conversations, over its "
        "training: the points of weighted F1 that erasing a modality costs on validation. Reads "
        "the history that train.fit leaves in the run's folder.",
        EXAMPLES,
    )
    arguments.add_argument("runs", nargs="+", metavar="RUN", help="a run's folder or name")
    arguments.add_argument("--svg", type=Path, metavar="OUT.svg", help="also draw it")
    arguments.add_argument("--json", action="store_true", help="machine-readable")
    options = arguments.parse_args(words)
    if options.svg is not None:
        outputs = Outputs()
        outputs.writes(options.svg, "--svg", _is_plot, (".svg",))
        outputs.check()
    by_run = {
        Path(str(find_model(name))).name: modality_contributions(_read_history(name))
        for name in options.runs
    }
    if options.svg is not None:
        write_output(options.svg, contribution_plot(by_run).encode())
    if options.json:
        values = {
            name: {
                m: {"mean": contribution.mean.tolist(), "sd": contribution.sd.tolist()}
                for m, contribution in by_modality.items()
            }
            for name, by_modality in by_run.items()
        }
        sys.stdout.buffer.write(msgspec.json.encode(values) + b"\n")
        return
    print_table(_contribution_table(by_run))
    Console().print(
        "Points of weighted F1 on validation (composed conversations) that erasing the modality "
        "costs; mean ± standard deviation over seeds."
    )


def _is_plot(head: bytes) -> bool:
    """Whether a file that begins with `head` is a picture of contributions."""
    return re.match(rb'<svg [^>]* font-size="12">\n(<!-- gscon-live|<rect )', head) is not None


def modality_contributions(history: History) -> dict[str, Contribution]:
    """The contribution of each modality: the score with all modalities minus that without it."""
    all_modalities = modality_set_name(MODALITIES)
    contributions = {}
    for m in MODALITIES:
        others = modality_set_name({*MODALITIES} - {m})
        points = np.array(
            [
                [100 * (epoch[all_modalities] - epoch[others]) for epoch in epochs]
                for epochs in history.values()
            ]
        )
        sd = points.std(0, ddof=1) if len(points) > 1 else points[0] * 0
        contributions[m] = Contribution(points.mean(0), sd)
    return contributions


class Curve(NamedTuple):
    """A modality in the plot, in pixels: its line, the band of one standard deviation around it,
    and the place of its label."""

    modality: str
    points: str
    band: str
    end: tuple[float, float]


class Panel(NamedTuple):
    """A run in the plot."""

    name: str
    left: float
    curves: list[Curve]


def contribution_plot(by_run: Mapping[str, Mapping[str, Contribution]]) -> str:
    """The contributions as SVG: a panel for each run, all on the same scale."""
    width, height, gap, top, left = 300.0, 220.0, 90.0, 40.0, 50.0
    contributions = [c for by_modality in by_run.values() for c in by_modality.values()]
    edges = [edge for contribution in contributions for edge in _edges(contribution)]
    low, high = min(0.0, *edges), max(1.0, *edges)

    def y(value: float) -> float:
        return round(top + (high - value) / (high - low) * height, 1)

    panels = []
    for number, (name, by_modality) in enumerate(by_run.items()):
        start = left + number * (width + gap)
        curves = []
        for m, contribution in by_modality.items():
            mean, sd = contribution
            last = max(1, len(mean) - 1)
            xs = [round(start + width * epoch / last, 1) for epoch in range(len(mean))]
            points, upper, lower = (
                [f"{x},{y(value)}" for x, value in zip(xs, values, strict=True)]
                for values in (mean, mean + sd, mean - sd)
            )
            end = (xs[-1] + 4, y(float(mean[-1])) + 4)
            curves.append(Curve(m, " ".join(points), " ".join([*upper, *reversed(lower)]), end))
        panels.append(Panel(name, start, _spread_labels(curves)))
    step = next(step for step in (1, 2, 5, 10, 20, 50) if (high - low) / step <= 8)
    ticks = [(y(v), v) for v in range(int(np.ceil(low / step)) * step, int(high) + 1, step)]
    return rendered(
        Path(__file__).with_name("shares.svg.j2"),
        panels=panels,
        ticks=ticks,
        zero=y(0.0),
        width=width,
        height=height,
        top=top,
        full_width=left + len(by_run) * (width + gap),
        epochs=max(len(contribution.mean) for contribution in contributions) - 1,
    )


def _spread_labels(curves: list[Curve]) -> list[Curve]:
    """Moves labels down that would overlap."""
    moved, above = [], -np.inf
    for curve in sorted(curves, key=lambda curve: curve.end[1]):
        above = max(curve.end[1], above + 13)
        moved.append(curve._replace(end=(curve.end[0], round(float(above), 1))))
    return moved


def _edges(contribution: Contribution) -> list[float]:
    """The lowest and the highest value of the band."""
    mean, sd = contribution
    return [float((mean - sd).min()), float((mean + sd).max())]


def _read_history(name: str) -> History:
    """The history of a run. Raises `InputError` where it has none."""
    path = Path(find_model(name)) / "history.json"
    try:
        history = msgspec.json.decode(path.read_bytes(), type=History)
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(
            f"{path}: no history of a fusion ({' '.join(str(error).split())}); give the folder of "
            "a run that `gscon-live fit live` made"
        ) from error
    required = {
        modality_set_name(MODALITIES),
        *(modality_set_name({*MODALITIES} - {m}) for m in MODALITIES),
    }
    if not history or any(
        not required <= epoch.keys() for epochs in history.values() for epoch in epochs
    ):
        raise InputError(f"{path}: it lacks sets of modalities; train the run again")
    return history


def _contribution_table(by_run: Mapping[str, Mapping[str, Contribution]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("run")
    table.add_column("erased")
    for column in ("before training", "after one epoch", "half-way", "at the end"):
        table.add_column(column, justify="right")
    for name, by_modality in by_run.items():
        for m, contribution in by_modality.items():
            last = len(contribution.mean) - 1
            cells = [
                f"{contribution.mean[at]:z.1f} ± {contribution.sd[at]:.1f}"
                for at in (0, 1, last // 2, last)
            ]
            table.add_row(name, m, *cells)
    return table


if __name__ == "__main__":
    program(main)
