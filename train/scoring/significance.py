"""How far a score may be from the truth: over the dialogues of a set, and over seeds.

Utterances of one dialogue are alike, so whole dialogues are drawn, with replacement (cluster
bootstrap; Efron & Tibshirani 1993). Scores are weighted F1. The dialogues that are drawn depend on
nothing but their number and the seed, so figures of two systems on one set are paired.
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
#: Of a comparison, whose p has to stand beside those of many others.
PAIRED_DRAWS = 10_000
_LEVEL = 0.95


class Interval(msgspec.Struct, frozen=True):
    """A 95 % interval."""

    low: float
    high: float


class Difference(msgspec.Struct, frozen=True):
    """Second minus first, its 95 % interval over dialogues, and two-sided p: twice the share of
    draws in which the sign is the rarer one, never below 2 / (draws + 1)."""

    mean: float
    interval: Interval
    p: float


class PairedTest(msgspec.Struct, frozen=True):
    """Second minus first over `n` seeds that both have: mean, standard deviation, and the 95 %
    interval and two-sided p of the paired t test; None where one seed or equal differences leave
    them undefined."""

    n: int
    mean: float
    sd: float | None
    interval: Interval | None
    p: float | None


def by_dialogue(
    answers: Sequence[NDArray[np.integer]], labels: Sequence[NDArray[np.integer]], classes: int
) -> NDArray[np.int64]:
    """Confusion matrices [dialogues, classes, classes] of answers and labels, each [N] by dialogue.

    Labels of -1 are not counted.
    """
    return np.stack(
        [
            confusion_matrix(answer[label >= 0], label[label >= 0], classes)
            for answer, label in zip(answers, labels, strict=True)
        ]
    )


def resampled(
    confusions: NDArray[np.integer], draws: int = DRAWS, seed: int = 0
) -> NDArray[np.float64]:
    """Weighted F1 [draws] of as many dialogues as there are, drawn with replacement.

    `confusions` is what `by_dialogue` gives; dialogues without any label do not count.
    """
    flat = confusions.reshape(len(confusions), -1)
    flat = flat[flat.any(axis=1)]
    if not len(flat):
        raise ValueError("no utterance has a label")
    # Whole numbers, but floats are multiplied many times as fast.
    drawn = _drawn(len(flat), draws, seed) @ flat.astype(np.float64)
    return weighted_f1(drawn.reshape(draws, *confusions.shape[1:]))


# The systems of a board are resampled one after another, on a set or two.
@lru_cache(maxsize=4)
def _drawn(count: int, draws: int, seed: int) -> NDArray[np.float64]:
    """How often each of so many dialogues is drawn, [draws, count]."""
    chance = np.full(count, 1 / count)
    found = np.random.default_rng(seed).multinomial(count, chance, draws)
    return found.astype(np.float64)


def interval(values: NDArray[np.floating]) -> Interval:
    """The percentile interval of resampled values."""
    low, high = np.quantile(values, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Interval(float(low), float(high))


class System(NamedTuple):
    """A system of one or several trainings on a set: the mean of their scores, and those of
    resampled dialogues."""

    mean: float
    draws: NDArray[np.float64]


def system(trainings: Sequence[NDArray[np.integer]], draws: int = PAIRED_DRAWS) -> System:
    """A system, given as the confusion matrices of its trainings (see `by_dialogue`)."""
    scores = [float(weighted_f1(one.sum(axis=0))) for one in trainings]
    return System(fmean(scores), np.mean([resampled(one, draws) for one in trainings], axis=0))


def paired_over_dialogues(first: System, second: System) -> Difference:
    """The difference of two systems on the same dialogues."""
    apart = second.draws - first.draws
    rarer = min(int((apart <= 0).sum()), int((apart >= 0).sum()))
    p = min(1.0, 2 * (rarer + 1) / (len(apart) + 1))
    return Difference(second.mean - first.mean, interval(apart), p)


def paired_over_seeds(first: Sequence[float], second: Sequence[float]) -> PairedTest:
    """The difference of two systems trained with the same seeds, given in the order of the seeds.

    It says what another seed might do on this test set, not what another test set might.
    """
    # Comes with the extra `train`; the rest of this module is wanted without it.
    from scipy import stats

    apart = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    count, mean = len(apart), float(apart.mean())
    if count < 2:
        return PairedTest(count, mean, None, None, None)
    sd = float(apart.std(ddof=1))
    if sd < 1e-12:
        return PairedTest(count, mean, sd, None, None)
    test = stats.ttest_1samp(apart, 0.0)
    bounds = test.confidence_interval(_LEVEL)
    return PairedTest(
        count, mean, sd, Interval(float(bounds.low), float(bounds.high)), float(test.pvalue)
    )


def false_discoveries(p: Sequence[float]) -> list[float]:
    """q by test: the share of false ones to expect among all tests that are called different if
    this one is (Benjamini & Hochberg 1995)."""
    # See `paired_over_seeds`.
    from scipy import stats

    found: list[float] = stats.false_discovery_control(p).tolist() if p else []
    return found
