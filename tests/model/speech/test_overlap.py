"""How long two people speak at once: counted from frames, whatever the level of the sound."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gscon_live.model.speech.overlap import (
    BINS,
    FRAME_SECONDS,
    SHORTEST,
    OverlapDetector,
    OverlapNet,
    overlapped,
    smoothed,
    spectrogram,
)

RATE = 16_000


def detector(seed: int = 0) -> OverlapDetector:
    """One whose weights are drawn by chance."""
    torch.manual_seed(seed)
    return OverlapDetector(OverlapNet().eval().requires_grad_(False))


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


def test_a_tone_is_loud_at_its_frequency_and_nowhere_else() -> None:
    tone = np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE).astype(np.float32)
    levels = spectrogram(torch.from_numpy(tone)).numpy()
    assert levels.shape[0] == BINS
    assert np.all(levels.argmax(axis=0) == 30)  # 32 steps of 15.6 Hz, from the third one on
    assert levels.max() == pytest.approx(0, abs=0.01)
    assert levels[80:].max() == -1


@pytest.mark.parametrize("gain", [1e-3, 1e3])
def test_a_gain_changes_nothing(gain: float) -> None:
    sound = noise(3)
    wanted = detector().probabilities(sound)
    assert detector().probabilities(sound * np.float32(gain)) == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("count", [1, 100, 1024, 20_000])
def test_any_length_has_an_answer(count: int) -> None:
    for sound in (noise(2)[:count], np.zeros(count, np.float32)):
        assert 0 <= detector()(sound) <= count / RATE + 0.1


def test_long_sound_is_read_in_parts() -> None:
    probabilities = detector().probabilities(noise(70))
    assert len(probabilities) == pytest.approx(70 / FRAME_SECONDS, abs=4)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=12))
def test_only_what_lasts_counts(runs: list[tuple[bool, int]]) -> None:
    merged: list[list[int]] = []
    for over, length in runs:
        if merged and merged[-1][0] == over:
            merged[-1][1] += length
        else:
            merged.append([over, length])
    frames = np.array([over for over, length in runs for _ in range(length)], np.float32)
    wanted = sum(length for over, length in merged if over and length >= SHORTEST)
    assert overlapped(frames, 0.5) == pytest.approx(wanted * FRAME_SECONDS)


def test_a_sure_overlap_lasts_as_long_as_it_is_likely() -> None:
    frames = np.concatenate([np.full(20, 0.6), np.full(10, 0.9), np.full(30, 0.6), np.zeros(5)])
    likely = np.concatenate([frames, np.full(50, 0.6)]).astype(np.float32)
    assert overlapped(likely, 0.8) == pytest.approx(60 * FRAME_SECONDS)
    assert overlapped(likely, 0.95) == 0


def test_a_single_frame_does_not_count_among_others() -> None:
    frames = torch.zeros(1, 50)
    frames[0, 20] = 1.0
    assert smoothed(frames).max() == pytest.approx(1 / 7)
    assert smoothed(torch.ones(1, 3)) == pytest.approx(torch.ones(1, 3))
