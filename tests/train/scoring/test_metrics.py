"""Scores agree with scikit-learn, and calibration error with its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from gscon_live.train.scoring.metrics import calibration_error, reliability, score, weighted_f1

CLASSES = ("a", "b", "c", "d")


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 60), kinds=st.integers(1, 4))
def test_scores_are_those_of_the_reference(seed: int, count: int, kinds: int) -> None:
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(4), count)
    labels = random.integers(0, kinds, count)
    answers = probabilities.argmax(1)
    scores = score(probabilities, labels, CLASSES)
    present = sorted(set(labels.tolist()))
    options = {"labels": range(4), "zero_division": 0.0}
    by_class = reference.precision_recall_fscore_support(labels, answers, **options)
    for index, name in enumerate(CLASSES):
        class_score = scores.per_class[name]
        assert (
            class_score.precision,
            class_score.recall,
            class_score.f1,
            class_score.support,
        ) == pytest.approx(tuple(column[index] for column in by_class))
    weighted = reference.f1_score(labels, answers, average="weighted", **options)
    assert scores.weighted_f1 == pytest.approx(weighted)
    assert scores.accuracy == pytest.approx(reference.accuracy_score(labels, answers))
    assert scores.macro_f1 == pytest.approx(np.mean([by_class[2][i] for i in present]))
    assert scores.balanced_accuracy == pytest.approx(np.mean([by_class[1][i] for i in present]))
    assert scores.count == count
    assert scores.confusion == reference.confusion_matrix(labels, answers, labels=range(4)).tolist()
    stacked = np.array([scores.confusion, scores.confusion])
    assert weighted_f1(stacked) == pytest.approx([weighted, weighted])


def test_calibration_error_of_known_cases() -> None:
    sure = np.array([[1.0, 0.0]] * 4)
    assert calibration_error(sure, np.array([0, 0, 0, 0])) == 0
    assert calibration_error(sure, np.array([1, 1, 1, 1])) == 1
    assert calibration_error(sure, np.array([0, 0, 0, 1])) == pytest.approx(0.25)
    mixed = np.array([[0.9, 0.1]] * 2 + [[0.6, 0.4]] * 2)
    # 0.9 against 1/2, and 0.6 against 2/2, half of the rows each.
    assert calibration_error(mixed, np.array([0, 1, 0, 0])) == pytest.approx(0.4)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 80), bins=st.integers(1, 20))
def test_calibration_error_and_diagram_are_those_of_the_definition(
    seed: int, count: int, bins: int
) -> None:
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(3) * 0.5, count)
    labels = random.integers(0, 3, count)
    filled: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for row, label in zip(probabilities, labels, strict=True):
        sure = max(row)
        place = min(int(sure * bins), bins - 1)
        filled[place].append((sure, int(np.argmax(row)) == label))
    error = 0.0
    for members, diagram_bin in zip(filled, reliability(probabilities, labels, bins), strict=True):
        assert diagram_bin.count == len(members)
        if members:
            sure, right = np.mean([a for a, _ in members]), np.mean([b for _, b in members])
            assert (diagram_bin.confidence, diagram_bin.accuracy) == pytest.approx((sure, right))
            error += len(members) / count * abs(sure - right)
    assert calibration_error(probabilities, labels, bins) == pytest.approx(error)


def test_calibrated_answers_have_hardly_any_error() -> None:
    random = np.random.default_rng(0)
    confidence = random.uniform(0.5, 1.0, 200_000)
    labels = (random.random(len(confidence)) > confidence).astype(int)
    assert calibration_error(np.stack([confidence, 1 - confidence], 1), labels) < 0.005


@pytest.mark.parametrize("shape", [(0, 4), (3, 2)])
def test_nothing_and_wrong_shapes_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="expected probabilities"):
        score(np.ones(shape), np.zeros(shape[0], int), CLASSES)
