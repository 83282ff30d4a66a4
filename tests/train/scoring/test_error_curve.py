"""A curve of errors is what was measured, and never rises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gscon_live.model.abstention import expected_error, is_curve
from gscon_live.train.scoring.error_curve import LEAST, error_curve


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(0, 3000), rate=st.floats(0, 1))
def test_it_is_a_curve_whatever_was_measured(seed: int, count: int, rate: float) -> None:
    random = np.random.default_rng(seed)
    curve = error_curve(random.random(count).round(2), random.random(count) < rate)
    assert is_curve(curve)
    assert bool(curve) == (count >= LEAST)


def test_it_finds_how_wrong_answers_are_at_each_confidence() -> None:
    random = np.random.default_rng(1)
    confidences = random.uniform(0.2, 1.0, 60_000)
    # Too sure by a fifth of what is left.
    wrong = random.random(60_000) < 1.2 * (1 - confidences)
    curve = error_curve(confidences, wrong)
    for confidence in (0.3, 0.5, 0.7, 0.9):
        expected = 1.2 * (1 - confidence)
        assert expected_error(confidence, curve) == pytest.approx(expected, abs=0.03)


def test_answers_count_by_their_weights() -> None:
    confidences = np.full(2 * LEAST, 0.5)
    wrong = np.arange(2 * LEAST) % 2 == 0
    weights = np.where(wrong, 3.0, 1.0)
    assert expected_error(0.5, error_curve(confidences, wrong, weights)) == pytest.approx(0.75)
