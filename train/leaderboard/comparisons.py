"""Runs that differ in nothing but what balances the modalities, or in nothing but the network."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gscon_live.train.balance import PUBLISHED
from gscon_live.train.balance.old_settings import modern
from gscon_live.train.scoring.figures import Evaluation
from gscon_live.train.scoring.significance import (
    Difference,
    PairedTest,
    System,
    by_dialogue,
    false_discoveries,
    paired_over_dialogues,
    paired_over_seeds,
    system,
)

#: Fields of a recipe that a network is published with.
_PUBLISHED_WITH = ("plugins", "scaled")
#: Those in which the two runs of an ablation may differ.
ABLATED = (*_PUBLISHED_WITH, "alone")
#: Plug-ins of which more is told than that they are there: how much they weigh.
_WEIGHED = ("gdc", "ssc")
_WEIGHTS = (*_WEIGHED, "alone")
_OF_NO_ACCOUNT = ("name", "seeds", "first_seed", "ship")
#: Further ones in which two networks may differ that are compared as they were published.
NETWORK = ("model", "options")
#: The word for a run that nothing balances.
NONE = "none"


class Comparison(msgspec.Struct, frozen=True):
    """Two runs that differ in nothing but what balances the modalities (the second has all that
    the first has, and more), or in nothing but the network, each as it was published: weighted F1
    of the second minus the first, over seeds that both have and over dialogues.

    `q` is the share of false ones to expect among all comparisons of the board that are called
    different if this one is, by the larger p of the two: a difference that another seed or other
    dialogues might undo counts as none. None where there is no p over seeds.
    """

    corpus: str
    first: str
    second: str
    changed: str
    seeds: list[int]
    over_seeds: PairedTest
    over_dialogues: Difference
    q: float | None = None


def comparisons(evaluations: Sequence[Evaluation]) -> list[Comparison]:
    """All pairs of runs of one recipe in which the second only adds to what balances the first;
    and GSCon against every other network of one recipe, each as it was published."""
    pairs, systems = [], _Systems()
    for group in alike(evaluations, ABLATED):
        group.sort(key=lambda one: (len(_added(one)), sum(_weights(one)), _weights(one)))
        for first, second in combinations(group, 2):
            if _less(first, second):
                pairs.append(_compared(first, second, _changed(first, second), systems))
    for group in alike(evaluations, (*_PUBLISHED_WITH, *NETWORK)):
        published = {one.network: one for one in group if _as_published(one)}
        if ours := published.pop("gscon", None):
            for name, one in sorted(published.items()):
                pairs.append(_compared(ours, one, f"gscon → {name}", systems))
    return _with_q([pair for pair in pairs if pair is not None])


def balance(evaluation: Evaluation) -> str:
    """The consistency losses and plug-ins of a run, in words; `alone` where some dialogues came
    once more with one modality alone."""
    updates = " (updates)" if evaluation.recipe.get("scaled") == "update" else ""
    return " + ".join(_added(evaluation)) + updates or NONE


def alike(evaluations: Sequence[Evaluation], differ: Sequence[str]) -> list[list[Evaluation]]:
    """Runs that have everything in common but these fields of their recipes."""
    groups: dict[bytes, list[Evaluation]] = {}
    for one in evaluations:
        ignored = (*differ, *_OF_NO_ACCOUNT)
        common: Mapping[str, Any] = {
            "recipe": {key: value for key, value in _recipe(one).items() if key not in ignored},
            "corpus": one.corpus,
            "labels": one.answers.labels,
        }
        key = msgspec.json.encode(common, order="deterministic")
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def _recipe(evaluation: Evaluation) -> dict[str, Any]:
    """The recipe of a run, whichever version wrote it."""
    return modern(evaluation.recipe)


def _weights(evaluation: Evaluation) -> tuple[float, ...]:
    """The weights of GDC and SSC, 0 where they are not, and the share of dialogues that came once
    more with one modality alone."""
    recipe = _recipe(evaluation)
    plugins = recipe.get("plugins") or {}
    weights = [plugins.get(name, {}).get("weight", 0) for name in _WEIGHED]
    return tuple(float(weight or 0) for weight in (*weights, recipe.get("alone")))


def _plugins(evaluation: Evaluation) -> dict[str, Any]:
    """The plug-ins of a run with their settings but for the weights that are told; and with what
    is scaled, where they may scale it."""
    recipe = _recipe(evaluation)
    scaled = recipe.get("scaled", "gradient")
    return {
        name: {**values, "weight": None} if name in _WEIGHED else (scaled, values)
        for name, values in (recipe.get("plugins") or {}).items()
    }


def _others(evaluation: Evaluation) -> list[str]:
    """The plug-ins of which nothing is told but that they are there."""
    return [name for name in _plugins(evaluation) if name not in _WEIGHED]


def _added(evaluation: Evaluation) -> list[str]:
    """All that balances a run, by name."""
    weighed = zip(_WEIGHTS, _weights(evaluation), strict=True)
    return [*(name for name, weight in weighed if weight), *_others(evaluation)]


def _less(first: Evaluation, second: Evaluation) -> bool:
    """Whether the second run has all that balances the first, and more."""
    mine, theirs = _plugins(first), _plugins(second)
    lighter = all(a <= b for a, b in zip(_weights(first), _weights(second), strict=True))
    within = all(theirs.get(name) == value for name, value in mine.items())
    return lighter and within and (mine, _weights(first)) != (theirs, _weights(second))


def _as_published(evaluation: Evaluation) -> bool:
    """Whether nothing else balances a run than what its network was published with; but for
    modalities alone, which all networks may see."""
    own = {*PUBLISHED.get(evaluation.network, ())}
    scales_gradients = evaluation.recipe.get("scaled", "gradient") == "gradient"
    return scales_gradients and {*_added(evaluation)} - {"alone"} == own


def _changed(first: Evaluation, second: Evaluation) -> str:
    """What the second run has more, in words."""
    changed = [
        f"{name} {before:g} → {after:g}"
        for name, before, after in zip(_WEIGHTS, _weights(first), _weights(second), strict=True)
        if before != after
    ]
    updates = " (updates)" if second.recipe.get("scaled") == "update" else ""
    changed += [f"+ {name}{updates}" for name in _others(second) if name not in _plugins(first)]
    return ", ".join(changed)


class _Systems:
    """The runs as systems, each resampled once for the many comparisons that it is in."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str, tuple[int, ...]], System] = {}

    def of(self, evaluation: Evaluation, seeds: Sequence[int]) -> System:
        """A run with these of its seeds."""
        key = evaluation.corpus, evaluation.run, tuple(seeds)
        if key not in self._made:
            self._made[key] = system(_confusions(evaluation, seeds))
        return self._made[key]


