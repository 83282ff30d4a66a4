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
from train.balance import PUBLISHED
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
_WEIGHTS = ("gdc", "ssc")
_ABLATED = (*_WEIGHTS, "plugins", "scaled")
_OF_NO_ACCOUNT = ("name", "seeds", "first_seed", "ship")
#: Further ones in which two networks may differ that are compared as they were published.
_NETWORK = ("model", "options")


class Spread(msgspec.Struct, frozen=True):
    """A mean and, where there are several trainings, its standard deviation."""

    mean: float
    sd: float | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One model on one corpus, as trained, with all its modalities; None for what is unknown.

    `network` and `balance` say what was trained, and with which consistency losses and plug-ins;
    `answer_ms` is the processor time of one answer, see `train.figures.Evaluation`. `alone` is the
    weighted F1 by the modality that is there, all others missing, where there are several.
    `validation` is the weighted F1 on the split of selection; `best_on_test` that of the best epoch
    on test, which is not to be compared with anything.
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
    alone: dict[str, Spread] = {}
    validation: Spread | None = None
    best_on_test: Spread | None = None
    network: str = ""
    balance: str = ""
    parameters: int | None = None
    answer_ms: float | None = None
    training_seconds: Spread | None = None
    source: str = ""
    note: str = ""


class Comparison(msgspec.Struct, frozen=True):
    """Two runs that differ in nothing but what balances the modalities (the second has all that
    the first has, and more), or in nothing but the network, each as it was published: weighted F1
    of the second minus the first, over seeds that both have and over dialogues."""

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
    """All pairs of runs of one recipe in which the second only adds to what balances the first;
    and GSCon against every other network of one recipe, each as it was published."""
    made = []
    for group in _groups(evaluations, _ABLATED):
        group.sort(key=lambda one: (len(_added(one)), sum(_weights(one)), _weights(one)))
        for first, second in combinations(group, 2):
            if _less(first, second):
                made.append(_compared(first, second, _changed(first, second)))
    for group in _groups(evaluations, (*_ABLATED, *_NETWORK)):
        published = {one.network: one for one in group if _as_published(one)}
        if ours := published.pop("gscon", None):
            for name, one in sorted(published.items()):
                made.append(_compared(ours, one, f"gscon → {name}"))
    return [one for one in made if one is not None]


def balance(made: Evaluation) -> str:
    """The consistency losses and plug-ins of a run, in words; `alone` where some dialogues came
    once more with one modality alone."""
    updates = " (updates)" if made.recipe.get("scaled") == "update" else ""
    alone = ["alone"] if made.recipe.get("alone") else []
    return " + ".join([*_added(made), *alone]) + updates or "none"


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
        alone=_alone(made),
        validation=_spread(made.validation.weighted_f1),
        best_on_test=_spread(best.weighted_f1) if best else None,
        network=made.network,
        balance=balance(made),
        parameters=made.parameters,
        answer_ms=made.answer_ms,
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


def _alone(made: Evaluation) -> dict[str, Spread]:
    there = made.splits["test"]["as_trained"]
    several = made.modalities if len(made.modalities) > 1 else []
    return {m: _spread(there[presence((m,))].weighted_f1) for m in several}


def _spread(figure: Figure) -> Spread:
    return Spread(figure.mean, figure.sd)


def _groups(evaluations: Sequence[Evaluation], differ: Sequence[str]) -> list[list[Evaluation]]:
    """Runs that have everything in common but these fields of their recipes."""
    groups: dict[bytes, list[Evaluation]] = {}
    for one in evaluations:
        ignored = (*differ, *_OF_NO_ACCOUNT)
        common: Mapping[str, Any] = {
            "recipe": {key: value for key, value in one.recipe.items() if key not in ignored},
            "corpus": one.corpus,
            "labels": one.answers.labels,
        }
        key = msgspec.json.encode(common, order="deterministic")
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def _weights(made: Evaluation) -> tuple[float, ...]:
    return tuple(float(made.recipe.get(name) or 0) for name in _WEIGHTS)


def _plugins(made: Evaluation) -> dict[str, Any]:
    """The plug-ins of a run with their settings, and with what they scale."""
    scaled = made.recipe.get("scaled", "gradient")
    return {name: (scaled, value) for name, value in (made.recipe.get("plugins") or {}).items()}


def _added(made: Evaluation) -> list[str]:
    """All that balances a run, by name."""
    weighed = zip(_WEIGHTS, _weights(made), strict=True)
    return [*(name for name, weight in weighed if weight), *_plugins(made)]


def _less(first: Evaluation, second: Evaluation) -> bool:
    """Whether the second run has all that balances the first, and more."""
    mine, theirs = _plugins(first), _plugins(second)
    lighter = all(a <= b for a, b in zip(_weights(first), _weights(second), strict=True))
    within = all(theirs.get(name) == value for name, value in mine.items())
    return lighter and within and (mine, _weights(first)) != (theirs, _weights(second))


def _as_published(made: Evaluation) -> bool:
    own = {"gdc", "ssc"} if made.network == "gscon" else {*PUBLISHED.get(made.network, ())}
    return {*_added(made)} == own and made.recipe.get("scaled", "gradient") == "gradient"


def _changed(first: Evaluation, second: Evaluation) -> str:
    """What the second run has more, in words."""
    changed = [
        f"{name} {before:g} → {after:g}"
        for name, before, after in zip(_WEIGHTS, _weights(first), _weights(second), strict=True)
        if before != after
    ]
    updates = " (updates)" if second.recipe.get("scaled") == "update" else ""
    changed += [f"+ {name}{updates}" for name in _plugins(second) if name not in _plugins(first)]
    return ", ".join(changed)


def _compared(first: Evaluation, second: Evaluation, changed: str) -> Comparison | None:
    """None where no seed is in both."""
    seeds = [seed for seed in first.seeds if seed in second.seeds]
    if not seeds:
        return None
    values = [
        [one.test.weighted_f1.values[one.seeds.index(seed)] for seed in seeds]
        for one in (first, second)
    ]
    before, after = (_confusions(one, seeds) for one in (first, second))
    return Comparison(
        corpus=first.corpus,
        first=first.run,
        second=second.run,
        changed=changed,
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
