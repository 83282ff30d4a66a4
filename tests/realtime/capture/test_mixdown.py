"""A voice in any channel is heard, however many there are and whatever they are called."""

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_media import RATE, ffmpeg, make, replay, sound

from gscon_live.realtime.capture.mixdown import Mixdown

Channels = npt.NDArray[np.float32]


def voice(seconds: float = 2.0, frequency: float = 300.0) -> Channels:
    times = np.arange(round(seconds * RATE)) / RATE
    return (0.25 * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


def noise(seconds: float = 2.0, seed: int = 0) -> Channels:
    found = np.random.default_rng(seed).normal(0, 0.001, round(seconds * RATE))
    return found.astype(np.float32)


def wav(path: Path, channels: list[Channels]) -> Path:
    """A plain WAV file: its channels have no names."""
    samples = np.round(np.stack(channels, axis=1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return path


def level(samples: Channels) -> float:
    """Root mean square in dB, relative to `voice`, without the first half second."""
    power = np.mean(np.square(samples[RATE // 2 :]))
    return float(10 * np.log10(power / np.mean(np.square(voice())) + 1e-12))


@pytest.mark.fault
@pytest.mark.parametrize("count", [2, 3, 4, 6, 8, 9, 32, 60, 512])
def test_a_voice_in_the_last_of_many_unnamed_channels_is_heard(tmp_path: Path, count: int) -> None:
    """3, 9 or more channels without names, a voice in the last: heard."""
    channels = [noise(seed=number) for number in range(count - 1)]
    path = wav(tmp_path / "many.wav", [*channels, voice()])
    assert level(sound(replay(path)[1])) > -12.5


@pytest.mark.fault
@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_u8", "pcm_s24le", "pcm_f32le", "flac", "aac"])
def test_channels_that_cancel_each_other_are_heard(tmp_path: Path, codec: str) -> None:
    """Stereo whose channels cancel each other: the louder one is heard."""
    plain = wav(tmp_path / "plain.wav", [voice(), -voice()])
    path = tmp_path / "cancel.mkv"
    ffmpeg("-i", plain, "-c:a", codec, path)
    assert level(sound(replay(path)[1])) == pytest.approx(0.0, abs=1.0)


def test_the_louder_of_two_channels_that_nearly_cancel_is_taken(tmp_path: Path) -> None:
    path = wav(tmp_path / "nearly.wav", [voice(), -0.8 * voice()])
    assert level(sound(replay(path)[1])) == pytest.approx(0.0, abs=0.5)


@pytest.mark.fault
def test_a_voice_in_the_channel_that_ffmpeg_takes_for_a_subwoofer_is_heard(tmp_path: Path) -> None:
    """A voice in the channel that counts as a subwoofer's: heard."""
    path = tmp_path / "named.wav"
    ffmpeg("-i", wav(tmp_path / "a.wav", [0 * voice(), 0 * voice(), voice()]),
           "-af", "channelmap=channel_layout=2.1", path)  # fmt: skip
    assert level(sound(replay(path)[1])) > -12.5


def test_a_film_is_mixed_by_its_names_and_its_voice_is_in_the_centre(tmp_path: Path) -> None:
    """FL FR FC LFE BL BR: the rumble of the subwoofer is left out."""
    rumble = 0.5 * voice(frequency=40)
    plain = wav(tmp_path / "a.wav", [noise(), noise(), voice(), rumble, noise(), noise()])
    path = tmp_path / "film.mkv"
    ffmpeg("-i", plain, "-af", "channelmap=channel_layout=5.1", "-c:a", "flac", path)
    samples = sound(replay(path)[1])
    spectrum = np.abs(np.fft.rfft(samples[:RATE] * np.hanning(RATE)))
    assert spectrum[300] > 50 * spectrum[40]
    assert level(samples) > -14


def test_two_people_on_two_microphones_are_both_heard(tmp_path: Path) -> None:
    ada, ben = voice(2, 300), voice(2, 500)
    path = wav(tmp_path / "two.wav", [np.r_[ada, noise()], np.r_[noise(), ben]])
    samples = sound(replay(path)[1])
    assert level(samples[: 2 * RATE]) == pytest.approx(-6, abs=0.5)
    assert level(samples[2 * RATE :]) == pytest.approx(-6, abs=0.5)


def test_mono_comes_as_it_was(tmp_path: Path) -> None:
    path = make(tmp_path / "mono.wav", audio=[voice()])
    assert np.abs(sound(replay(path)[1]) - voice()).max() < 2 / 32768


@settings(deadline=None, max_examples=50)
@given(
    count=st.integers(2, 12),
    block=st.integers(160, 1600),
    seed=st.integers(0, 10_000),
    opposed=st.booleans(),
)
def test_no_mix_is_louder_than_its_loudest_channel_or_has_clicks(
    count: int, block: int, seed: int, opposed: bool
) -> None:
    random = np.random.default_rng(seed)
    gains = random.uniform(-1 if opposed else 0, 1, count)
    channels = np.stack([gain * voice(0.5) for gain in gains], axis=1).astype(np.float32)
    mix = Mixdown(["NONE"] * count)
    out = np.concatenate(
        [mix(channels[first : first + block], RATE) for first in range(0, len(channels), block)]
    )
    assert len(out) == len(channels)
    assert np.abs(out).max() <= np.abs(channels).max() + 1e-6
    steepest = np.abs(np.diff(channels, axis=0)).max()
    assert np.abs(np.diff(out)).max() <= steepest + 2 * np.abs(channels).max() / block + 1e-6
