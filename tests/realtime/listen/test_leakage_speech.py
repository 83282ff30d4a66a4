"""Leakage between the channels of people who talk: what is soft is not heard twice."""

import numpy as np
import pytest
from numpy.typing import NDArray
from spoken import LIBRISPEECH, phrases_of, readers

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.model.speech.endpoint_detector import Segmentation
from gscon_live.realtime.listen.channel_segmenter import ChannelSegmenter
from gscon_live.realtime.pipeline import messages

pytestmark = pytest.mark.skipif(
    not LIBRISPEECH.is_file(), reason="LibriSpeech is not in GSCON_DATA"
)
Samples = NDArray[np.float32]


def phrases(reader: str, count: int) -> list[Samples]:
    """Phrases of a reader, all at the same level."""
    found = [clip.samples for clip in phrases_of(reader, count, 0.3)]
    return [samples * np.float32(0.05 / np.sqrt(np.mean(samples**2))) for samples in found]


def utterances(sound: Samples) -> list[messages.Segment]:
    stage = ChannelSegmenter(Segmentation(), ["S1", "S2"])
    made: list[messages.Message] = []
    for at in range(0, sound.shape[1], 4000):
        raw = np.ascontiguousarray(sound[:, at : at + 4000], np.float32).tobytes()
        made += stage.process(messages.AudioChunk(at / SAMPLE_RATE, raw, 2))
    made += stage.flush()
    return [m for m in made if isinstance(m, messages.Segment) and m.final]


def shared(found: list[messages.Segment], speaker: str, start: float, end: float) -> float:
    """Seconds of a speaker's utterances between two times."""
    return sum(
        max(0.0, min(end, one.end) - max(start, one.start))
        for one in found
        if one.speaker == speaker
    )


@pytest.mark.parametrize("softer", [15.0, 25.0])
def test_those_who_take_turns_are_not_heard_on_the_others_channel(softer: float) -> None:
    random = np.random.default_rng(1)
    first, second = (phrases(reader, 3) for reader in readers()[:2])
    own: list[list[Samples]] = [[], []]
    turns: list[tuple[str, float, float]] = []
    at = 0
    for number in range(6):
        clip = (first, second)[number % 2][number // 2]
        gap = round(random.uniform(0.3, 1.2) * SAMPLE_RATE)
        padded = np.concatenate([np.zeros(gap, np.float32), clip])
        own[number % 2].append(padded)
        own[1 - number % 2].append(np.zeros_like(padded))
        begin, at = at + gap, at + len(padded)
        turns.append((f"S{number % 2 + 1}", begin / SAMPLE_RATE, at / SAMPLE_RATE))
    left, right = (np.concatenate(parts) for parts in own)
    factor = np.float32(10 ** (-softer / 20))
    sound = np.stack([left + factor * np.roll(right, 160), right + factor * np.roll(left, 160)])
    sound += random.normal(0, 1e-4, sound.shape).astype(np.float32)
    found = utterances(sound)
    for speaker, start, end in turns:
        assert shared(found, speaker, start, end) > 0.5 * (end - start)
    for one in found:
        mine = sum(
            max(0.0, min(one.end, end) - max(one.start, start))
            for speaker, start, end in turns
            if speaker == one.speaker
        )
        assert mine > 0.5 * (one.end - one.start)


def test_who_is_6_db_softer_at_the_same_time_is_heard() -> None:
    first = np.concatenate(phrases(readers()[0], 3))
    second = phrases(readers()[1], 1)[0] / 2
    begin = 2 * SAMPLE_RATE
    second = second[: len(first) - begin]
    sound = np.zeros((2, len(first) + SAMPLE_RATE), np.float32)
    sound[0, : len(first)] = first
    sound[1, begin : begin + len(second)] = second
    sound += np.random.default_rng(0).normal(0, 1e-4, sound.shape).astype(np.float32)
    found = utterances(sound)
    end = 2 + len(second) / SAMPLE_RATE
    assert shared(found, "S2", 2.0, end) > 0.7 * (end - 2)
    assert sum(one.overlap or 0.0 for one in found if one.speaker == "S2") > 0.5 * (end - 2)
