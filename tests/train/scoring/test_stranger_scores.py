"""Scores on strangers are those of their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscon_live.model.labels import EMOTIONS
from gscon_live.train.scoring.stranger_scores import (
    BINS,
    COVERAGES,
    at_prior,
    risk_coverage,
    stranger_scores,
)


def drawn(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.dirichlet(np.ones(7) * 0.6, count), random.integers(0, 7, count)


@given(seed=st.integers(0, 1000), count=st.integers(1, 60))
def test_risk_is_the_error_of_the_most_confident_answers(seed: int, count: int) -> None:
    probabilities, labels = drawn(seed, count)
    confidence = probabilities.max(1)
    for point in risk_coverage(probabilities, labels):
        answered = max(1, round(point.coverage * count))
        rows = sorted(range(count), key=lambda row: -confidence[row])[:answered]
        wrong = [probabilities[row].argmax() != labels[row] for row in rows]
        assert point.risk == pytest.approx(np.mean(wrong))
        assert point.confidence == pytest.approx(min(confidence[row] for row in rows))


@given(seed=st.integers(0, 1000), count=st.integers(1, 60))
def test_scores_agree_with_their_definitions(seed: int, count: int) -> None:
    probabilities, labels = drawn(seed, count)
    scores = stranger_scores(probabilities, labels)
    right = probabilities.argmax(1) == labels
    recalls = {
        EMOTIONS[label]: right[labels == label].mean() for label in sorted(set(labels.tolist()))
    }
    assert scores.count == count
    assert scores.accuracy == pytest.approx(right.mean())
    assert scores.recall == pytest.approx(recalls)
    assert scores.macro_recall == pytest.approx(np.mean([*recalls.values()]))
    assert sum(scores.answers.values()) == pytest.approx(1)
    assert sum(one.count for one in scores.by_confidence) == count
    assert len(scores.by_confidence) == BINS
    assert scores.area == pytest.approx(np.mean([point.risk for point in scores.abstention]))
    assert [point.coverage for point in scores.abstention] == [*COVERAGES]
    assert scores.abstention[0].risk == pytest.approx(1 - scores.accuracy)


def test_only_emotions_of_the_labels_can_be_the_answer_where_asked() -> None:
    probabilities = np.array([[0.1, 0.5, 0.4, 0, 0, 0, 0], [0.3, 0.6, 0.1, 0, 0, 0, 0]])
    labels = np.array([0, 2])
    assert stranger_scores(probabilities, labels).accuracy == 0
    among = stranger_scores(probabilities, labels, among_labels=True)
    assert among.accuracy == 0.0
    assert among.answers["surprise"] == 0
    # 0.4 of 0.5 is fear in the first, and 0.3 of 0.4 neutral in the second.
    assert among.confidence == pytest.approx((0.8 + 0.75) / 2)


@given(seed=st.integers(0, 1000))
def test_another_prior_is_bayes_rule(seed: int) -> None:
    random = np.random.default_rng(seed)
    likelihood = random.random((5, 7)) + 0.01
    prior, other = random.dirichlet(np.ones(7), 2) + 0.01
    before = likelihood * prior / (likelihood * prior).sum(1, keepdims=True)
    after = likelihood * other / (likelihood * other).sum(1, keepdims=True)
    np.testing.assert_allclose(at_prior(before, prior, other), after)
    np.testing.assert_allclose(at_prior(before, prior, prior), before)
