"""Voices told apart: the names depend on what was said before, and their number does not grow."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.speaker.speaker_clustering import (
    MAX_UTTERANCES,
    SpeakerClustering,
    SpeakerSpace,
    load_speaker_space,
)
from gscon_live.model.encoders.voice.audio_encoder import AudioEncoder

SIZE, DIRECTIONS = 6, 3


def space(between: float = 30.0) -> SpeakerSpace:
    """One in which the first three statistics are compared as they are."""
    speaker_space = SpeakerSpace(SIZE, DIRECTIONS)
    speaker_space.projection.copy_(torch.eye(SIZE)[:, :DIRECTIONS])
    speaker_space.between.fill_(between)
    return speaker_space.eval()


def voice(person: int, random: np.random.Generator) -> np.ndarray:
    """An utterance of a person, who stands at one corner."""
    corner = np.array([3.5 if person >> place & 1 else -3.5 for place in range(DIRECTIONS)])
    statistics = np.concatenate([corner + random.normal(0, 0.4, DIRECTIONS), random.normal(size=3)])
    return statistics.astype(np.float32)


turns = st.lists(st.integers(0, 3), min_size=1, max_size=25)


@settings(deadline=None, derandomize=True)
@given(turns=turns, seed=st.integers(0, 9))
def test_people_are_named_in_order_of_appearance(turns: list[int], seed: int) -> None:
    random, speakers = np.random.default_rng(seed), SpeakerClustering(8, space())
    order = list(dict.fromkeys(turns))
    for person in turns:
        audio = voice(person, random)
        name = f"S{order.index(person) + 1}"
        assert speakers.provisional(audio) == name
        assert speakers.provisional(audio) == name
        assert speakers.final(audio) == name
    speakers.reset()
    assert speakers.final(voice(2, random)) == "S1"


@settings(deadline=None, derandomize=True)
@given(turns=turns, most=st.integers(1, 3), seed=st.integers(0, 9))
def test_no_more_are_told_apart_than_asked_for(turns: list[int], most: int, seed: int) -> None:
    random, speakers = np.random.default_rng(seed), SpeakerClustering(most, space())
    names = {speakers.final(voice(person, random)) for person in turns}
    assert len(names) == min(most, len(set(turns)))


def test_what_is_provisional_is_not_remembered() -> None:
    random, speakers = np.random.default_rng(0), SpeakerClustering(8, space())
    speakers.final(voice(0, random))
    for person in (1, 2, 3):
        assert speakers.provisional(voice(person, random)) == "S2"
    assert speakers.final(voice(3, random)) == "S2"


def test_a_voice_may_change_slowly_and_memory_does_not_grow() -> None:
    speakers = SpeakerClustering(8, space())
    start, end = voice(0, np.random.default_rng(1)), voice(1, np.random.default_rng(1))
    steps = 40 * MAX_UTTERANCES
    names = {
        speakers.final((start + (end - start) * step / steps).astype(np.float32))
        for step in range(steps)
    }
    assert names == {"S1"}
    assert len(speakers._speakers) == 1
    assert speakers._speakers[0].weight <= MAX_UTTERANCES


def test_somebody_new_becomes_less_probable_the_more_has_been_said() -> None:
    """What is between two: early it may be somebody new, after a long conversation it is not."""
    random = np.random.default_rng(0)
    odd = voice(0, random)
    odd[:DIRECTIONS] += 2.7
    names = []
    for count in (10, 3000):
        speakers = SpeakerClustering(8, space(between=3.0))
        for _ in range(count):
            speakers.final(voice(0, random))
        names.append(speakers.provisional(odd))
    assert names == ["S2", "S1"]


def test_the_space_that_ships_takes_what_the_audio_encoder_gives() -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    assert SpeakerClustering(4).final(AudioEncoder().statistics(sound)) == "S1"
    assert load_speaker_space().between.min() > 0


def test_missing_weights_are_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"speaker.safetensors.*no such file"):
        load_speaker_space(tmp_path / "speaker.safetensors")
