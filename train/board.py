"""The leaderboard's content: runs beside published figures, and paired comparisons of ablations.

All figures are from 0 to 1 and of the test split.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.checkpoint import presence
from train.figures import Evaluation, Figure
from train.published import Published, Selection
from train.uncertainty import (
    Difference,
    Interval,
    PairedTest,
    by_dialogue,
    paired_over_dialogues,
    paired_over_seeds,
)

#: Fields of a recipe in which the two runs of an ablation may differ.
_ABLATED = ("gdc", "ssc")
_OF_NO_ACCOUNT = ("name", "seeds", "first_seed", "ship")


class Spread(msgspec.Struct, frozen=True):
    """A mean and, where there are several trainings, its standard deviation."""

    mean: float
    sd: float | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One model on one corpus, as trained, with all its modalities; None for what is unknown.

    `validation` is the weighted F1 on the split of selection; `best_on_test` that of the best
    epoch on test, which is not to be compared with anything.
    """

    model: str
    corpus: str
    origin: Literal["run", "published"]
    context: str
    modalities: str
    selection: Selection
    seeds: int | None
    weighted_f1: Spread
    interval: Interval | None = None
    accuracy: Spread | None = None
    macro_f1: Spread | None = None
    ece: Spread | None = None
    validation: Spread | None = None
    best_on_test: Spread | None = None
    parameters: int | None = None
    training_seconds: Spread | None = None
    source: str = ""
    note: str = ""


class Comparison(msgspec.Struct, frozen=True):
    """Two runs that differ in nothing but the weights of the consistency losses: weighted F1 of
    the second minus the first, over seeds that both have and over dialogues."""

    corpus: str
    first: str
    second: str
    changed: str
    seeds: list[int]
    over_seeds: PairedTest
    over_dialogues: Difference


class Board(msgspec.Struct, frozen=True):
    """All rows, those of the runs first, and all comparisons."""

    rows: list[Row]
    comparisons: list[Comparison]


def board(evaluations: Sequence[Evaluation], others: Iterable[Published]) -> Board:
    """The leaderboard of some runs; of the published figures those on the same corpora.

    Runs are in the order of their validation scores, not of test.
    """
    ordered = sorted(evaluations, key=lambda one: -one.validation.weighted_f1.mean)
    corpora = {one.corpus for one in ordered}
    told = [
        _published(one, corpus) for one in others for corpus in sorted(corpora & one.scores.keys())
    ]
    return Board([_row(one) for one in ordered] + told, comparisons(ordered))


def comparisons(evaluations: Sequence[Evaluation]) -> list[Comparison]:
    """All pairs of runs of one recipe but for `gdc` and `ssc`; the lesser weights come first."""
    groups: dict[bytes, list[Evaluation]] = {}
    for one in evaluations:
        groups.setdefault(_alike(one), []).append(one)
    made = []
    for group in groups.values():
        group.sort(key=lambda one: (sum(_weights(one)), _weights(one)))
        for first, second in combinations(group, 2):
            seeds = [seed for seed in first.seeds if seed in second.seeds]
            if seeds and _weights(first) != _weights(second):
                made.append(_compared(first, second, seeds))
    return made


def context(made: Evaluation) -> str:
    """What a run's network sees, in the words of the published figures."""
    if made.mode == "full":
        return "full"
    return "past-only" if made.mode == "causal" else f"past-only, last {made.context}"


def _row(made: Evaluation) -> Row:
    test, best = made.test, made.best_on_test
    return Row(
        model=made.run,
        corpus=made.corpus,
        origin="run",
        context=context(made),
        modalities=presence(made.modalities),
        selection="validation",
        seeds=len(made.seeds),
        weighted_f1=_spread(test.weighted_f1),
        interval=test.interval,
        accuracy=_spread(test.accuracy),
        macro_f1=_spread(test.macro_f1),
        ece=_spread(test.ece),
        validation=_spread(made.validation.weighted_f1),
        best_on_test=_spread(best.weighted_f1) if best else None,
        parameters=made.parameters,
        training_seconds=_spread(made.training_seconds) if made.training_seconds else None,
        source=f"measured {made.created}, {made.machine}",
        note=f"{made.network}, {made.test.utterances} utterances in {made.test.dialogues} "
        "dialogues",
    )


def _published(told: Published, corpus: str) -> Row:
    score = told.scores[corpus]
    return Row(
        model=told.model,
        corpus=corpus,
        origin="published",
        context=told.context,
        modalities=told.modalities,
        selection=told.selection,
        seeds=told.seeds,
        weighted_f1=Spread(score.weighted_f1 / 100, None if score.sd is None else score.sd / 100),
        accuracy=None if score.accuracy is None else Spread(score.accuracy / 100),
        source=told.source,
        note=told.note,
    )


def _spread(figure: Figure) -> Spread:
    return Spread(figure.mean, figure.sd)


def _alike(made: Evaluation) -> bytes:
    """What two runs must have in common to be an ablation."""
    ignored = (*_ABLATED, *_OF_NO_ACCOUNT)
    recipe = {key: value for key, value in made.recipe.items() if key not in ignored}
    common: Mapping[str, Any] = {
        "recipe": recipe,
        "corpus": made.corpus,
        "labels": made.answers.labels,
    }
    return msgspec.json.encode(common, order="deterministic")


def _weights(made: Evaluation) -> tuple[float, ...]:
    return tuple(float(made.recipe.get(name) or 0) for name in _ABLATED)


def _compared(first: Evaluation, second: Evaluation, seeds: list[int]) -> Comparison:
    changed = [
        f"{name} {before:g} → {after:g}"
        for name, before, after in zip(_ABLATED, _weights(first), _weights(second), strict=True)
        if before != after
    ]
    values = [
        [one.test.weighted_f1.values[one.seeds.index(seed)] for seed in seeds]
        for one in (first, second)
    ]
    before, after = (_confusions(one, seeds) for one in (first, second))
    return Comparison(
        corpus=first.corpus,
        first=first.run,
        second=second.run,
        changed=", ".join(changed),
        seeds=seeds,
        over_seeds=paired_over_seeds(*values),
        over_dialogues=paired_over_dialogues(before, after),
    )


def _confusions(made: Evaluation, seeds: Sequence[int]) -> list[NDArray[np.int64]]:
    labels = [np.asarray(one) for one in made.answers.labels]
    return [
        by_dialogue(
            [np.asarray(one) for one in made.answers.by_seed[str(seed)]], labels, len(made.labels)
        )
        for seed in seeds
    ]
