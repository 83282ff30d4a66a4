"""What a classifier is worth: weighted F1, accuracy, macro F1, per class, calibration error."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray


class ClassScore(msgspec.Struct, frozen=True):
    """One class: precision, recall, F1, and how many rows have this label."""

    precision: float
    recall: float
    f1: float
    support: int


class Scores(msgspec.Struct, frozen=True):
    """Scores of one classifier on one set; all but the counts from 0 to 1.

    `macro_f1` and `balanced_accuracy` (mean recall) average over the classes that occur;
    `ece` is the expected calibration error of the most probable class in 15 equal bins.
    `confusion` counts rows by label (first index) and answer (second).
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
    """One bin of a reliability diagram: how many rows, their mean confidence and accuracy (0 where
    there are none)."""

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
    """Counts [classes, classes] of rows by label (first index) and answer (second)."""
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, answers), 1)
    return confusion


def weighted_f1(confusion: NDArray[np.number]) -> NDArray[np.float64]:
    """The F1 of every class, weighted by how often it is the label.

    Of confusion matrices [..., classes, classes], each with at least one row; gives [...].
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1).astype(np.float64)
    support, answered = confusion.sum(axis=-1), confusion.sum(axis=-2)
    f1 = np.divide(2 * hits, support + answered, out=np.zeros_like(hits), where=hits > 0)
    return np.asarray((f1 * support).sum(axis=-1) / support.sum(axis=-1), np.float64)


def reliability(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], bins: int = 15
) -> list[Bin]:
    """How right the answers are by how sure they are, in equal bins of confidence from 0 to 1."""
    confidence, right, place = _binned(probabilities, labels, bins)
    count = np.bincount(place, minlength=bins)
    sure, hits = np.bincount(place, confidence, bins), np.bincount(place, right, bins)
    return [
        Bin(int(n), float(s / max(n, 1)), float(h / max(n, 1)))
        for n, s, h in zip(count, sure, hits, strict=True)
    ]


def calibration_error(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    bins: int = 15,
    counts: NDArray[np.floating] | None = None,
) -> float:
    """Expected calibration error: how far confidence is from accuracy, averaged over equal bins.
    `counts` [n] is how much each answer counts; None: all the same."""
    confidence, right, place = _binned(probabilities, labels, bins)
    each = np.ones(len(labels)) if counts is None else counts
    gaps = np.bincount(place, each * (right - confidence), bins)
    return float(np.abs(gaps).sum() / each.sum())


def _binned(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], bins: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Of each answer its confidence, 1 where it is right, and its bin of confidence."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    return confidence, right, np.minimum((confidence * bins).astype(int), bins - 1)
