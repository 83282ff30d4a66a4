"""The classifier on statistics relative to the speaker."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from gscon_live.model.encoders.voice.relative_voice import MOST, RelativeVoice
from gscon_live.model.encoders.voice.speaker_baseline import SpeakerBaseline
from gscon_live.model.labels import EMOTIONS

DIM = 5


def classifier(first: float = 1.0, later: float = 1.0) -> RelativeVoice:
    torch.manual_seed(0)
    model = RelativeVoice(DIM)
    model.mean.copy_(torch.arange(DIM))
    model.deviation.fill_(2.0)
    model.temperatures.copy_(torch.tensor([first, later]))
    return model


def test_the_population_has_mean_nought_and_deviation_one() -> None:
    rows = np.random.default_rng(1).normal(np.arange(DIM), 2.0, (4000, DIM))
    standardised = classifier().standardised(rows)
    np.testing.assert_allclose(standardised.mean(0), 0, atol=0.1)
    np.testing.assert_allclose(standardised.std(0), 1, atol=0.1)


@given(st.integers(0, 100), st.floats(0, 1))
def test_log_probabilities_are_of_all_emotions(seed: int, known: float) -> None:
    relative = np.random.default_rng(seed).normal(size=(3, DIM))
    answers = classifier(2.0, 0.5).log_probabilities(relative, np.full(3, known))
    assert answers.shape == (3, len(EMOTIONS))
    np.testing.assert_allclose(np.exp(answers).sum(-1), 1)
    np.testing.assert_allclose(
        answers[1], classifier(2.0, 0.5).log_probabilities(relative[1], known)
    )


@given(st.integers(0, 100), st.floats(0, 1), st.floats(0, 1))
def test_the_temperature_goes_from_unknown_speakers_to_known_ones(
    seed: int, less: float, more: float
) -> None:
    less, more = sorted((less, more))
    relative = np.random.default_rng(seed).normal(size=DIM)
    model = classifier(first=3.0, later=1.0)
    plain = classifier().log_probabilities(relative, 0.5)
    np.testing.assert_allclose(model.log_probabilities(relative, 1.0), plain)
    cooled = np.exp(plain / 3) / np.exp(plain / 3).sum()
    np.testing.assert_allclose(np.exp(model.log_probabilities(relative, 0.0)), cooled)
    confidences = [model.log_probabilities(relative, known).max() for known in (less, more)]
    assert confidences[0] <= confidences[1] + 1e-12


def test_an_unfamiliar_microphone_cannot_shout() -> None:
    loud, louder = np.full(DIM, 2 * MOST), np.full(DIM, 1e9)
    model = classifier()
    np.testing.assert_array_equal(
        model.log_probabilities(loud, 0.0), model.log_probabilities(louder, 0.0)
    )


@given(st.integers(0, 12), st.floats(0.5, 10))
def test_a_speaker_becomes_known_with_every_utterance(count: int, weight: float) -> None:
    baseline = SpeakerBaseline(np.zeros(DIM), weight)
    for _ in range(count):
        baseline.add(np.ones(DIM), "S1")
    assert baseline.known("S1") == count / (count + weight)
    assert baseline.known("S2") == 0
