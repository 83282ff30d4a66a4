"""Voice features: of any sound, whatever its level."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.voice.audio_encoder import WEIGHTS, AudioEncoder, load_voice
from gscon_live.model.labels import SAMPLE_RATE

ENCODER = AudioEncoder()


def voice(pitch: float, seconds: float = 1.0, seed: int = 0) -> NDArray[np.float32]:
    """A buzz with harmonics that swells and fades, and a little noise."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    buzz = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 12))
    noise = np.random.default_rng(seed).normal(0, 0.01, len(time))
    return np.asarray(0.1 * buzz * (1.2 + np.sin(2 * np.pi * 3 * time)) + noise, np.float32)


def first(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vector of a speaker's first utterance."""
    ENCODER.reset()
    return ENCODER.provisional(ENCODER.statistics(sound), "S1")


@settings(max_examples=25, deadline=None)
@given(
    length=st.integers(1, 5000),
    kind=st.sampled_from(["zeros", "ones", "noise", "spike", "nan"]),
    seed=st.integers(0, 9),
)
def test_any_sound_has_finite_features(length: int, kind: str, seed: int) -> None:
    sound = np.zeros(length, np.float32)
    if kind == "ones":
        sound[:] = 1
    elif kind == "noise":
        sound = np.random.default_rng(seed).normal(size=length).astype(np.float32)
    elif kind == "spike":
        sound[length // 2] = 1
    elif kind == "nan":
        sound[length // 2] = np.nan
    vector = first(sound)
    assert vector.shape == (ENCODER.dim,)
    assert vector.dtype == np.float32
    assert np.isfinite(vector).all()


@settings(max_examples=15, deadline=None)
@given(gain=st.floats(1e-3, 8.0), pitch=st.floats(90, 300))
def test_the_level_changes_nothing(gain: float, pitch: float) -> None:
    sound = voice(pitch)
    np.testing.assert_allclose(first(sound), first(np.float32(gain) * sound), rtol=2e-3, atol=2e-3)


def test_an_offset_of_the_microphone_changes_nothing() -> None:
    sound = voice(150)
    np.testing.assert_allclose(first(sound), first(sound + 0.05), atol=5e-3)


@pytest.mark.parametrize("pitch", [90.0, 160.0, 320.0])
def test_the_pitch_is_found(pitch: float) -> None:
    # The melody's twelve are the last statistics; the fourth is the median pitch above 100 Hz.
    statistics = ENCODER.statistics(voice(pitch))
    assert statistics[-9] == pytest.approx(12 * np.log2(pitch / 100), abs=0.4)


def test_different_voices_differ_and_the_same_sound_does_not() -> None:
    low, high = first(voice(100)), first(voice(250))
    assert np.abs(low - high).max() > 1
    assert np.array_equal(low, first(voice(100)))


def test_the_last_seven_are_logarithms_of_probabilities() -> None:
    said = first(voice(140))[-7:]
    assert np.exp(said).sum() == pytest.approx(1, abs=1e-5)


def test_what_is_usual_for_a_speaker_is_learned_from_complete_utterances_alone() -> None:
    sound, other = ENCODER.statistics(voice(200)), ENCODER.statistics(voice(120))
    ENCODER.reset()
    before = ENCODER.provisional(sound, "S1")
    assert np.array_equal(ENCODER.provisional(sound, "S1"), before)
    assert np.array_equal(ENCODER.final(sound, "S1"), before)
    after = ENCODER.provisional(sound, "S1")
    assert np.array_equal(after[:-7], before[:-7])
    assert not np.array_equal(after[-7:], before[-7:])
    # Somebody else is still unknown, and what follows the statistics is not read.
    assert np.array_equal(ENCODER.provisional(sound, "S2"), before)
    assert np.array_equal(ENCODER.final(before, "S3"), before)
    ENCODER.final(other, "S1")
    assert not np.array_equal(ENCODER.provisional(sound, "S1"), after)
    ENCODER.reset()
    assert np.array_equal(ENCODER.provisional(sound, "S1"), before)


def test_another_file_of_weights_is_another_encoder(tmp_path: Path) -> None:
    changed = load_file(WEIGHTS)
    changed["classify.bias"] += 0.5
    save_file(changed, tmp_path / "voice.safetensors")
    other = AudioEncoder(load_voice(tmp_path / "voice.safetensors"))
    assert other.identity != ENCODER.identity
    with pytest.raises(InputError, match=r"none.safetensors: no such file.*gscon-live fit voice"):
        load_voice(tmp_path / "none.safetensors")


def test_silence_around_speech_hardly_matters() -> None:
    sound = voice(140)
    quiet = np.zeros(SAMPLE_RATE // 2, np.float32)
    around = np.concatenate([quiet, sound, quiet])
    plain, padded = first(sound), first(around)
    other = first(voice(240))
    assert np.linalg.norm(plain - padded) < 0.35 * np.linalg.norm(plain - other)


def test_the_sound_that_was_given_is_not_changed() -> None:
    sound = voice(140)
    before = sound.copy()
    sound.flags.writeable = False
    first(sound)
    assert np.array_equal(sound, before)


@pytest.mark.parametrize("shape", [(0,), (2, 100)])
def test_what_is_no_mono_sound_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="mono"):
        first(np.zeros(shape, np.float32))
