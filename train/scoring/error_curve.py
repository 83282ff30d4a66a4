"""The measured error of answers by their confidence, for abstention."""

import numpy as np
from numpy.typing import NDArray

from gscon_live.model.abstention import ErrorPoint

#: Answers in a point of the curve, at least: fewer would measure chance.
LEAST = 200
#: Points of a curve, at most.
_POINTS = 12


def error_curve(
    confidences: NDArray[np.floating],
    wrong: NDArray[np.bool_],
    weights: NDArray[np.floating] | None = None,
) -> list[ErrorPoint]:
    """The share of wrong answers by confidence, as a curve that never rises.

    The answers are sorted by confidence and put into groups of equal size. The groups' errors are
    made monotone by isotonic regression (Zadrozny & Elkan 2002, Transforming Classifier Scores into
    Accurate Multiclass Probability Estimates).

    Args:
        confidences: [n], from 0 to 1.
        wrong: [n].
        weights: of the answers, [n], above 0; None: all equal.

    Returns:
        Points for which `model.abstention.is_curve` holds; none for fewer than `LEAST` answers.
    """
    # Takes a second to import.
    from sklearn.isotonic import IsotonicRegression

    groups = min(_POINTS, len(confidences) // LEAST)
    if not groups:
        return []
    weights = np.ones(len(confidences)) if weights is None else weights
    parts = np.array_split(np.argsort(confidences, kind="stable"), groups)
    places = [np.average(confidences[part], weights=weights[part]) for part in parts]
    errors = [np.average(wrong[part], weights=weights[part]) for part in parts]
    sizes = [weights[part].sum() for part in parts]
    falling = IsotonicRegression(increasing=False).fit(places, errors, sizes).predict(places)
    rounded = {round(float(x), 4): round(float(y), 4) for x, y in zip(places, falling, strict=True)}
    return [ErrorPoint(confidence, error) for confidence, error in rounded.items()]
