"""A speaker's baseline takes off what is constant in a voice, and nothing from the future."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gscon_live.model.encoders.voice.speaker_baseline import SpeakerBaseline

POPULATION = np.array([1.0, -2.0, 0.5])


def test_a_first_utterance_is_anybodys() -> None:
    features = np.array([3.0, 1.0, 2.0])
    np.testing.assert_allclose(SpeakerBaseline(POPULATION)(features, "S1"), features)


@given(seed=st.integers(0, 1000), count=st.integers(1, 12), weight=st.floats(0.5, 10))
def test_features_are_relative_to_the_mean_of_what_came_before(
    seed: int, count: int, weight: float
) -> None:
    random = np.random.default_rng(seed)
    rows = random.normal(size=(count, 3))
    speakers = [f"S{number}" for number in random.integers(0, 2, count)]
    baseline = SpeakerBaseline(POPULATION, weight)
    for place, (row, speaker) in enumerate(zip(rows, speakers, strict=True)):
        before = [rows[i] for i in range(place) if speakers[i] == speaker]
        mean = (weight * POPULATION + sum(before, np.zeros(3))) / (weight + len(before))
        np.testing.assert_allclose(baseline(row, speaker), row - mean + POPULATION)


def test_what_is_constant_in_a_voice_vanishes_with_time() -> None:
    random = np.random.default_rng(3)
    baseline = SpeakerBaseline(POPULATION)
    for _ in range(2000):
        row = POPULATION + random.normal(size=3)
        relative = baseline(row + np.array([5.0, -5.0, 1.0]), "S1")
    np.testing.assert_allclose(relative, row, atol=0.1)


def test_a_reset_forgets_all_speakers() -> None:
    baseline = SpeakerBaseline(POPULATION)
    first = baseline(np.ones(3), "S1")
    baseline.reset()
    np.testing.assert_array_equal(baseline(np.ones(3), "S1"), first)
