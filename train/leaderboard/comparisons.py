"""Paired comparisons of runs that differ only in modality balancing, or only in the network."""

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gscon_live.train.balance import PUBLISHED
from gscon_live.train.networks.recipe import ConversationRecipe, in_context, text_seed
from gscon_live.train.runs.run_folder import complete
from gscon_live.train.scoring.evaluation import Evaluation
from gscon_live.train.scoring.significance import (
    PairedBootstrap,
    PairedTTest,
    System,
    confusions_by_dialogue,
    false_discovery_rates,
    paired_bootstrap,
    paired_t_test,
    system,
)

#: Fields of a recipe that a network is published with.
_PUBLISHED_WITH = ("plugins", "scaled")
#: Fields in which the two runs of an ablation may differ.
ABLATION_FIELDS = (*_PUBLISHED_WITH, "alone")
#: Plug-ins whose weight is also compared.
_WEIGHTED_PLUGINS = ("gdc", "ssc")
_WEIGHT_NAMES = (*_WEIGHTED_PLUGINS, "alone")
#: Fields that make no difference to a comparison.
_IGNORED = ("name", "seeds", "first_seed", "ship")
#: Further fields in which two networks may differ that are compared as they were published.
NETWORK_FIELDS = ("model", "options")
#: The name of the balance of a run without balancing.
NO_BALANCE = "none"


class Comparison(msgspec.Struct, frozen=True):
    """Weighted F1 of a second run minus a first, over the seeds that both have and over dialogues.

    The runs differ only in balancing (the second has all losses and plug-ins of the first, and
    more), or only in the network, each as it was published. `over_seeds` tests the means of the
    seeds that share a text encoder: its `n` is the number of encoders where they do. `q` is the q
    value of the larger of the two p, among all comparisons of the leaderboard (see
    `false_discovery_rates`); None where there is no p over seeds.
    """

    corpus: str
    first: str
    second: str
    changed: str
    seeds: list[int]
    over_seeds: PairedTTest
    over_dialogues: PairedBootstrap
    q: float | None = None


def comparisons(evaluations: Sequence[Evaluation]) -> list[Comparison]:
    """All pairs of runs with the same recipe in which the second extends the balancing of the
    first; and GSCon against every other network with the same recipe, each as it was published."""
    pairs, systems = [], _Systems()
    for group in comparable_groups(evaluations, ABLATION_FIELDS):
        group.sort(key=_balance_order)
        for first, second in combinations(group, 2):
            if _extends(first, second):
                pairs.append(_compare(first, second, _difference_text(first, second), systems))
    for group in comparable_groups(evaluations, (*_PUBLISHED_WITH, *NETWORK_FIELDS)):
        published = sorted(filter(_as_published, group), key=lambda run: (run.network, run.run))
        for first, second in product(published, published):
            if first.network == "gscon" != second.network:
                pairs.append(_compare(first, second, f"gscon → {second.network}", systems))
    return _with_q([pair for pair in pairs if pair is not None])


def balance_name(evaluation: Evaluation) -> str:
    """The consistency losses and plug-ins of a run as text; `alone` where dialogues were also
    trained with a single modality."""
    updates = " (updates)" if evaluation.recipe.get("scaled") == "update" else ""
    return " + ".join(_balance_names(evaluation)) + updates or NO_BALANCE


def comparable_groups(
    evaluations: Sequence[Evaluation], differ: Sequence[str]
) -> list[list[Evaluation]]:
    """Groups of runs on the same data whose recipes differ at most in the fields `differ`."""
    groups: dict[bytes, list[Evaluation]] = {}
    for evaluation in evaluations:
        ignored = (*differ, *_IGNORED)
        common: Mapping[str, Any] = {
            "recipe": {
                field: value for field, value in _recipe(evaluation).items() if field not in ignored
            },
            "corpus": evaluation.corpus,
            "labels": evaluation.answers.labels,
        }
        key = msgspec.json.encode(common, order="deterministic")
        groups.setdefault(key, []).append(evaluation)
    return list(groups.values())


def _recipe(evaluation: Evaluation) -> dict[str, Any]:
    """The recipe of a run, whichever version wrote it."""
    return complete(evaluation.recipe, ConversationRecipe)


def _weights(evaluation: Evaluation) -> tuple[float, ...]:
    """The weights of GDC and SSC (0 where they are absent), and the share of dialogues that were
    also trained with a single modality."""
    recipe = _recipe(evaluation)
    plugins = recipe.get("plugins") or {}
    weights = [plugins.get(name, {}).get("weight", 0) for name in _WEIGHTED_PLUGINS]
    return tuple(float(weight or 0) for weight in (*weights, recipe.get("alone")))


def _plugin_settings(evaluation: Evaluation) -> dict[str, Any]:
    """The plug-ins of a run with their settings, without the weights that `_weights` gives; for
    other plug-ins also whether gradients or updates are scaled."""
    recipe = _recipe(evaluation)
    scaled = recipe.get("scaled", "gradient")
    return {
        name: {**values, "weight": None} if name in _WEIGHTED_PLUGINS else (scaled, values)
        for name, values in (recipe.get("plugins") or {}).items()
    }


