"""Temperatures make the labels of validation most probable."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gscon_live.train.scoring.calibration import (
    TARGET_ECE,
    Calibration,
    fit_calibration,
    fit_prior_correction,
    fit_temperature,
    softmax,
)
from gscon_live.train.scoring.metrics import calibration_error


def negative_log_likelihood(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """The mean negative log-likelihood, written down plainly."""
    total = 0.0
    for row, label in zip(logits / temperature, labels, strict=True):
        total += np.log(np.exp(row - row.max()).sum()) + row.max() - row[label]
    return total / len(labels)


def draw_examples(seed: int, count: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are too sure by `sharpness`, and labels drawn from what they should be."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (count, 4))
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = np.array([random.choice(4, p=probabilities) for probabilities in chances])
    return (logits * sharpness).astype(np.float32), labels


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), sharpness=st.floats(0.5, 3.0))
def test_no_other_temperature_makes_the_labels_more_probable(seed: int, sharpness: float) -> None:
    logits, labels = draw_examples(seed, 60, sharpness)
    temperature = fit_temperature(logits, labels)
    least = negative_log_likelihood(logits, labels, temperature)
    for other in np.linspace(0.3, 5.0, 30):
        assert least <= negative_log_likelihood(logits, labels, float(other)) + 2e-3


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.5])
def test_answers_that_are_too_sure_are_found_out_and_mended(sharpness: float) -> None:
    logits, labels = draw_examples(1, 8000, sharpness)
    temperature = fit_temperature(logits, labels)
    assert temperature == pytest.approx(sharpness, rel=0.06)
    assert calibration_error(softmax(logits, temperature), labels) < 0.02


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), temperature=st.floats(0.3, 5.0))
def test_a_temperature_changes_no_answer(seed: int, temperature: float) -> None:
    logits, _ = draw_examples(seed, 20, 1.0)
    chances = softmax(logits, temperature)
    assert np.array_equal(chances.argmax(1), logits.argmax(1))
    assert chances.sum(1) == pytest.approx(1)


def test_rows_may_have_temperatures_of_their_own() -> None:
    logits, _ = draw_examples(0, 3, 1.0)
    probabilities = softmax(logits, np.array([[1.0], [2.0], [4.0]]))
    for row, temperature in enumerate((1.0, 2.0, 4.0)):
        assert probabilities[row] == pytest.approx(softmax(logits[row : row + 1], temperature)[0])


def test_each_temperature_is_of_the_utterances_that_it_is_for() -> None:
    sharp, labels = draw_examples(1, 3000, 3.0)
    calm, _ = draw_examples(1, 3000, 1.0)
    has_audio = np.arange(3000) % 3 > 0
    available = ["text+audio" if has else "text" for has in has_audio]
    calibration = fit_calibration(
        {
            "text+audio": {
                "final": np.where(has_audio[:, None], sharp, calm),
                "text": calm,
                "audio": np.where(has_audio[:, None], calm, sharp),
            },
            "text": {"final": calm, "text": calm, "audio": sharp},
            "nothing": {"final": sharp, "text": sharp, "audio": sharp},
        },
        {"text+audio": available, "text": ["text"] * 3000, "nothing": ["nothing"] * 3000},
        labels,
    )
    assert calibration.by_presence["text+audio"] == pytest.approx(3, rel=0.1)
    assert calibration.by_presence["text"] == pytest.approx(1, rel=0.1)
    assert calibration.by_presence["nothing"] == pytest.approx(3, rel=0.1)
    assert calibration.unimodal == {
        "text": pytest.approx(1, rel=0.1),
        "audio": pytest.approx(1, rel=0.1),
    }
    assert 1 < calibration.overall < 3


def test_what_never_occurs_takes_the_temperature_of_all() -> None:
    logits, labels = draw_examples(2, 200, 2.0)
    heads = {"final": logits, "text": logits, "audio": logits}
    calibration = fit_calibration(
        {"text+audio": heads, "text": heads},
        {"text+audio": ["text"] * 200, "text": ["text"] * 200},
        labels,
    )
    assert calibration.by_presence["text+audio"] == calibration.overall
    assert calibration.unimodal["audio"] == calibration.overall


def test_the_prior_is_the_mean_answer_with_all_modalities() -> None:
    calm, labels = draw_examples(3, 3000, 1.0)
    other, _ = draw_examples(4, 3000, 1.0)
    heads = {"text": calm, "audio": calm}
    calibration = fit_calibration(
        {"text+audio": {"final": calm, **heads}, "text": {"final": other, **heads}},
        {"text+audio": ["text+audio"] * 3000, "text": ["text"] * 3000},
        labels,
    )
    assert calibration.by_presence["text+audio"] != calibration.overall
    expected = softmax(calm, calibration.by_presence["text+audio"]).mean(0)
    assert calibration.prior == pytest.approx(list(expected), abs=1e-5)
    assert sum(calibration.prior) == pytest.approx(1, abs=1e-4)


def weighted_examples(seed: int, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Right logits to which the logarithm of classes' weights was added, and labels."""
    logits, labels = draw_examples(seed, 6000, 1.0)
    return (logits + np.log(weight)).astype(np.float32), labels


