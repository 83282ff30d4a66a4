"""The voice's spectrogram and network: level does not matter, and neither do batch mates."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gscon_live.model.encoders.voice.spectrogram import MELS, MelSpectrogram, power_spectrogram
from gscon_live.model.encoders.voice.voice_network import VoiceNet

_MEL = MelSpectrogram()


def spectrogram(samples: np.ndarray) -> torch.Tensor:
    return _MEL(power_spectrogram(samples))


def sound(seed: int, samples: int = 16_000) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.05, samples).astype(np.float32)


def network(classes: int = 7) -> VoiceNet:
    torch.manual_seed(0)
    return VoiceNet(classes).eval()


@given(decibels=st.floats(-40, 12), seed=st.integers(0, 99))
def test_a_constant_gain_changes_nothing(decibels: float, seed: int) -> None:
    plain = spectrogram(sound(seed))
    louder = spectrogram((sound(seed) * 10 ** (decibels / 20)).astype(np.float32))
    torch.testing.assert_close(louder, plain, rtol=1e-3, atol=1e-7)


@given(samples=st.integers(1, 40_000))
def test_there_is_a_column_for_every_20_ms(samples: int) -> None:
    power = spectrogram(sound(0, samples))
    frames = (max(samples, 1040) - 400) // 160 + 1  # the shortest sound is 65 ms, padded
    assert power.shape[0] == MELS
    assert abs(power.shape[1] - frames / 2) <= 1
    assert power.isfinite().all()
    assert (power >= 0).all()


def test_silence_is_heard_too() -> None:
    seen = network().log_mel(spectrogram(np.zeros(8000, np.float32)))
    assert seen.isfinite().all()
    assert network()(seen[None]).isfinite().all()


@pytest.mark.parametrize("columns", [1, 2, 7, 180, 333])
def test_any_length_has_an_answer_that_no_batch_mate_changes(columns: int) -> None:
    torch.manual_seed(1)
    seen = torch.randn(3, MELS, columns)
    net = network(8)
    with torch.no_grad():
        together = net(seen)
        alone = torch.cat([net(one[None]) for one in seen])
    assert together.shape == (3, 8)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_what_is_seen_is_standardised_by_what_was_learned() -> None:
    net = network()
    power = torch.rand(MELS, 400).exp()
    net.standardise(power)
    seen = net.log_mel(power)
    assert float(seen.mean()) == pytest.approx(0, abs=1e-4)
    assert float(seen.std()) == pytest.approx(1, abs=1e-4)
    assert {"mean", "deviation"} <= set(net.state_dict())