def _unweighted_plugins(evaluation: Evaluation) -> list[str]:
    """The plug-ins of a run whose weights are not compared."""
    return [name for name in _plugin_settings(evaluation) if name not in _WEIGHTED_PLUGINS]


def _balance_names(evaluation: Evaluation) -> list[str]:
    """The names of all losses and plug-ins that balance a run."""
    weights = zip(_WEIGHT_NAMES, _weights(evaluation), strict=True)
    return [*(name for name, weight in weights if weight), *_unweighted_plugins(evaluation)]


def _balance_order(evaluation: Evaluation) -> tuple[int, float, tuple[float, ...]]:
    """Sorts runs by how many losses and plug-ins they have, then by weights."""
    weights = _weights(evaluation)
    return len(_balance_names(evaluation)), sum(weights), weights


def _extends(first: Evaluation, second: Evaluation) -> bool:
    """Whether the second run has all losses and plug-ins of the first, and more."""
    first_plugins, second_plugins = _plugin_settings(first), _plugin_settings(second)
    first_weights, second_weights = _weights(first), _weights(second)
    heavier = all(a <= b for a, b in zip(first_weights, second_weights, strict=True))
    superset = all(second_plugins.get(name) == value for name, value in first_plugins.items())
    differs = (first_plugins, first_weights) != (second_plugins, second_weights)
    return heavier and superset and differs


def _as_published(evaluation: Evaluation) -> bool:
    """Whether a run has the losses and plug-ins that its network was published with. Training with
    single modalities (`alone`) does not count: any network may have it."""
    published = {*PUBLISHED.get(evaluation.network, ())}
    scales_gradients = evaluation.recipe.get("scaled", "gradient") == "gradient"
    return scales_gradients and {*_balance_names(evaluation)} - {"alone"} == published


def _difference_text(first: Evaluation, second: Evaluation) -> str:
    """What the second run has in addition, as text."""
    changed = [
        f"{name} {before:g} → {after:g}"
        for name, before, after in zip(
            _WEIGHT_NAMES, _weights(first), _weights(second), strict=True
        )
        if before != after
    ]
    updates = " (updates)" if second.recipe.get("scaled") == "update" else ""
    present = _plugin_settings(first)
    changed += [f"+ {name}{updates}" for name in _unweighted_plugins(second) if name not in present]
    return ", ".join(changed)


class _Systems:
    """Runs with the bootstrap values of their scores, which many comparisons share."""

    def __init__(self) -> None:
        self._systems: dict[tuple[str, str, tuple[int, ...]], System] = {}

    def of(self, evaluation: Evaluation, seeds: Sequence[int]) -> System:
        """The system of a run with the given seeds."""
        key = evaluation.corpus, evaluation.run, tuple(seeds)
        if key not in self._systems:
            self._systems[key] = system(_confusions(evaluation, seeds))
        return self._systems[key]


def _compare(
    first: Evaluation, second: Evaluation, changed: str, systems: _Systems
) -> Comparison | None:
    """The comparison of two runs; None where they have no seed in common."""
    seeds = [seed for seed in first.seeds if seed in second.seeds]
    if not seeds:
        return None
    before, after = (
        [run.test.weighted_f1.values[run.seeds.index(seed)] for seed in seeds]
        for run in (first, second)
    )
    return Comparison(
        corpus=first.corpus,
        first=first.run,
        second=second.run,
        changed=changed,
        seeds=seeds,
        over_seeds=paired_t_test(before, after, _encoders(first, seeds)),
        over_dialogues=paired_bootstrap(systems.of(first, seeds), systems.of(second, seeds)),
    )


def _encoders(evaluation: Evaluation, seeds: Sequence[int]) -> list[int]:
    """The seed of the text encoder of each seed; the seeds themselves where they share none."""
    stored = _recipe(evaluation)
    # These alone are read: other keys may be of another version.
    read = ("modalities", "text", "text_seeds", "features")
    recipe = ConversationRecipe(**{name: stored[name] for name in read})
    return [text_seed(recipe, seed) for seed in seeds] if in_context(recipe) else [*seeds]


def _confusions(evaluation: Evaluation, seeds: Sequence[int]) -> list[NDArray[np.int64]]:
    labels = [np.asarray(dialogue) for dialogue in evaluation.answers.labels]
    return [
        confusions_by_dialogue(
            [np.asarray(dialogue) for dialogue in evaluation.answers.by_seed[str(seed)]],
            labels,
            len(evaluation.labels),
        )
        for seed in seeds
    ]


def _with_q(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons with their q values."""
    p_values = [
        None if pair.over_seeds.p is None else max(pair.over_seeds.p, pair.over_dialogues.p)
        for pair in comparisons
    ]
    q_values = iter(false_discovery_rates([p for p in p_values if p is not None]))
    return [
        pair if p is None else msgspec.structs.replace(pair, q=next(q_values))
        for pair, p in zip(comparisons, p_values, strict=True)
    ]
