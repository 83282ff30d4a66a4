"""A speaker's baseline takes off what is constant in a voice, and nothing from the future."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gscon_live.model.encoders.voice.speaker_baseline import MAX_SPEAKERS, SpeakerBaseline

POPULATION = np.array([1.0, -2.0, 0.5])


def test_a_first_utterance_is_anybodys() -> None:
    features = np.array([3.0, 1.0, 2.0])
    np.testing.assert_allclose(SpeakerBaseline(POPULATION).relative(features, "S1"), features)


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
        np.testing.assert_allclose(baseline.relative(row, speaker), row - mean + POPULATION)
        baseline.add(row, speaker)


def test_what_is_constant_in_a_voice_vanishes_with_time() -> None:
    random = np.random.default_rng(3)
    baseline = SpeakerBaseline(POPULATION)
    for _ in range(2000):
        row = POPULATION + random.normal(size=3)
        voice = row + np.array([5.0, -5.0, 1.0])
        relative = baseline.relative(voice, "S1")
        baseline.add(voice, "S1")
    np.testing.assert_allclose(relative, row, atol=0.1)


def test_a_reset_forgets_all_speakers() -> None:
    baseline = SpeakerBaseline(POPULATION)
    first = baseline.relative(np.ones(3), "S1")
    baseline.add(np.ones(3), "S1")
    assert not np.array_equal(baseline.relative(np.ones(3), "S1"), first)
    baseline.reset()
    np.testing.assert_array_equal(baseline.relative(np.ones(3), "S1"), first)


def test_a_crowd_does_not_fill_the_memory() -> None:
    baseline = SpeakerBaseline(POPULATION)
    for number in range(3 * MAX_SPEAKERS):
        baseline.add(np.ones(3), f"S{number}")
        baseline.add(np.ones(3), "the host")
    known = [baseline.known(f"S{number}") > 0 for number in range(3 * MAX_SPEAKERS)]
    assert sum(known) == MAX_SPEAKERS - 1
    assert all(known[-MAX_SPEAKERS + 1 :])
    assert baseline.known("the host") > 0.9
