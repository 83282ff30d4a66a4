"""The expected error falls with the confidence, and is what was measured where it was measured."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscon_live.model.abstention import ErrorPoint, expected_error, is_curve

shares = st.floats(0, 1)


@st.composite
def curves(draw: st.DrawFn) -> list[ErrorPoint]:
    confidences = sorted(draw(st.sets(st.integers(0, 1000), min_size=1, max_size=12)))
    errors = draw(st.lists(shares, min_size=len(confidences), max_size=len(confidences)))
    falling = sorted(errors, reverse=True)
    return [ErrorPoint(c / 1000, e) for c, e in zip(confidences, falling, strict=True)]


@given(shares)
def test_without_a_curve_it_is_what_is_left_to_certainty(confidence: float) -> None:
    assert expected_error(confidence) == 1 - confidence


@given(curves(), shares)
def test_it_is_from_zero_to_one(curve: list[ErrorPoint], confidence: float) -> None:
    assert is_curve(curve)
    error = expected_error(confidence, curve)
    assert curve[-1].error - 1e-12 <= error <= curve[0].error + 1e-12


@given(curves(), shares, shares)
def test_more_confidence_never_means_more_error(
    curve: list[ErrorPoint], first: float, second: float
) -> None:
    low, high = sorted((first, second))
    assert expected_error(low, curve) >= expected_error(high, curve) - 1e-12
    assert expected_error(low) >= expected_error(high)


@given(curves())
def test_it_is_what_was_measured_at_the_points(curve: list[ErrorPoint]) -> None:
    for point in curve:
        assert expected_error(point.confidence, curve) == pytest.approx(point.error)
    assert expected_error(0, curve) == pytest.approx(curve[0].error)
    assert expected_error(1, curve) == pytest.approx(curve[-1].error)


@given(shares, st.sets(st.integers(1, 99), max_size=5))
def test_the_curve_of_a_calibrated_model_changes_nothing(
    confidence: float, between: set[int]
) -> None:
    points = [0.0, *(c / 100 for c in sorted(between)), 1.0]
    curve = [ErrorPoint(c, 1 - c) for c in points]
    assert expected_error(confidence, curve) == pytest.approx(1 - confidence, abs=1e-12)


def test_between_two_points_it_is_on_their_line() -> None:
    curve = [ErrorPoint(0.4, 0.8), ErrorPoint(0.8, 0.4)]
    assert expected_error(0.5, curve) == pytest.approx(0.7)


@pytest.mark.parametrize(
    "points",
    [
        [(0.5, 0.5), (0.5, 0.4)],
        [(0.6, 0.5), (0.5, 0.4)],
        [(0.5, 0.4), (0.6, 0.5)],
        [(0.5, 1.2)],
        [(-0.1, 0.5)],
        [(0.5, float("nan"))],
    ],
)
def test_what_turns_back_or_is_out_of_range_is_no_curve(points: list[tuple[float, float]]) -> None:
    assert not is_curve([ErrorPoint(*point) for point in points])
