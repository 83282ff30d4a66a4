"""The leaderboard's plots as places on a picture, in pixels; the template draws them."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gscon_live.model.checkpoint import modality_set_name
from gscon_live.train.leaderboard.board import ModelRow
from gscon_live.train.scoring.evaluation import Evaluation, Figures
from gscon_live.train.scoring.metrics import Bin

#: How many series are told apart by colour.
COLOURS = 7

_WIDTH = 900.0


class Tick(NamedTuple):
    at: float
    label: str


class Bar(NamedTuple):
    """One row of the comparison of models: the mean at `x`, one standard deviation to either side
    (`sd`), and the interval over dialogues; empty where unknown."""

    y: float
    label: str
    css: str
    x: float
    sd: tuple[float, float] | None
    interval: tuple[float, float] | None
    value: str


class Bars(NamedTuple):
    width: float
    height: float
    left: float
    ticks: list[Tick]
    bars: list[Bar]


class Dot(NamedTuple):
    """A mean, and one standard deviation above and below it."""

    x: float
    y: float
    top: float
    bottom: float
    tip: str


class Series(NamedTuple):
    """One run; `line` joins its dots, but for those as trained, which are no window."""

    name: str
    colour: int
    dots: list[Dot]
    line: str


class Chart(NamedTuple):
    """Weighted F1 (upwards) of several runs in several categories (sidewards), which are named in
    as many lines as they have parts."""

    width: float
    height: float
    left: float
    ticks: list[Tick]
    categories: list[tuple[float, list[str]]]
    series: list[Series]


class Diagram(NamedTuple):
    """Accuracy (upwards) by confidence of one run, in a square: circles as large as the share of
    the answers, without and with temperature."""

    name: str
    size: float
    before: list[tuple[float, float, float]]
    after: list[tuple[float, float, float]]
    ece_before: str
    ece_after: str


def bars(rows: Sequence[ModelRow]) -> Bars:
    """Weighted F1 of models, one below the other, in percent."""
    left, right, step = 250.0, 130.0, 22.0
    ends = [end for row in rows for end in _ends(row)]
    low, high, ticks = _scale(ends, left, _WIDTH - right)

    def place(value: float) -> float:
        return _place(100 * value, low, high, left, _WIDTH - right)

    made = []
    for number, row in enumerate(rows):
        f1, around = row.weighted_f1, row.interval
        made.append(
            Bar(
                y=round((number + 0.5) * step, 1),
                label=row.model,
                css="run" if row.origin == "run" else row.selection,
                x=place(f1.mean),
                sd=None if f1.sd is None else (place(f1.mean - f1.sd), place(f1.mean + f1.sd)),
                interval=None if around is None else (place(around.low), place(around.high)),
                value=percent(f1.mean, f1.sd),
            )
        )
    return Bars(_WIDTH, len(rows) * step, left, ticks, made)


def by_context(runs: Sequence[Evaluation]) -> Chart:
    """Weighted F1 of runs on test with all their modalities, by how much they may see."""
    found = {
        one.run: {
            name: by_subset[modality_set_name(one.modalities)]
            for name, by_subset in one.splits["test"].items()
        }
        for one in runs
    }
    names = {name for by_name in found.values() for name in by_name}
    windows = sorted((name for name in names if name != "as_trained"), key=_size)
    labels = {name: f"last {_size(name)}" for name in windows} | {"as_trained": "as trained"}
    return _chart(found, labels)


def by_modalities(runs: Sequence[Evaluation]) -> Chart:
    """Weighted F1 of runs on test, as trained, by the modalities that are there."""
    found = {one.run: one.splits["test"]["as_trained"] for one in runs}
    return _chart(found, {name: name for by_name in found.values() for name in by_name})


def reliability(made: Evaluation) -> Diagram:
    """The reliability diagram of a run on test, as trained, with all its modalities."""
    size = 210.0
    test = made.test

    def circles(bins: Sequence[Bin]) -> list[tuple[float, float, float]]:
        total = sum(one.count for one in bins)
        return [
            (
                round(one.confidence * size, 1),
                round((1 - one.accuracy) * size, 1),
                round(2 + 16 * math.sqrt(one.count / total), 1),
            )
            for one in bins
            if one.count
        ]

    return Diagram(
        made.run,
        size,
        circles(test.reliability_before),
        circles(test.reliability_after),
        percent(test.ece_uncalibrated.mean, test.ece_uncalibrated.sd),
        percent(test.ece.mean, test.ece.sd),
    )


def percent(mean: float, sd: float | None = None, sign: str = "") -> str:
    """A share and its deviation in percent, to two digits; `sign` "+" shows that of a gain."""
    return f"{100 * mean:{sign}z.2f}" + ("" if sd is None else f" ± {100 * sd:.2f}")


def _chart(found: Mapping[str, Mapping[str, Figures]], labels: Mapping[str, str]) -> Chart:
    """Runs in the categories that `labels` names; a run may lack some."""
    width, height, left = 560.0, 260.0, 44.0
    ends = [
        figure.mean + sign * (figure.sd or 0)
        for by_name in found.values()
        for name in labels
        if name in by_name
        for figure in [by_name[name].weighted_f1]
        for sign in (-1, 1)
    ]
    low, high, ticks = _scale(ends, height - 10, 10)
    column = (width - left) / len(labels)
    centres = {name: left + (place + 0.5) * column for place, name in enumerate(labels)}
    apart = min(16.0, column * 0.7 / len(found))
    series = []
    for number, (run, by_name) in enumerate(found.items()):
        aside = (number - (len(found) - 1) / 2) * apart
        here = [name for name in labels if name in by_name]
        dots = []
        for name in here:
            mean, sd = by_name[name].weighted_f1.mean, by_name[name].weighted_f1.sd
            y, top, bottom = (
                _place(100 * value, low, high, height - 10, 10)
                for value in (mean, mean + (sd or 0), mean - (sd or 0))
            )
            tip = f"{run}, {labels[name]}: {percent(mean, sd)}"
            dots.append(Dot(round(centres[name] + aside, 1), y, top, bottom, tip))
        line = " ".join(
            f"{dot.x},{dot.y}" for name, dot in zip(here, dots, strict=True) if name != "as_trained"
        )
        series.append(Series(run, number % COLOURS, dots, line))
    columns = [(round(centres[name], 1), label.split("+")) for name, label in labels.items()]
    return Chart(width, height, left, ticks, columns, series)


def _ends(row: ModelRow) -> list[float]:
    """How far a row reaches to either side."""
    sd = row.weighted_f1.sd or 0.0
    found = [row.weighted_f1.mean - sd, row.weighted_f1.mean + sd]
    return found if row.interval is None else [*found, row.interval.low, row.interval.high]


def _scale(ends: Sequence[float], start: float, stop: float) -> tuple[float, float, list[Tick]]:
    """A range in percent that holds all ends, and round numbers in it at their places."""
    least, most = 100 * min(ends), 100 * max(ends)
    step = next((s for s in (1, 2, 5, 10, 20) if (most - least) / s <= 8), 20)
    low, high = math.floor(least / step) * step, math.ceil(most / step) * step
    high = max(high, low + step)
    values = range(low, high + 1, step)
    return low, high, [Tick(_place(v, low, high, start, stop), str(v)) for v in values]


def _place(value: float, low: float, high: float, start: float, stop: float) -> float:
    return round(start + (value - low) / (high - low) * (stop - start), 1)


def _size(context: str) -> int:
    """Utterances in the window of a context of that name."""
    return int(context.removeprefix("buffer_"))
