"""Sound through the codecs of telephones and calls."""

import numpy as np
import pytest
from scipy import signal

from gscon_live.common.errors import Failure
from gscon_live.train.data.codecs import CALLS, TELEPHONE, Codec, through


def voice(seconds: float = 1.5) -> np.ndarray:
    """Like a voice: pulses at 150 Hz through three resonances, up and down."""
    time = np.arange(int(seconds * 16_000)) / 16_000
    pulses = np.zeros(len(time))
    pulses[:: 16_000 // 150] = 1
    sound = sum(
        signal.lfilter(*signal.iirpeak(middle, 8, fs=16_000), pulses)
        for middle in (600, 1500, 5500)
    )
    sound = sound * (1 + np.sin(2 * np.pi * 3 * time))
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def loudness(sound: np.ndarray, lowest: float, highest: float) -> float:
    """Power between two frequencies."""
    frequencies, power = signal.welch(sound, 16_000, nperseg=1024)
    return float(power[(frequencies >= lowest) & (frequencies < highest)].sum())


@pytest.mark.parametrize("codec", TELEPHONE + CALLS, ids=str)
def test_a_codec_keeps_length_level_and_what_is_said(codec: Codec) -> None:
    sound = voice()
    heard = through(sound, codec)
    assert heard.shape == sound.shape
    assert heard.dtype == np.float32
    assert not np.array_equal(heard, sound)
    assert 0.4 < heard.std() / sound.std() < 1.6
    assert loudness(heard, 300, 3000) > 0.3 * loudness(sound, 300, 3000)
    np.testing.assert_array_equal(through(sound, codec), heard)


@pytest.mark.parametrize("codec", TELEPHONE, ids=str)
def test_a_telephone_gives_nothing_above_four_kilohertz(codec: Codec) -> None:
    sound = voice()
    assert loudness(through(sound, codec), 4300, 8000) < 0.01 * loudness(sound, 4300, 8000)


def test_a_call_of_enough_bits_gives_high_sound_too() -> None:
    sound = voice()
    heard = through(sound, Codec("libopus", "ogg", 48000, 24000))
    assert loudness(heard, 4300, 8000) > 0.3 * loudness(sound, 4300, 8000)


@pytest.mark.parametrize("codec", TELEPHONE + CALLS, ids=str)
def test_the_shortest_sound_keeps_its_length(codec: Codec) -> None:
    assert through(voice()[:400], codec).shape == (400,)


@pytest.mark.parametrize(
    "codec", [Codec("nothing", "wav", 8000), Codec("pcm_mulaw", "nowhere", 8000)]
)
def test_a_codec_that_is_not_there_is_one_line(codec: Codec) -> None:
    with pytest.raises(Failure, match=r"cannot write \w+ in \w+ .*coded=0$"):
        through(voice(), codec)