def test_weights_are_taken_back_as_far_as_calibration_needs() -> None:
    weight = np.array([0.1, 1.0, 5.0, 5.0])
    logits, labels = weighted_examples(1, weight)
    temperature, shift = fit_prior_correction(logits, labels, weight)
    before = calibration_error(softmax(logits, fit_temperature(logits, labels)), labels)
    after = calibration_error(softmax(logits, temperature, shift), labels)
    assert after <= TARGET_ECE < before
    # A part of it, and no more than one step beyond what was needed.
    full_shift = -(np.log(weight) - np.log(weight).mean())
    part = shift[0] / full_shift[0]
    assert 0 < part < 1
    np.testing.assert_allclose(shift, part * full_shift)
    less = (part - 0.1) * full_shift
    almost = softmax(logits, fit_temperature(logits, labels, less), less)
    assert calibration_error(almost, labels) > TARGET_ECE


def test_where_calibration_is_good_the_weights_stay() -> None:
    logits, labels = draw_examples(1, 6000, 2.0)
    temperature, shift = fit_prior_correction(logits, labels, np.array([0.1, 1.0, 5.0, 5.0]))
    assert not shift.any()
    assert temperature == fit_temperature(logits, labels)


def test_what_is_added_is_by_the_modalities_that_are_there_and_part_of_the_prior() -> None:
    weight = np.array([0.1, 1.0, 5.0, 5.0])
    wrong, labels = weighted_examples(3, weight)
    right, _ = draw_examples(3, 6000, 1.0)
    heads = {"text": right, "audio": right}
    names = ["text+audio", "text", "nothing"]
    calibration = fit_calibration(
        {
            "text+audio": {"final": wrong, **heads},
            "text": {"final": right, **heads},
            "nothing": {"final": wrong, **heads},
        },
        {name: [name if name != "nothing" else "text"] * 6000 for name in names},
        labels,
        weight,
    )
    assert set(calibration.shifts) == {"text+audio"}
    shift = np.array(calibration.shifts["text+audio"])
    expected = softmax(wrong, calibration.by_presence["text+audio"], shift).mean(0)
    assert calibration.prior == pytest.approx(list(expected), abs=1e-4)
    assert (
        fit_calibration(
            {"text": {"final": wrong, **heads}}, {"text": ["text"] * 6000}, labels
        ).shifts
        == {}
    )


def test_utterances_count_as_if_the_classes_had_other_rates() -> None:
    """The same as if so many more of a class had been there."""
    logits, labels = draw_examples(5, 4000, 1.7)
    rates = np.array([3.0, 1.0, 1.0, 2.0])
    label_rates = np.bincount(labels) / len(labels)
    wanted = rates / rates.sum() / label_rates
    draws = np.random.default_rng(1).choice(4000, 40_000, p=wanted[labels] / 4000)
    heads = {"text": logits, "final": logits}
    calibration = fit_calibration({"text": heads}, {"text": ["text"] * 4000}, labels, None, rates)
    many = {"text": logits[draws], "final": logits[draws]}
    again = fit_calibration({"text": many}, {"text": ["text"] * 40_000}, labels[draws])
    assert calibration.by_presence["text"] == pytest.approx(again.by_presence["text"], rel=0.05)
    assert calibration.unimodal["text"] == pytest.approx(again.unimodal["text"], rel=0.05)
    assert calibration.prior == pytest.approx(again.prior, abs=0.01)
    plain = fit_calibration({"text": heads}, {"text": ["text"] * 4000}, labels)
    same = fit_calibration({"text": heads}, {"text": ["text"] * 4000}, labels, None, label_rates)
    assert same == plain
    assert calibration.prior[0] > plain.prior[0] + 0.05


def test_a_calibration_error_may_be_of_answers_that_count_differently() -> None:
    answers, labels = softmax(draw_examples(2, 500, 1.0)[0]), draw_examples(2, 500, 1.0)[1]
    counts = np.random.default_rng(0).integers(1, 5, 500)
    often = np.repeat(np.arange(500), counts)
    error = calibration_error(answers, labels, sample_weights=counts.astype(float))
    assert error == pytest.approx(calibration_error(answers[often], labels[often]))


def test_probabilities_are_of_the_temperature_and_shift_of_what_an_utterance_has() -> None:
    logits = np.array([[2.0, 0.0, -2.0]] * 3, np.float32)
    calibration = Calibration(
        9.0, {"text": 2.0, "text+audio": 0.5}, {}, [], {"text+audio": [0.0, 1.0, 0.0]}
    )
    probabilities = calibration.probabilities(logits, ["text", "text+audio", "text"])
    for row, values in enumerate(([1.0, 0.0, -1.0], [4.0, 1.0, -4.0], [1.0, 0.0, -1.0])):
        wanted = np.exp(values) / np.exp(values).sum()
        np.testing.assert_allclose(probabilities[row], wanted, rtol=1e-6)
