"""Utterances of strangers are composed of what their kind says."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gscon_live.model.encoders.text.text_encoder import TextEncoder
from gscon_live.model.encoders.voice.audio_encoder import AudioEncoder
from gscon_live.model.encoders.voice.voice_statistics import VoiceStatistics
from gscon_live.model.labels import EMOTIONS
from gscon_live.train.encoders.voice.voice_data import Voices
from gscon_live.train.strangers.composed import (
    CONVERSATIONS,
    KINDS,
    LENGTH,
    compose,
    turns,
)

NEUTRAL = EMOTIONS.index("neutral")


@given(seed=st.integers(0, 1000), left_out=st.sets(st.integers(1, 6), max_size=3))
def test_a_turn_shows_what_its_kind_says(seed: int, left_out: set[int]) -> None:
    emotions = [emotion for emotion in range(7) if emotion not in left_out]
    drawn = turns(emotions, 60, np.random.default_rng(seed))
    for turn in drawn:
        text, voice, face = turn.shown
        assert set(turn.shown) <= set(emotions)
        match turn.kind:
            case "all agree":
                assert text == voice == face == turn.label
            case "neutral words":
                assert text == NEUTRAL
                assert voice == face == turn.label != NEUTRAL
            case "emotional words":
                assert voice == face == NEUTRAL
                assert text == turn.label != NEUTRAL
            case "disagreement":
                assert len({text, voice, face}) == 3
                assert NEUTRAL not in turn.shown
                assert turn.label is None


def test_all_kinds_are_about_equally_many() -> None:
    counts = Counter(turn.kind for turn in turns(range(7), 4000, np.random.default_rng(2)))
    assert set(counts) == set(KINDS)
    assert min(counts.values()) > 900


def test_voice_and_face_of_an_utterance_are_what_its_turn_shows() -> None:
    """Each made voice and face has its emotion in its first value, and voices their speaker in the
    second."""
    rows = [(speaker, emotion) for speaker in range(3) for emotion in range(7) for _ in range(2)]
    statistics = np.zeros((len(rows), VoiceStatistics.dim))
    statistics[:, :2] = [(emotion, speaker) for speaker, emotion in rows]
    corpus = Voices(
        statistics=statistics,
        speakers=np.array([f"actor {speaker}" for speaker, _ in rows]),
        genders=np.array(["women"] * len(rows)),
        emotions=np.array([emotion for _, emotion in rows]),
    )
    faces = {emotion: np.full((2, 4), emotion, np.float32) for emotion in range(7)}
    encoder = AudioEncoder()
    composed = compose(corpus, encoder, faces, np.random.default_rng(3), conversations=4)
    assert len(composed.conversations) == 4
    assert len(composed.turns) == 4 * LENGTH <= CONVERSATIONS * LENGTH
    dim = TextEncoder().dim
    spoken = [utterance for conversation in composed.conversations for utterance in conversation]
    for turn, (features, _) in zip(composed.turns, spoken, strict=True):
        assert features.audio is not None
        assert features.visual is not None
        assert features.text is not None
        assert features.audio[0] == turn.shown[1]
        assert features.visual[0] == turn.shown[2]
        assert len(features.text) == dim
    for conversation in composed.conversations:
        owners = {(speaker, float(features.audio[1])) for features, speaker in conversation}
        assert len(owners) == len({owner for _, owner in owners}) == 2
        # Voices are read as they are live: each speaker's usual voice is learned on the way.
        encoder.reset()
        for features, speaker in conversation:
            assert np.array_equal(encoder.final(features.audio, speaker), features.audio)
