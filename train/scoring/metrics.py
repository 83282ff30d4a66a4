"""Metrics of a classifier: weighted F1, accuracy, macro F1, per class, calibration error."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray


class ClassScore(msgspec.Struct, frozen=True):
    """Scores of a class: precision, recall, F1, and how many examples have this label."""

    precision: float
    recall: float
    f1: float
    support: int


class Scores(msgspec.Struct, frozen=True):
    """Scores of a classifier on a set; all but the counts from 0 to 1.

    `macro_f1` and `balanced_accuracy` (mean recall) average over the classes that occur;
    `ece` is the expected calibration error of the most probable class in 15 equal bins.
    `confusion` counts examples by label (first index) and answer (second).
    """

    weighted_f1: float
    accuracy: float
    macro_f1: float
    balanced_accuracy: float
    ece: float
    count: int
    per_class: dict[str, ClassScore]
    confusion: list[list[int]]


class Bin(msgspec.Struct, frozen=True):
    """A bin of a reliability diagram: number of answers, mean confidence, accuracy (0 in an empty
    bin)."""

    count: int
    confidence: float
    accuracy: float


def score(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], classes: Sequence[str]
) -> Scores:
    """Scores probabilities [n, classes] against labels [n], n at least 1."""
    if probabilities.shape != (len(labels), len(classes)) or not len(labels):
        raise ValueError(
            f"expected probabilities [n, {len(classes)}] and labels [n] with n > 0, "
            f"got {list(probabilities.shape)} and {list(labels.shape)}"
        )
    confusion = confusion_matrix(probabilities.argmax(axis=1), labels, len(classes))
    hits = np.diag(confusion).astype(np.float64)
    support, answered = confusion.sum(axis=1), confusion.sum(axis=0)
    precision = np.divide(hits, answered, out=np.zeros_like(hits), where=answered > 0)
    recall = np.divide(hits, support, out=np.zeros_like(hits), where=support > 0)
    f1 = np.divide(2 * hits, support + answered, out=np.zeros_like(hits), where=hits > 0)
    occurs = support > 0
    return Scores(
        weighted_f1=float(weighted_f1(confusion)),
        accuracy=float(hits.sum() / support.sum()),
        macro_f1=float(f1[occurs].mean()),
        balanced_accuracy=float(recall[occurs].mean()),
        ece=calibration_error(probabilities, labels),
        count=len(labels),
        per_class={
            name: ClassScore(float(precision[i]), float(recall[i]), float(f1[i]), int(support[i]))
            for i, name in enumerate(classes)
        },
        confusion=confusion.tolist(),
    )


def confusion_matrix(
    answers: NDArray[np.integer], labels: NDArray[np.integer], classes: int
) -> NDArray[np.int64]:
    """Counts [classes, classes] by label (first index) and answer (second)."""
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, answers), 1)
    return confusion


def weighted_f1(confusion: NDArray[np.number]) -> NDArray[np.float64]:
    """The F1 of the classes, weighted by their number of labels, [...].

    `confusion` are matrices [..., classes, classes], none of them empty.
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1).astype(np.float64)
    support, answered = confusion.sum(axis=-1), confusion.sum(axis=-2)
    f1 = np.divide(2 * hits, support + answered, out=np.zeros_like(hits), where=hits > 0)
    return np.asarray((f1 * support).sum(axis=-1) / support.sum(axis=-1), np.float64)


def reliability(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], bins: int = 15
) -> list[Bin]:
    """The reliability diagram: accuracy by confidence, in equal bins of confidence from 0 to 1."""
    confidence, correct, bin_index = _confidence_bins(probabilities, labels, bins)
    counts = np.bincount(bin_index, minlength=bins)
    confidences = np.bincount(bin_index, confidence, bins)
    hits = np.bincount(bin_index, correct, bins)
    return [
        Bin(int(n), float(c / max(n, 1)), float(h / max(n, 1)))
        for n, c, h in zip(counts, confidences, hits, strict=True)
    ]


def calibration_error(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    bins: int = 15,
    sample_weights: NDArray[np.floating] | None = None,
) -> float:
    """Expected calibration error (Guo et al. 2017): the mean distance between confidence and
    accuracy over equal bins. `sample_weights` are [n]; None: all equal."""
    confidence, correct, bin_index = _confidence_bins(probabilities, labels, bins)
    weights = np.ones(len(labels)) if sample_weights is None else sample_weights
    gaps = np.bincount(bin_index, weights * (correct - confidence), bins)
    return float(np.abs(gaps).sum() / weights.sum())


def _confidence_bins(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], bins: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Confidence of each answer, 1 where it is correct, and the index of its bin; [n] each."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    return confidence, correct, np.minimum((confidence * bins).astype(int), bins - 1)
