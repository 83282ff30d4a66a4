"""The coordinates of the leaderboard's plots, in pixels; the template draws them."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gscon_live.model.checkpoint import modality_set_name
from gscon_live.train.leaderboard.board import ModelRow
from gscon_live.train.scoring.evaluation import Evaluation, Figures
from gscon_live.train.scoring.metrics import Bin

#: The number of colours for series.
COLOURS = 7

_WIDTH = 900.0


class Tick(NamedTuple):
    """A tick of an axis."""

    at: float
    label: str


class Bar(NamedTuple):
    """A model in the comparison of models: the mean at `x`, the ends of one standard deviation
    (`sd`), and of the interval over dialogues; None where unknown."""

    y: float
    label: str
    css: str
    x: float
    sd: tuple[float, float] | None
    interval: tuple[float, float] | None
    value: str


class Bars(NamedTuple):
    """Weighted F1 of models, one below the other."""

    width: float
    height: float
    left: float
    ticks: list[Tick]
    bars: list[Bar]


class Dot(NamedTuple):
    """A mean, the ends of one standard deviation above and below it, and a tooltip."""

    x: float
    y: float
    top: float
    bottom: float
    tip: str


class Series(NamedTuple):
    """A run; `line` joins its dots, except the one as trained, which is no window."""

    name: str
    colour: int
    dots: list[Dot]
    line: str


class Chart(NamedTuple):
    """Weighted F1 (y axis) of several runs by category (x axis); a category has its place and the
    lines of its label."""

    width: float
    height: float
    left: float
    ticks: list[Tick]
    categories: list[tuple[float, list[str]]]
    series: list[Series]


class Diagram(NamedTuple):
    """The reliability diagram of a run: accuracy (y axis) by confidence (x axis), without and with
    temperature. A circle is (x, y, radius); its area grows with the share of the answers."""

    name: str
    size: float
    before: list[tuple[float, float, float]]
    after: list[tuple[float, float, float]]
    ece_before: str
    ece_after: str


def bars(rows: Sequence[ModelRow]) -> Bars:
    """The plot of weighted F1 of models."""
    left, right, step = 250.0, 130.0, 22.0
    ends = [end for row in rows for end in _ends(row)]
    low, high, ticks = _scale(ends, left, _WIDTH - right)

    def x(value: float) -> float:
        return _position(100 * value, low, high, left, _WIDTH - right)

    bars = []
    for index, row in enumerate(rows):
        f1, interval = row.weighted_f1, row.interval
        bars.append(
            Bar(
                y=round((index + 0.5) * step, 1),
                label=row.model,
                css="run" if row.origin == "run" else row.selection,
                x=x(f1.mean),
                sd=None if f1.sd is None else (x(f1.mean - f1.sd), x(f1.mean + f1.sd)),
                interval=None if interval is None else (x(interval.low), x(interval.high)),
                value=percent(f1.mean, f1.sd),
            )
        )
    return Bars(_WIDTH, len(rows) * step, left, ticks, bars)


def by_context(runs: Sequence[Evaluation]) -> Chart:
    """Weighted F1 of runs on test with all their modalities, by context."""
    by_run = {
        evaluation.run: {
            name: by_subset[modality_set_name(evaluation.modalities)]
            for name, by_subset in evaluation.splits["test"].items()
        }
        for evaluation in runs
    }
    names = {name for by_name in by_run.values() for name in by_name}
    windows = sorted((name for name in names if name != "as_trained"), key=_window_size)
    labels = {name: f"last {_window_size(name)}" for name in windows} | {"as_trained": "as trained"}
    return _chart(by_run, labels)


def by_modalities(runs: Sequence[Evaluation]) -> Chart:
    """Weighted F1 of runs on test, as trained, by set of modalities."""
    by_run = {evaluation.run: evaluation.splits["test"]["as_trained"] for evaluation in runs}
    return _chart(by_run, {name: name for by_name in by_run.values() for name in by_name})


def reliability(evaluation: Evaluation) -> Diagram:
    """The reliability diagram of a run on test, as trained, with all its modalities."""
    size = 210.0
    test = evaluation.test

    def circles(bins: Sequence[Bin]) -> list[tuple[float, float, float]]:
        total = sum(part.count for part in bins)
        return [
            (
                round(part.confidence * size, 1),
                round((1 - part.accuracy) * size, 1),
                round(2 + 16 * math.sqrt(part.count / total), 1),
            )
            for part in bins
            if part.count
        ]

    return Diagram(
        evaluation.run,
        size,
        circles(test.reliability_before),
        circles(test.reliability_after),
        percent(test.ece_uncalibrated.mean, test.ece_uncalibrated.sd),
        percent(test.ece.mean, test.ece.sd),
    )


def percent(mean: float, sd: float | None = None, sign: str = "") -> str:
    """A share and its standard deviation in percent, to two digits; `sign="+"` shows the sign."""
    return f"{100 * mean:{sign}z.2f}" + ("" if sd is None else f" ± {100 * sd:.2f}")


def _chart(by_run: Mapping[str, Mapping[str, Figures]], labels: Mapping[str, str]) -> Chart:
    """The chart of runs by category; `labels` are by category, and a run may lack categories."""
    width, height, left = 560.0, 260.0, 44.0
    ends = [
        figure.mean + sign * (figure.sd or 0)
        for by_name in by_run.values()
        for name in labels
        if name in by_name
        for figure in [by_name[name].weighted_f1]
        for sign in (-1, 1)
    ]
    low, high, ticks = _scale(ends, height - 10, 10)
    column = (width - left) / len(labels)
    centres = {name: left + (index + 0.5) * column for index, name in enumerate(labels)}
    spacing = min(16.0, column * 0.7 / len(by_run))
    series = []
    for index, (run, by_name) in enumerate(by_run.items()):
        offset = (index - (len(by_run) - 1) / 2) * spacing
        categories = [name for name in labels if name in by_name]
        dots = []
        for name in categories:
            mean, sd = by_name[name].weighted_f1.mean, by_name[name].weighted_f1.sd
            y, top, bottom = (
                _position(100 * value, low, high, height - 10, 10)
                for value in (mean, mean + (sd or 0), mean - (sd or 0))
            )
            tip = f"{run}, {labels[name]}: {percent(mean, sd)}"
            dots.append(Dot(round(centres[name] + offset, 1), y, top, bottom, tip))
        line = " ".join(
            f"{dot.x},{dot.y}"
            for name, dot in zip(categories, dots, strict=True)
            if name != "as_trained"
        )
        series.append(Series(run, index % COLOURS, dots, line))
    columns = [(round(centres[name], 1), label.split("+")) for name, label in labels.items()]
    return Chart(width, height, left, ticks, columns, series)


def _ends(row: ModelRow) -> list[float]:
    """The lowest and highest values of a row: those of one standard deviation, and the interval."""
    sd = row.weighted_f1.sd or 0.0
    ends = [row.weighted_f1.mean - sd, row.weighted_f1.mean + sd]
    return ends if row.interval is None else [*ends, row.interval.low, row.interval.high]


def _scale(ends: Sequence[float], start: float, stop: float) -> tuple[float, float, list[Tick]]:
    """A range in percent that holds all ends (shares from 0 to 1), and its ticks."""
    least, most = 100 * min(ends), 100 * max(ends)
    step = next((s for s in (1, 2, 5, 10, 20) if (most - least) / s <= 8), 20)
    low, high = math.floor(least / step) * step, math.ceil(most / step) * step
    high = max(high, low + step)
    values = range(low, high + 1, step)
    return low, high, [Tick(_position(v, low, high, start, stop), str(v)) for v in values]


def _position(value: float, low: float, high: float, start: float, stop: float) -> float:
    return round(start + (value - low) / (high - low) * (stop - start), 1)


def _window_size(context: str) -> int:
    """The window of a context in utterances, by its name (`train.scoring.measure.context_name`)."""
    return int(context.removeprefix("buffer_"))
