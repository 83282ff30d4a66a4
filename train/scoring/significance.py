"""Confidence intervals and significance tests of weighted F1, over dialogues and over seeds.

Utterances of a dialogue are alike, so complete dialogues are drawn, with replacement (cluster
bootstrap; Efron & Tibshirani 1993). The draws depend only on the number of dialogues and the seed,
so that those of two systems on the same set are paired.
"""

from collections.abc import Sequence
from functools import lru_cache
from statistics import fmean
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from gscon_live.train.scoring.metrics import confusion_matrix, weighted_f1

DRAWS = 1000
#: Draws of a comparison: more, so that its p can be corrected for many comparisons.
PAIRED_DRAWS = 10_000
_LEVEL = 0.95


class Interval(msgspec.Struct, frozen=True):
    """A 95 % interval."""

    low: float
    high: float


class PairedBootstrap(msgspec.Struct, frozen=True):
    """Second minus first, its 95 % interval over dialogues, and the two-sided p of the paired
    bootstrap: twice the share of draws with the rarer sign, at least 2 / (draws + 1)."""

    mean: float
    interval: Interval
    p: float


class PairedTTest(msgspec.Struct, frozen=True):
    """Second minus first over the `n` seeds, or groups of seeds, that both have: mean, standard
    deviation, and the 95 % interval and two-sided p of the paired t test; None where they are
    undefined (a single one, or equal differences)."""

    n: int
    mean: float
    sd: float | None
    interval: Interval | None
    p: float | None


def confusions_by_dialogue(
    answers: Sequence[NDArray[np.integer]], labels: Sequence[NDArray[np.integer]], classes: int
) -> NDArray[np.int64]:
    """Confusion matrices [dialogues, classes, classes] of answers and labels, [N] by dialogue.

    Labels of -1 are not counted.
    """
    return np.stack(
        [
            confusion_matrix(answer[label >= 0], label[label >= 0], classes)
            for answer, label in zip(answers, labels, strict=True)
        ]
    )


def bootstrap_weighted_f1(
    confusions: NDArray[np.integer], draws: int = DRAWS, seed: int = 0
) -> NDArray[np.float64]:
    """Bootstrap values of weighted F1 [draws], over dialogues that are drawn with replacement.

    `confusions` are matrices by dialogue (see `confusions_by_dialogue`); dialogues without labels
    are left out.

    Raises:
        ValueError: no utterance has a label.
    """
    flat = confusions.reshape(len(confusions), -1)
    flat = flat[flat.any(axis=1)]
    if not len(flat):
        raise ValueError("no utterance has a label")
    # The counts are integers, but floats are multiplied many times as fast.
    sums = _draw_counts(len(flat), draws, seed) @ flat.astype(np.float64)
    return weighted_f1(sums.reshape(draws, *confusions.shape[1:]))


# A leaderboard resamples many systems on few test sets.
@lru_cache(maxsize=4)
def _draw_counts(count: int, draws: int, seed: int) -> NDArray[np.float64]:
    """How often each of `count` dialogues is drawn, [draws, count]."""
    chances = np.full(count, 1 / count)
    counts = np.random.default_rng(seed).multinomial(count, chances, draws)
    return counts.astype(np.float64)


def percentile_interval(values: NDArray[np.floating]) -> Interval:
    """The percentile interval of bootstrap values."""
    low, high = np.quantile(values, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Interval(float(low), float(high))


class System(NamedTuple):
    """The weighted F1 of a system on a set: the mean over its trainings (seeds), and the bootstrap
    values of this mean, [draws]."""

    mean: float
    draws: NDArray[np.float64]


def system(trainings: Sequence[NDArray[np.integer]], draws: int = PAIRED_DRAWS) -> System:
    """A system by the confusion matrices of its trainings (see `confusions_by_dialogue`)."""
    scores = [float(weighted_f1(confusions.sum(axis=0))) for confusions in trainings]
    values = [bootstrap_weighted_f1(confusions, draws) for confusions in trainings]
    return System(fmean(scores), np.mean(values, axis=0))


def paired_bootstrap(first: System, second: System) -> PairedBootstrap:
    """The paired bootstrap of two systems on the same dialogues."""
    differences = second.draws - first.draws
    rarer = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    p = min(1.0, 2 * (rarer + 1) / (len(differences) + 1))
    return PairedBootstrap(second.mean - first.mean, percentile_interval(differences), p)


def paired_t_test(
    first: Sequence[float], second: Sequence[float], groups: Sequence[int] | None = None
) -> PairedTTest:
    """The paired t test of two systems trained with the same seeds, in the order of the seeds.

    It covers the variation between seeds on this test set, not that between test sets. Seeds of the
    same group, in `groups`, share a part that was trained once, such as a text encoder. They are no
    independent trainings, so the means of the groups are tested.
    """
    # Comes with the extra `train`; the rest of this module works without it.
    from scipy import stats

    differences = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    if groups is not None:
        by_group = [differences[np.equal(groups, group)] for group in dict.fromkeys(groups)]
        differences = np.array([part.mean() for part in by_group])
    count, mean = len(differences), float(differences.mean())
    if count < 2:
        return PairedTTest(count, mean, None, None, None)
    sd = float(differences.std(ddof=1))
    if sd < 1e-12:
        return PairedTTest(count, mean, sd, None, None)
    test = stats.ttest_1samp(differences, 0.0)
    bounds = test.confidence_interval(_LEVEL)
    return PairedTTest(
        count, mean, sd, Interval(float(bounds.low), float(bounds.high)), float(test.pvalue)
    )


def false_discovery_rates(p: Sequence[float]) -> list[float]:
    """q values (Benjamini & Hochberg 1995), from the p values of several tests.

    The q of a test is the expected share of false discoveries if all tests with a q up to this
    value are called significant.
    """
    # See `paired_t_test`.
    from scipy import stats

    q: list[float] = stats.false_discovery_control(p).tolist() if p else []
    return q
