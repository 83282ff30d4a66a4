"""Another voice is noticed, the same voice is not taken for another, and long pauses count."""

import numpy as np
import pytest
from spoken import RATE, Samples, needs_librispeech, phrases_of, readers

from gscon_live.model.encoders.speaker.voice_change import LIMITS, PAUSES, VoiceChange
from gscon_live.model.encoders.voice.audio_encoder import AudioEncoder


@pytest.fixture(scope="module")
def change() -> VoiceChange:
    return VoiceChange(AudioEncoder().statistics)


@needs_librispeech
def test_readers_are_told_apart_by_a_second_of_speech(change: VoiceChange) -> None:
    voices: list[tuple[Samples, Samples]] = []
    for reader in readers():
        sounds = [clip.samples for clip in phrases_of(reader, 6, 0.35)]
        longest = max(sounds, key=len)
        voices.append((longest[: 3 * RATE], longest[-round(0.8 * RATE) :]))
    same = [change(before, after, 0.5) for before, after in voices]
    others = [
        change(voices[i][0], voices[j][1], 0.5)
        for i in range(len(voices))
        for j in range(len(voices))
        if i != j
    ]
    assert np.mean(same) <= 0.1
    assert np.mean(others) >= 0.5


def test_after_a_longer_pause_less_is_needed(change: VoiceChange) -> None:
    rng = np.random.default_rng(0)
    before, after = (rng.normal(0, 0.1, RATE).astype(np.float32) for _ in range(2))
    ratio = change.likelihood_ratio(before, after)
    assert np.isfinite(ratio)
    for pause in (0.3, 0.6, 1.0, 5.0):
        limit = np.interp(pause, PAUSES, LIMITS)
        assert change(before, after, pause) == (ratio < limit)
    assert LIMITS[0] < LIMITS[1]
