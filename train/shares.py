"""`gscon-live shares`: what each modality contributes, over the training of a fusion."""

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

from gscon_live.common.cli import parser, run
from gscon_live.common.errors import InputError
from gscon_live.common.files import write_output
from gscon_live.common.templates import rendered
from gscon_live.model.checkpoint import modality_set_name
from gscon_live.model.labels import MODALITIES
from gscon_live.train.evaluate import find_model, print_table
from gscon_live.train.networks.evaluate_run import writable

EXAMPLES = """
gscon-live fit live name=plain plugins={}
gscon-live shares runs/live runs/plain --svg shares.svg
"""

#: Of a run: weighted F1 on validation by subset of modalities, by seed and epoch.
History = dict[str, list[dict[str, float]]]


class Contribution(NamedTuple):
    """What erasing a modality costs in points of weighted F1, by epoch from before training: mean
    and standard deviation over seeds (0 for one seed), [epochs + 1] each."""

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]


def main(words: Sequence[str]) -> None:
    """The command; see the module."""
    arguments = parser(
        "gscon-live shares",
        "What each modality contributes to the answers of a fusion on composed conversations, over "
        "its training: the points of weighted F1 that erasing it costs on validation. Reads the "
        "history that train.fit leaves in the run's folder.",
        EXAMPLES,
    )
    arguments.add_argument("runs", nargs="+", metavar="RUN", help="a run's folder or name")
    arguments.add_argument("--svg", type=Path, metavar="OUT.svg", help="also draw it")
    arguments.add_argument("--json", action="store_true", help="machine-readable")
    given = arguments.parse_args(words)
    if given.svg is not None:
        writable(given.svg)
    found = {Path(str(find_model(name))).name: contributions(_history(name)) for name in given.runs}
    if given.svg is not None:
        write_output(given.svg, picture(found).encode())
    if given.json:
        shown = {
            name: {m: {"mean": one.mean.tolist(), "sd": one.sd.tolist()} for m, one in by.items()}
            for name, by in found.items()
        }
        sys.stdout.buffer.write(msgspec.json.encode(shown) + b"\n")
        return
    print_table(_table(found))
    Console().print(
        "Points of weighted F1 on validation (composed conversations) that erasing the modality "
        "costs; mean ± standard deviation over seeds."
    )


def contributions(history: History) -> dict[str, Contribution]:
    """What erasing each modality costs."""
    everything = modality_set_name(MODALITIES)
    found = {}
    for m in MODALITIES:
        rest = modality_set_name(other for other in MODALITIES if other != m)
        lost = np.array(
            [[100 * (epoch[everything] - epoch[rest]) for epoch in one] for one in history.values()]
        )
        found[m] = Contribution(lost.mean(0), lost.std(0, ddof=1) if len(lost) > 1 else lost[0] * 0)
    return found


class Curve(NamedTuple):
    """A modality's contribution in the picture: where its line and what one deviation covers go."""

    modality: str
    points: str
    band: str
    end: tuple[float, float]


class Panel(NamedTuple):
    """One run in the picture."""

    name: str
    left: float
    lines: list[Curve]


def picture(found: Mapping[str, Mapping[str, Contribution]]) -> str:
    """The contributions as SVG, a panel for each run on one scale."""
    width, height, gap, top, left = 300.0, 220.0, 90.0, 40.0, 50.0
    values = [edge for by in found.values() for one in by.values() for edge in _edges(one)]
    low, high = min(0.0, *values), max(1.0, *values)

    def y(value: float) -> float:
        return round(top + (high - value) / (high - low) * height, 1)

    panels = []
    for number, (name, by) in enumerate(found.items()):
        start = left + number * (width + gap)
        lines = []
        for m, one in by.items():
            last = max(1, len(one.mean) - 1)
            xs = [round(start + width * epoch / last, 1) for epoch in range(len(one.mean))]
            upper = [f"{x},{y(v)}" for x, v in zip(xs, one.mean + one.sd, strict=True)]
            lower = [f"{x},{y(v)}" for x, v in zip(xs, one.mean - one.sd, strict=True)]
            points = " ".join(f"{x},{y(v)}" for x, v in zip(xs, one.mean, strict=True))
            end = (xs[-1] + 4, y(float(one.mean[-1])) + 4)
            lines.append(Curve(m, points, " ".join([*upper, *reversed(lower)]), end))
        panels.append(Panel(name, start, _apart(lines)))
    step = next(one for one in (1, 2, 5, 10, 20, 50) if (high - low) / one <= 8)
    ticks = [(y(v), v) for v in range(int(np.ceil(low / step)) * step, int(high) + 1, step)]
    return rendered(
        Path(__file__).with_name("shares.svg.j2"),
        panels=panels,
        ticks=ticks,
        zero=y(0.0),
        width=width,
        height=height,
        top=top,
        whole=left + len(found) * (width + gap),
        epochs=max(len(one.mean) for by in found.values() for one in by.values()) - 1,
    )


def _apart(lines: list[Curve]) -> list[Curve]:
    """The lines with their names one below the other where their ends are too near."""
    made, above = [], -np.inf
    for line in sorted(lines, key=lambda one: one.end[1]):
        above = max(line.end[1], above + 13)
        made.append(line._replace(end=(line.end[0], round(float(above), 1))))
    return made


def _edges(one: Contribution) -> list[float]:
    return [float((one.mean - one.sd).min()), float((one.mean + one.sd).max())]


def _history(name: str) -> History:
    """Raises `InputError` where there is no history of a fusion."""
    place = find_model(name)
    path = Path(place) / "history.json"
    try:
        found = msgspec.json.decode(path.read_bytes(), type=History)
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(
            f"{path}: no history of a fusion ({' '.join(str(error).split())}); give the folder of "
            "a run that `gscon-live fit live` made"
        ) from error
    wanted = {
        modality_set_name(MODALITIES),
        *(modality_set_name({*MODALITIES} - {m}) for m in MODALITIES),
    }
    if not found or any(not wanted <= epoch.keys() for one in found.values() for epoch in one):
        raise InputError(f"{path}: it lacks sets of modalities; train the run again")
    return found


def _table(found: Mapping[str, Mapping[str, Contribution]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("run")
    table.add_column("erased")
    for column in ("before training", "after one epoch", "half-way", "at the end"):
        table.add_column(column, justify="right")
    for name, by in found.items():
        for m, one in by.items():
            last = len(one.mean) - 1
            cells = [f"{one.mean[at]:.1f} ± {one.sd[at]:.1f}" for at in (0, 1, last // 2, last)]
            table.add_row(name, m, *cells)
    return table


if __name__ == "__main__":
    sys.exit(run(main))
