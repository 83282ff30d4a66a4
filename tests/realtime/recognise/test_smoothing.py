"""Smoothed answers are answers, follow what lasts, and ignore what does not."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscon_live.realtime.recognise.smoothing import SPEAKERS, Smoothing


def answer(best: int, sure: float = 0.7) -> np.ndarray:
    made = np.full(7, (1 - sure) / 6, np.float32)
    made[best] = sure
    return made


answers = st.tuples(st.integers(0, 6), st.floats(0.2, 0.99), st.sampled_from("AB"), st.booleans())


def changes(said: list[int], seconds: float) -> int:
    smooth = Smoothing(seconds)
    labels = [int(smooth(answer(b), "A", 3.0 * n, True).argmax()) for n, b in enumerate(said)]
    return sum(label != other for label, other in pairwise(labels))


@given(given_=st.lists(answers, min_size=1, max_size=20), seconds=st.floats(0, 60))
def test_answers_stay_probabilities(
    given_: list[tuple[int, float, str, bool]], seconds: float
) -> None:
    smooth = Smoothing(seconds)
    for number, (best, sure, speaker, final) in enumerate(given_):
        found = smooth(answer(best, sure), speaker, 2.0 * number, final)
        assert found.dtype == np.float32
        assert found.min() >= 0
        assert found.sum() == pytest.approx(1, abs=1e-5)


def test_without_smoothing_nothing_changes() -> None:
    smooth = Smoothing(0)
    for number in range(4):
        given_ = answer(number)
        assert smooth(given_, "A", number, True) is given_


def test_an_answer_keeps_of_the_last_one_what_the_time_between_leaves() -> None:
    smooth = Smoothing(5.0)
    smooth(answer(1), "A", 10.0, True)
    kept = math.exp(-2.5 / 5.0)
    expected = kept * answer(1) + (1 - kept) * answer(2)
    np.testing.assert_allclose(smooth(answer(2), "A", 12.5, False), expected, atol=1e-6)
    # What is provisional and what others say is not remembered for A.
    smooth(answer(4), "B", 12.5, True)
    np.testing.assert_allclose(smooth(answer(2), "A", 12.5, False), expected, atol=1e-6)
    smooth.reset()
    np.testing.assert_array_equal(smooth(answer(2), "A", 12.5, False), answer(2))


def test_what_is_provisional_is_not_remembered() -> None:
    smooth = Smoothing(5.0)
    smooth(answer(1), "A", 10.0, True)
    smooth(answer(3), "A", 11.0, False)
    kept = math.exp(-2.5 / 5.0)
    expected = kept * answer(1) + (1 - kept) * answer(2)
    np.testing.assert_allclose(smooth(answer(2), "A", 12.5, True), expected, atol=1e-6)


def test_a_label_that_flickers_settles_and_a_lasting_change_comes_through() -> None:
    flicker = [0, 0, 3, 0, 0, 4, 0, 3, 0, 0]
    assert changes(flicker, 0) == 6
    assert changes(flicker, 8.0) == 0
    assert changes([0] * 5 + [3] * 5, 8.0) == 1


def test_few_speakers_are_remembered() -> None:
    smooth = Smoothing(5.0)
    for number in range(3 * SPEAKERS):
        smooth(answer(1), f"speaker {number}", float(number), True)
    assert len(smooth._last) == SPEAKERS
