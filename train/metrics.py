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
    """

    weighted_f1: float
    accuracy: float
    macro_f1: float
    balanced_accuracy: float
    ece: float
    count: int
    per_class: dict[str, ClassScore]


def score(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], classes: Sequence[str]
) -> Scores:
    """Scores probabilities [n, classes] against labels [n], n at least 1."""
    if probabilities.shape != (len(labels), len(classes)) or not len(labels):
        raise ValueError(
            f"expected probabilities [n, {len(classes)}] and labels [n] with n > 0, "
            f"got {list(probabilities.shape)} and {list(labels.shape)}"
        )
    answers = probabilities.argmax(axis=1)
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (labels, answers), 1)
    hits = np.diag(confusion).astype(np.float64)
    support, answered = confusion.sum(axis=1), confusion.sum(axis=0)
    precision = np.divide(hits, answered, out=np.zeros_like(hits), where=answered > 0)
    recall = np.divide(hits, support, out=np.zeros_like(hits), where=support > 0)
    f1 = np.divide(2 * hits, support + answered, out=np.zeros_like(hits), where=hits > 0)
    occurs = support > 0
    return Scores(
        weighted_f1=float((f1 * support).sum() / support.sum()),
        accuracy=float(hits.sum() / support.sum()),
        macro_f1=float(f1[occurs].mean()),
        balanced_accuracy=float(recall[occurs].mean()),
        ece=calibration_error(probabilities, labels),
        count=len(labels),
        per_class={
            name: ClassScore(float(precision[i]), float(recall[i]), float(f1[i]), int(support[i]))
            for i, name in enumerate(classes)
        },
    )


def calibration_error(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], bins: int = 15
) -> float:
    """Expected calibration error: how far confidence is from accuracy, averaged over equal bins."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    weight = np.bincount(place, minlength=bins)
    gap = np.bincount(place, right, bins) - np.bincount(place, confidence, bins)
    return float(np.abs(gap).sum() / weight.sum())
