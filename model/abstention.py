"""Expected error: how likely an answer is wrong, by its confidence."""

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np


class ErrorPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A point of a measured curve: of the answers with this `confidence`, the share `error` was
    wrong; both from 0 to 1."""

    confidence: float
    error: float


def expected_error(confidence: float, curve: Sequence[ErrorPoint] = ()) -> float:
    """The expected error of an answer, from 0 to 1.

    Without a curve it is `1 - confidence`, as it is for a perfectly calibrated model. With one it
    is read from the curve: between two points on the line that joins them, beyond the first and the
    last point as at that point. More confidence never means more expected error.

    Args:
        confidence: calibrated probability of the answer, from 0 to 1.
        curve: points for which `is_curve` is true.
    """
    if not curve:
        return 1 - confidence
    confidences, errors = [p.confidence for p in curve], [p.error for p in curve]
    return float(np.interp(confidence, confidences, errors))


def is_curve(points: Sequence[ErrorPoint]) -> bool:
    """Whether all numbers are from 0 to 1, the confidences grow, and the errors never do. No points
    at all are a curve too."""
    numbers = [number for p in points for number in (p.confidence, p.error)]
    return all(0 <= number <= 1 for number in numbers) and all(
        before.confidence < after.confidence and before.error >= after.error
        for before, after in pairwise(points)
    )