def _compared(
    first: Evaluation, second: Evaluation, changed: str, systems: _Systems
) -> Comparison | None:
    """None where no seed is in both."""
    seeds = [seed for seed in first.seeds if seed in second.seeds]
    if not seeds:
        return None
    values = [
        [one.test.weighted_f1.values[one.seeds.index(seed)] for seed in seeds]
        for one in (first, second)
    ]
    before, after = (systems.of(one, seeds) for one in (first, second))
    return Comparison(
        corpus=first.corpus,
        first=first.run,
        second=second.run,
        changed=changed,
        seeds=seeds,
        over_seeds=paired_over_seeds(*values),
        over_dialogues=paired_over_dialogues(before, after),
    )


def _confusions(evaluation: Evaluation, seeds: Sequence[int]) -> list[NDArray[np.int64]]:
    labels = [np.asarray(one) for one in evaluation.answers.labels]
    return [
        by_dialogue(
            [np.asarray(one) for one in evaluation.answers.by_seed[str(seed)]],
            labels,
            len(evaluation.labels),
        )
        for seed in seeds
    ]


def _with_q(made: Sequence[Comparison]) -> list[Comparison]:
    """The same, corrected for their number."""
    p = [
        None if one.over_seeds.p is None else max(one.over_seeds.p, one.over_dialogues.p)
        for one in made
    ]
    found = iter(false_discoveries([one for one in p if one is not None]))
    return [
        one if mine is None else msgspec.structs.replace(one, q=next(found))
        for one, mine in zip(made, p, strict=True)
    ]
