"""Runs that differ in nothing but what balances the modalities, or in nothing but the network."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from train.balance import PUBLISHED
from train.figures import Evaluation
from train.uncertainty import (
    Difference,
    PairedTest,
    by_dialogue,
    paired_over_dialogues,
    paired_over_seeds,
)

#: Fields of a recipe in which the two runs of an ablation may differ.
_WEIGHTS = ("gdc", "ssc")
ABLATED = (*_WEIGHTS, "plugins", "scaled")
_OF_NO_ACCOUNT = ("name", "seeds", "first_seed", "ship")
#: Further ones in which two networks may differ that are compared as they were published.
NETWORK = ("model", "options")


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


def comparisons(evaluations: Sequence[Evaluation]) -> list[Comparison]:
    """All pairs of runs of one recipe in which the second only adds to what balances the first;
    and GSCon against every other network of one recipe, each as it was published."""
    made = []
    for group in alike(evaluations, ABLATED):
        group.sort(key=lambda one: (len(_added(one)), sum(_weights(one)), _weights(one)))
        for first, second in combinations(group, 2):
            if _less(first, second):
                made.append(_compared(first, second, _changed(first, second)))
    for group in alike(evaluations, (*ABLATED, *NETWORK)):
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


def alike(evaluations: Sequence[Evaluation], differ: Sequence[str]) -> list[list[Evaluation]]:
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
