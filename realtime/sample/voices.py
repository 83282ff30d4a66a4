"""Synthetic voices that follow an emotion: who says a line, and how.

The package hibari-tts synthesizes one voice as spectra and a pitch. Before these become sound,
pitch, loudness, effort and breath change as they do in emotional speech (Scherer, "Vocal
communication of emotion", Speech Communication 40, 2003). The second speaker has the same voice
with a lower pitch and lower resonances, like those of a longer vocal tract.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gscon_live.common.errors import Failure

RATE = 24_000
BREAK = 0.2  # s between the sentences of a line, at plain speed
CEILING = 0.95  # the loudest sample; 1 is full scale
QUIET = 0.01  # what lies below is silence before and after a sentence
VOICED = 40.0  # Hz; the synthesizer gives less where the vocal cords do not move
LOST = -9.0  # log magnitude of frequencies that the synthesizer does not give

Samples = NDArray[np.float32]
Spectrum = NDArray[np.float32]


class Voice(NamedTuple):
    """A speaker: factors of the pitch and of the resonances of the synthesizer's voice."""

    pitch: float
    resonances: float


class Manner(NamedTuple):
    """How a line is said.

    `speed`, `pitch` and `melody` are factors: of the rate, of the pitch, and of how far the pitch
    moves about its mean. `loudness` is in dB below full scale, `effort` in dB per octave from
    500 Hz to 4 kHz, `breath` in dB of noise, `tremor` a share of the pitch.
    """

    speed: float
    pitch: float
    melody: float
    loudness: float
    effort: float = 0.0
    breath: float = 0.0
    tremor: float = 0.0


VOICES = {"Ada": Voice(pitch=1.0, resonances=1.0), "Ben": Voice(pitch=0.5, resonances=0.82)}

MANNERS = {
    "neutral": Manner(1.0, 1.0, 1.0, -25.0),
    "surprise": Manner(1.05, 1.38, 1.7, -21.0, effort=1.0),
    "fear": Manner(1.15, 1.25, 0.8, -28.0, effort=-1.0, breath=6.0, tremor=0.025),
    "sadness": Manner(0.8, 0.88, 0.5, -30.0, effort=-3.0, breath=3.0),
    "joy": Manner(1.08, 1.28, 1.5, -20.5, effort=1.0),
    "disgust": Manner(0.86, 0.86, 1.1, -24.5, effort=0.5),
    "anger": Manner(1.12, 1.2, 1.35, -17.0, effort=3.5, breath=-6.0),
}


class Synthesizer:
    """Speaks lines. The same versions of the packages give the same sound on the same machine."""

    def __init__(self) -> None:
        from hibari import Hibari

        self._synthesizer: Any = Hibari()

    def speak(self, text: str, voice: Voice, manner: Manner) -> Samples:
        """The line as sound at `RATE`, without the silence before and after it.

        Raises:
            Failure: there is no sound for the line.
        """
        random = np.random.default_rng(0)
        parts: list[Samples] = []
        for phonemes in self._synthesizer.phonemize(text):
            if parts:
                parts.append(np.zeros(round(BREAK / manner.speed * RATE), np.float32))
            sound = self._sentence(phonemes, voice, manner, random)
            parts.append(without_silence(sound / np.abs(sound).max(initial=QUIET)))
        if not any(part.any() for part in parts):
            raise Failure(f"hibari-tts: no sound for {text!r}; use other words")
        return without_silence(at_loudness(np.concatenate(parts), manner.loudness))

    def _sentence(
        self, phonemes: str, voice: Voice, manner: Manner, random: np.random.Generator
    ) -> Samples:
        from hibari import dsp

        inputs = {
            "ids": np.array([self._synthesizer.ids(phonemes)], np.int64),
            "speed": np.array([manner.speed], np.float32),
        }
        harmonic, angle, noise, free, phase, pitch = (
            output[0] for output in self._synthesizer.sess.run(None, inputs)
        )
        spoken = melody(pitch, voice.pitch * manner.pitch, manner.melody, manner.tremor)
        if not np.array_equal(spoken, pitch):
            # These phases belong to the old pitch, and would sound along with the new one.
            voiced = pitch > VOICED
            phase = np.where(voiced, random.uniform(-np.pi, np.pi, phase.shape), phase)
            free = free - np.where(voiced, nepers(4.0), 0.0)
        slope = effort(len(harmonic), manner.effort)
        harmonic = resonant(harmonic, voice.resonances, LOST) + slope
        noise = resonant(noise, voice.resonances, LOST) + slope + nepers(manner.breath)
        free = resonant(free, voice.resonances, LOST) + slope + nepers(manner.breath)
        angle = resonant(angle, voice.resonances, 0.0)
        given = (harmonic, angle, noise, free, phase, spoken)
        spectra = (part.astype(np.float32) for part in given)
        return np.asarray(dsp.synth(*spectra, random), np.float32)


def without_silence(sound: Samples) -> Samples:
    """The sound from its first to its last sample that is heard."""
    heard = np.flatnonzero(np.abs(sound) > QUIET)
    return sound[heard[0] : heard[-1] + 1] if len(heard) else sound[:0]


def nepers(decibels: float) -> float:
    """A level as natural logarithm of an amplitude, which the synthesizer's spectra are in."""
    return float(decibels * np.log(10) / 20)


def melody(pitch: Samples, factor: float, width: float, tremor: float) -> Samples:
    """The pitch (frames of 12.5 ms, Hz) times `factor`, `width` times as far about its mean."""
    voiced = pitch > VOICED
    if not voiced.any() or (factor, width, tremor) == (1.0, 1.0, 0.0):
        return pitch
    mean = np.exp(np.log(pitch[voiced]).mean())
    shaking = 1 + tremor * np.sin(2 * np.pi * 6.0 * 0.0125 * np.arange(len(pitch)))
    moved = mean * factor * (np.maximum(pitch, 1.0) / mean) ** width * shaking
    return np.asarray(np.where(voiced, np.clip(moved, 60.0, 520.0), pitch), np.float32)


def effort(bins: int, slope: float) -> Spectrum:
    """What effort adds to each frequency: a pressed voice has more of the high ones."""
    frequency = np.arange(bins) * RATE / 2 / (bins - 1)
    octaves = np.log2(np.clip(frequency, 500.0, 4000.0) / 500.0)
    return np.asarray(nepers(slope) * octaves[:, None], np.float32)


def resonant(spectrum: Spectrum, factor: float, beyond: float) -> Spectrum:
    """A spectrum (frequencies, frames) with all its resonances at `factor` times the frequency."""
    if factor == 1.0:
        return spectrum
    source = np.arange(len(spectrum)) / factor
    below = np.minimum(source.astype(int), len(spectrum) - 1)
    above = np.minimum(below + 1, len(spectrum) - 1)
    share = (source - below)[:, None]
    moved = spectrum[below] * (1 - share) + spectrum[above] * share
    moved[source > len(spectrum) - 1] = beyond
    return np.asarray(moved, np.float32)


def at_loudness(sound: Samples, loudness: float) -> Samples:
    """The sound with its speaking parts at `loudness` dB below full scale, without overload."""
    frames = sound[: len(sound) // 480 * 480].reshape(-1, 480)
    power = np.square(frames).mean(axis=1)
    speaking = power[power > 1e-3 * power.max()].mean()
    louder = sound * np.float32(10 ** (loudness / 20) / np.sqrt(speaking))
    return np.asarray(louder * min(1.0, CEILING / np.abs(louder).max()), np.float32)
