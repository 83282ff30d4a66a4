"""Scores on people whom no training met: accuracy and recall, calibration by confidence, and what
abstention would gain."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from gscon_live.model.labels import EMOTIONS
from gscon_live.train.scoring.metrics import Bin, reliability, score

#: The shares of the answers that are given, in a curve of risk against coverage.
COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)

#: Bins of confidence, each a tenth wide.
BINS = 10


class Abstention(msgspec.Struct, frozen=True):
    """A point of the curve of risk against coverage (El-Yaniv & Wiener 2010, On the Foundations of
    Noise-free Selective Classification): where only the `coverage` most confident answers are
    given, their least `confidence`, and `risk`, the share of them that is wrong."""

    coverage: float
    confidence: float
    risk: float


class StrangerScores(msgspec.Struct, frozen=True):
    """Scores of answers on one set; all but `count` and `by_confidence`'s counts from 0 to 1.

    `macro_recall` is the mean of the recalls of the emotions that occur (`recall`). `ece` is the
    expected calibration error in 15 bins. `answers` is the share of each emotion among the answers.
    `by_confidence` has ten bins. `abstention` is a curve; `area` is its mean risk.
    """

    count: int
    accuracy: float
    macro_recall: float
    ece: float
    confidence: float
    recall: dict[str, float]
    answers: dict[str, float]
    by_confidence: list[Bin]
    abstention: list[Abstention]
    area: float


def stranger_scores(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], among_labels: bool = False
) -> StrangerScores:
    """Scores probabilities [n, 7] against labels [n], n at least 1.

    Args:
        probabilities: in the order of `EMOTIONS`.
        labels: indices of `EMOTIONS`.
        among_labels: only the emotions that occur among the labels can be the answer: the
            probabilities are normalised over these. For corpora that lack an emotion.
    """
    if among_labels:
        occurs = np.bincount(labels, minlength=len(EMOTIONS)) > 0
        probabilities = np.where(occurs, probabilities, 0.0)
        probabilities = probabilities / probabilities.sum(1, keepdims=True)
    scores = score(probabilities, labels, EMOTIONS)
    answered = np.bincount(probabilities.argmax(1), minlength=len(EMOTIONS)) / len(labels)
    curve = risk_coverage(probabilities, labels)
    return StrangerScores(
        count=scores.count,
        accuracy=scores.accuracy,
        macro_recall=scores.balanced_accuracy,
        ece=scores.ece,
        confidence=float(probabilities.max(1).mean()),
        recall={
            emotion: of_class.recall
            for emotion, of_class in scores.per_class.items()
            if of_class.support
        },
        answers=dict(zip(EMOTIONS, answered.tolist(), strict=True)),
        by_confidence=reliability(probabilities, labels, BINS),
        abstention=curve,
        area=float(np.mean([point.risk for point in curve])),
    )


def risk_coverage(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    coverages: Sequence[float] = COVERAGES,
) -> list[Abstention]:
    """The curve of risk against coverage of probabilities [n, classes] and labels [n], n at least
    1. A coverage gives at least one answer; equally confident answers count by their order."""
    confidence = probabilities.max(1)
    wrong = probabilities.argmax(1) != labels
    order = np.argsort(-confidence, kind="stable")
    points = []
    for coverage in coverages:
        answered = order[: max(1, round(coverage * len(labels)))]
        points.append(
            Abstention(coverage, float(confidence[answered[-1]]), float(wrong[answered].mean()))
        )
    return points


def at_prior(
    probabilities: NDArray[np.floating],
    model_prior: NDArray[np.floating],
    prior: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Probabilities [n, classes] of a classifier whose training had the class frequencies
    `model_prior` [classes], for a place with the frequencies `prior` [classes] (Saerens et al.
    2002, Adjusting the Outputs of a Classifier to New a Priori Probabilities)."""
    adjusted = probabilities * (prior / model_prior)
    return np.asarray(adjusted / adjusted.sum(1, keepdims=True), np.float64)
