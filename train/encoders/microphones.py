"""Random microphones and rooms: another recording of the same voice."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gscon_live.model.labels import SAMPLE_RATE

Samples = NDArray[np.float32]

#: The largest rise or fall of the level at any frequency, in dB.
_COLOUR = 8.0
#: The level of the noise below the voice, in dB, and the highest frequency, in Hz: bounds.
_NOISE = (15.0, 40.0)
_HIGHEST = (3000.0, 9000.0)
#: What is left of the sound above the highest frequency.
_LEAK = 0.03
#: Where the rise and fall is drawn, on a scale of the logarithm of the frequency plus this, in Hz.
_LOW = 50.0


def microphone(random: np.random.Generator) -> Callable[[Samples], Samples]:
    """A random microphone in a random room: it colours the sound, cuts high frequencies off, and
    adds noise. It takes and returns sound [n] at 16 kHz."""
    levels = random.uniform(-_COLOUR, _COLOUR, int(random.integers(4, 12)))
    noise, highest = random.uniform(*_NOISE), random.uniform(*_HIGHEST)
    places = np.linspace(np.log(_LOW), np.log(SAMPLE_RATE / 2), len(levels))

    def heard(samples: Samples) -> Samples:
        spectrum = np.fft.rfft(samples)
        frequencies = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
        spectrum *= 10 ** (np.interp(np.log(frequencies + _LOW), places, levels) / 20)
        spectrum[frequencies > highest] *= _LEAK
        sound = np.fft.irfft(spectrum, len(samples))
        level = np.sqrt(np.mean(sound**2)) * 10 ** (-noise / 20)
        noisy: Samples = (sound + random.normal(0.0, 1.0, len(sound)) * level).astype(np.float32)
        return noisy

    return heard
