"""All seeds together answer as the mean of their probabilities says."""

import dataclasses

import numpy as np
import pytest
from made_runs import corpus, network, trained

from gscon_live.train.scoring.ensemble import together
from gscon_live.train.scoring.measure import Measurements, measure

CORPUS = corpus()
ALL = "text+audio"


@pytest.fixture(scope="module")
def seeds() -> list[Measurements]:
    models = [trained(CORPUS, "causal"), trained(CORPUS, "full"), network(CORPUS)]
    return [measure(model, CORPUS, ("as_trained",)) for model in models]


def test_it_answers_as_the_mean_of_the_probabilities(seeds: list[Measurements]) -> None:
    for split, measured in together(seeds, CORPUS, ALL).items():
        for place, dialogue in enumerate(CORPUS.splits[split]):
            parts = [seed[split]["as_trained"][ALL].probabilities[place] for seed in seeds]
            mean = sum(parts) / len(parts)
            assert np.array_equal(measured.answers[place], mean.argmax(1))
            # A temperature is a power of the probabilities.
            power = mean ** (1 / measured.temperature)
            expected = power / power.sum(1, keepdims=True)
            assert measured.probabilities[place] == pytest.approx(expected, abs=1e-5)
            assert len(dialogue.labels) == len(mean)


def test_its_temperature_is_fitted_on_validation_alone(seeds: list[Measurements]) -> None:
    measured = together(seeds, CORPUS, ALL)
    assert measured["validation"].temperature == measured["test"].temperature
    # No other temperature of a wide range makes the labels of validation more probable.
    labels = np.concatenate([d.labels.numpy() for d in CORPUS.splits["validation"]])
    rows = np.concatenate(measured["validation"].probabilities)[labels >= 0]
    labels = labels[labels >= 0]

    def loss(exponent: float) -> float:
        power = rows**exponent
        return float(
            -np.log((power / power.sum(1, keepdims=True))[range(len(labels)), labels]).mean()
        )

    assert all(loss(1.0) <= loss(exponent) + 1e-4 for exponent in (0.5, 0.8, 1.25, 2.0))


def test_one_seed_together_is_that_seed(seeds: list[Measurements]) -> None:
    alone, measured = seeds[0]["test"]["as_trained"][ALL], together(seeds[:1], CORPUS, ALL)["test"]
    assert measured.scores.weighted_f1 == alone.scores.weighted_f1
    assert measured.confusions.tolist() == alone.confusions.tolist()


def test_without_a_common_validation_test_has_the_mean_as_it_is(seeds: list[Measurements]) -> None:
    # The second seed was validated by fewer dialogues.
    half = {"validation": CORPUS.splits["validation"][:4]}
    smaller = dataclasses.replace(CORPUS, splits={**CORPUS.splits, **half})
    other = measure(network(CORPUS), smaller, ("as_trained",))
    found = together([seeds[0], other], smaller, ALL, same_validation=False)
    assert list(found) == ["test"]
    assert found["test"].temperature == 1
    for place, probabilities in enumerate(found["test"].probabilities):
        parts = [m["test"]["as_trained"][ALL].probabilities[place] for m in (seeds[0], other)]
        assert probabilities == pytest.approx(sum(parts) / 2, abs=1e-5)
