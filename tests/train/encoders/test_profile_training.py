"""The space of voice profiles, and what its card says."""

import msgspec
import numpy as np
import pytest

from gscon_live.model.encoders.speaker.voice_profiles import WEIGHTS
from gscon_live.train.encoders.microphones import microphone
from gscon_live.train.encoders.profile import regrouped

RATE = 16_000


def tones(*frequencies: float) -> np.ndarray:
    times = np.arange(RATE) / RATE
    return sum(np.sin(2 * np.pi * f * times) for f in frequencies).astype(np.float32)  # type: ignore[union-attr]


def test_pairs_of_profiles_are_counted() -> None:
    # Three profiles of Anna, two of Ben; one of Anna's was taken for Ben's.
    result = regrouped([0, 0, 1, 1, 1], ["anna", "anna", "anna", "ben", "ben"])
    # Anna's pairs: 1 of 3 together; Ben's: 1 of 1. Mixed: 2 of 6.
    assert result.together == pytest.approx(2 / 4)
    assert result.mixed == pytest.approx(2 / 6)
    assert result.people == 2


def test_a_microphone_colours_the_sound_the_same_way_each_time_and_others_otherwise() -> None:
    sound = tones(200, 1000, 2500)

    def levels(heard: np.ndarray) -> np.ndarray:
        spectrum = np.abs(np.fft.rfft(heard))
        return 20 * np.log10(spectrum[[200, 1000, 2500]])

    one, other = microphone(np.random.default_rng(1)), microphone(np.random.default_rng(2))
    first = one(sound)
    assert first.shape == sound.shape
    assert first.dtype == np.float32
    np.testing.assert_allclose(levels(first), levels(one(sound)), atol=0.5)
    assert np.abs(levels(first) - levels(other(sound))).max() > 1.0
    # At most 8 dB up or down.
    assert np.abs(levels(first) - levels(sound)).max() < 9.0


def test_the_card_of_the_included_space_says_how_well_it_finds_strangers_again() -> None:
    figures = msgspec.json.decode(WEIGHTS.with_suffix(".json").read_bytes())["figures"]
    same, other = figures["readers, one microphone"], figures["readers, other microphones"]
    assert same["regrouped"]["5"]["together"] >= 0.95
    assert same["regrouped"]["5"]["mixed"] <= 0.05
    assert other["regrouped"]["5"]["together"] >= 0.6
    assert other["regrouped"]["5"]["mixed"] <= 0.05
    assert same["named"]["4"]["right"] >= 0.9
    assert same["named"]["4"]["strangers"] <= 0.2
    assert set(figures) == {
        f"{who}, {place}"
        for who in ("readers", "actors")
        for place in ("one microphone", "other microphones")
    }
