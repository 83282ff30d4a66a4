"""Recording conditions under which the voice encoder is tested."""

import math
from collections.abc import Callable

import numpy as np
from scipy import signal

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.train.data.codecs import Codec, through
from gscon_live.train.encoders.voice.voice_data import Samples


def conditions(random: np.random.Generator) -> dict[str, Callable[[Samples], Samples]]:
    """Recording conditions by name, as changes of a sound: as recorded; 12 dB louder (clipped)
    or softer; in a telephone's band; with white noise at 10 dB SNR; through codecs of mobile
    telephones and of calls; in a room with a reverberation time of 0.4 s."""
    mobile = Codec("libopencore_amrnb", "amr", 8000, 7950)
    call = Codec("libopus", "ogg", 48000, 16000)
    fading = 10 ** (-3 * np.arange(0, 0.4, 1 / SAMPLE_RATE) / 0.4)
    echo = random.normal(size=len(fading)) * fading
    # Reverberation has half the power of the direct sound: a person at a desk.
    echo *= math.sqrt(0.5 / np.square(echo).sum())
    echo[0] = 1.0
    telephone = signal.butter(4, (300, 3400), "bandpass", fs=SAMPLE_RATE, output="sos")

    def louder(sound: Samples) -> Samples:
        return np.asarray(np.clip(sound * 10 ** (12 / 20), -1, 1), np.float32)

    def softer(sound: Samples) -> Samples:
        return np.asarray(sound * 10 ** (-12 / 20), np.float32)

    def narrow(sound: Samples) -> Samples:
        return np.asarray(signal.sosfilt(telephone, sound), np.float32)

    def noisy(sound: Samples) -> Samples:
        level = float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))) * 10 ** (-10 / 20)
        return np.asarray(sound + random.normal(0, level, sound.shape), np.float32)

    def echoing(sound: Samples) -> Samples:
        return np.asarray(signal.fftconvolve(sound, echo)[: len(sound)], np.float32)

    return {
        "as recorded": lambda sound: sound,
        "12 dB louder": louder,
        "12 dB softer": softer,
        "telephone band": narrow,
        "noise at 10 dB": noisy,
        "mobile telephone (AMR, 7.95 kbit/s)": lambda sound: through(sound, mobile),
        "call (Opus, 16 kbit/s)": lambda sound: through(sound, call),
        "room of 0.4 s": echoing,
    }
