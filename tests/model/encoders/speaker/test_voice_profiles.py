"""Profiles of voices: one person or two, and who is who over many recordings."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.speaker import voice_profiles
from gscon_live.model.encoders.speaker.speaker_clustering import SpeakerSpace
from gscon_live.model.encoders.speaker.voice_profiles import (
    EXACT,
    SAME,
    VoiceProfile,
    VoiceProfiles,
    load_profile_space,
)

SIZE = 6
BETWEEN = 9.0


def profiles(between: float = BETWEEN) -> VoiceProfiles:
    """In a space that takes the first statistics as they are."""
    space = SpeakerSpace(8, SIZE)
    # What lies beyond four deviations would be clipped.
    space.deviation.fill_(100.0)
    space.projection.copy_(100.0 * torch.eye(8, SIZE))
    space.between.fill_(between)
    return VoiceProfiles((space, "test"))


def rows(number: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(number, 8)).astype(np.float32)


def expected_ratio(first: VoiceProfile, second: VoiceProfile, between: float) -> float:
    """By the joint Gaussian of both means, dimension for dimension."""
    noise = [1 / min(voice.utterances, EXACT) for voice in (first, second)]
    total = 0.0
    for x, y in zip(first.mean, second.mean, strict=True):
        one = [[between + noise[0], between], [between, between + noise[1]]]
        two = np.diag(np.diag(one))
        total += multivariate_normal([0, 0], one).logpdf([x, y])
        total -= multivariate_normal([0, 0], two).logpdf([x, y])
    return total


@given(st.integers(1, 9), st.integers(1, 9), st.floats(0.3, 20.0), st.integers(0, 99))
def test_the_ratio_is_that_of_the_two_covariance_model_and_symmetric(
    first: int, second: int, between: float, seed: int
) -> None:
    voices = profiles(between)
    one, two = voices.profile(rows(first, seed)), voices.profile(rows(second, seed + 1))

    def ratio(voice: VoiceProfile, other: VoiceProfile) -> float:
        counts = np.array([other.utterances])
        return float(voices.likelihood_ratios(voice, other.mean[None], counts)[0])

    assert ratio(one, two) == pytest.approx(expected_ratio(one, two, between), abs=1e-6)
    assert ratio(one, two) == pytest.approx(ratio(two, one), abs=1e-9)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_joined_profiles_are_that_of_all_utterances(first: int, second: int, seed: int) -> None:
    voices, every = profiles(), rows(first + second, seed)
    joined = voices.profile(every[:first]).joined(voices.profile(every[first:]))
    at_once = voices.profile(every)
    np.testing.assert_allclose(joined.mean, at_once.mean, atol=1e-6)
    assert joined.utterances == at_once.utterances == first + second


@given(st.integers(2, 5), st.integers(1, 4), st.integers(0, 999))
def test_people_far_apart_are_found_again_in_any_order(
    people: int, recordings: int, seed: int
) -> None:
    random, voices = np.random.default_rng(seed), profiles(between=2500.0)
    who = random.permutation(np.repeat(np.arange(people), recordings))
    # Corners of a cube: all far from each other.
    places = 60.0 * (np.arange(people)[:, None] >> np.arange(8) & 1)
    given_profiles = [
        voices.profile((places[person] + random.normal(size=(3, 8))).astype(np.float32))
        for person in who
    ]
    numbers = voices.people(given_profiles)
    # In order of appearance, one number for each person.
    order = list(dict.fromkeys(who.tolist()))
    assert numbers == [order.index(person) for person in who.tolist()]


def test_a_voice_has_the_name_of_the_nearest_that_is_near_enough() -> None:
    voices = profiles(between=100.0)
    known = {
        "Anna": voices.profile(np.full((4, 8), 10.0, np.float32)),
        "Ben": voices.profile(np.full((4, 8), -10.0, np.float32)),
    }
    near = voices.profile(np.full((2, 8), 9.5, np.float32))
    between = voices.profile(np.zeros((2, 8), np.float32))
    assert voices.name(near, known) == "Anna"
    assert voices.name(between, known) is None
    assert voices.name(near, {}) is None
    means = np.stack([voice.mean for voice in known.values()])
    assert voices.likelihood_ratios(between, means, np.array([4, 4])).max() < SAME


def test_many_utterances_count_as_no_more_exact_than_a_few() -> None:
    voices = profiles()
    here, there = np.zeros((1, 8), np.float32), np.full((1, 8), 1.0, np.float32)

    def ratio(utterances: int) -> float:
        voice = voices.profile(here.repeat(utterances, 0))
        other = voices.profile(there.repeat(utterances, 0))
        return float(voices.likelihood_ratios(voice, other.mean[None], np.array([utterances]))[0])

    assert ratio(EXACT) == pytest.approx(ratio(100 * EXACT))
    assert ratio(1) != pytest.approx(ratio(EXACT))


def test_nobody_is_found_among_no_profiles() -> None:
    assert profiles().people([]) == []


def test_the_included_space_is_there_and_another_file_is_refused(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    space, version = load_profile_space()
    assert space.projection.shape == (114, voice_profiles.DIRECTIONS)
    assert VoiceProfiles().identity.endswith(version)
    with pytest.raises(InputError, match="gscon-live fit profile"):
        load_profile_space(voice_profiles.WEIGHTS.with_name("speaker.safetensors"))
