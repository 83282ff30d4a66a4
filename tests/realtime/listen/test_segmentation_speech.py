"""Utterance bounds on real speech with known gaps, and nothing where nobody speaks."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from spoken import (
    RATE,
    Clip,
    Placed,
    Samples,
    join,
    needs_librispeech,
    phrases_of,
    readers,
)

from gscon_live.model.speech.endpoint_detector import Segmentation
from gscon_live.realtime.listen.segmenter import Segmenter
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.session.models import Models

#: A phrase for this test has no pause longer than this (seconds), so that it is one utterance.
LONGEST_PAUSE = 0.35
PER_SPEAKER = 6
TOLERANCE = 0.25


def utterances(samples: Samples, block: int = 320) -> list[messages.Segment]:
    """What the segmenter, with the settings that ship, makes of sound in blocks of 20 ms."""
    segmenter = Segmenter(Segmentation(), changes=Models().voice_change())

    def answers() -> Iterator[object]:
        for start in range(0, len(samples), block):
            piece = samples[start : start + block].astype("<f4")
            yield from segmenter.process(messages.AudioChunk(start / RATE, piece.tobytes()))
        yield from segmenter.flush()

    return [
        message for message in answers() if isinstance(message, messages.Segment) and message.final
    ]


def librispeech_phrases(per_speaker: int) -> list[Clip]:
    """Phrases of 1 to 8 s, the first few of every one of the ten speakers."""
    return [
        phrase for reader in readers() for phrase in phrases_of(reader, per_speaker, LONGEST_PAUSE)
    ]


def found_bounds(placed: list[Placed], made: list[messages.Segment]) -> list[Placed | None]:
    """For each phrase the bounds of the one utterance over it; None for none or several."""
    answers: list[Placed | None] = []
    for clip in placed:
        over = [other for other in made if other.start < clip.end and other.end > clip.start]
        answers.append(Placed(over[0].start, over[0].end) if len(over) == 1 else None)
    return answers


@needs_librispeech
@pytest.mark.parametrize("background", [0.0, 0.0003], ids=["silence", "faint noise"])
def test_bounds_of_read_speech_are_found_within_a_quarter_second(background: float) -> None:
    rng = np.random.default_rng(11)
    clips = librispeech_phrases(PER_SPEAKER)
    assert len(clips) == 10 * PER_SPEAKER
    sound, placed = join(clips, rng.uniform(1.0, 2.0, len(clips) + 1), background, rng)
    made = utterances(sound)
    right = 0
    for phrase, other in zip(placed, found_bounds(placed, made), strict=True):
        if other is None:
            continue
        right += abs(other.start - phrase.start) <= TOLERANCE
        right += abs(other.end - phrase.end) <= TOLERANCE
    assert right >= 0.95 * 2 * len(placed)
    # Every utterance is somebody's speech.
    for segment in made:
        assert any(segment.start < other.end and segment.end > other.start for other in placed)


Noise = Callable[[np.random.Generator, int], Samples]


def _white(rng: np.random.Generator, count: int) -> Samples:
    return rng.standard_normal(count).astype(np.float32)


def _pink(rng: np.random.Generator, count: int) -> Samples:
    spectrum = np.fft.rfft(rng.standard_normal(count))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    made = np.fft.irfft(spectrum, count)
    return (made / made.std()).astype(np.float32)


def _hum(rng: np.random.Generator, count: int) -> Samples:
    turns = np.arange(count) * 50 / RATE
    made = sum(np.sin(2 * np.pi * n * turns + rng.uniform(0, 6)) / n for n in (1, 2, 3, 5, 7))
    return (made / np.std(made)).astype(np.float32)


@pytest.mark.parametrize("decibels", [-60, -40, -20])
@pytest.mark.parametrize("kind", [_white, _pink, _hum], ids=lambda kind: kind.__name__[1:])
def test_a_minute_of_noise_holds_no_utterance(kind: Noise, decibels: int) -> None:
    noise = kind(np.random.default_rng(3), 60 * RATE)
    assert utterances(np.clip(noise * np.float32(10 ** (decibels / 20)), -1, 1), 1600) == []


def test_a_minute_of_digital_silence_holds_no_utterance() -> None:
    assert utterances(np.zeros(60 * RATE, np.float32), 1600) == []
