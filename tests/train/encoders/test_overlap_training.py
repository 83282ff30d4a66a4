"""The overlap detector learns from mixtures; voices made of harmonics stand for people."""

import msgspec
import numpy as np
import pytest
import torch

from gscon_live.model.speech.overlap import (
    FRAME_SECONDS,
    WEIGHTS,
    OverlapNet,
    load_overlap_net,
)
from gscon_live.train.corpora import data_folder, librispeech
from gscon_live.train.data.mixtures import Recordings, frames_of, mixed, speech, utterance, voiced
from gscon_live.train.encoders.overlap import (
    OverlapRecipe,
    examples,
    figures_of,
    parts_of,
    threshold_for,
    train,
)

RATE = 16_000


def voice(pitch: float, seconds: float, seed: int) -> np.ndarray:
    """Harmonics of a pitch that moves, in syllables."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    moving = pitch * (1 + 0.1 * np.sin(2 * np.pi * (0.8 * time + random.random())))
    phase = 2 * np.pi * np.cumsum(moving) / RATE
    sound = sum(np.sin(n * phase + random.random() * 6) / n for n in range(1, 16))
    loud = 0.2 + np.abs(np.sin(np.pi * (3 * time + random.random())))
    return speech((0.05 * loud * sound).astype(np.float32))


@pytest.fixture(scope="module")
def people() -> Recordings:
    pitches = np.geomspace(90, 300, 12)
    return {
        f"p{number:02d}": [voice(pitch, 2.0, 10 * number + own) for own in range(3)]
        for number, pitch in enumerate(pitches)
    }


def test_frames_overlap_where_both_have_a_voice(people: Recordings) -> None:
    random = np.random.default_rng(0)
    first = utterance(people["p00"], 4.0, random)
    second = utterance(people["p05"], 1.5, random)
    mixture = mixed(first, second, 1.0, random)
    assert len(mixture.samples) == len(first)
    assert len(mixture.overlapped) == frames_of(len(first))
    places = np.flatnonzero(mixture.overlapped) * FRAME_SECONDS
    assert places.min() >= 0.9
    assert places.max() <= 2.5
    assert len(places) * FRAME_SECONDS > 1.0
    assert not mixed(first, None, 0.0, random).overlapped.any()


def test_speech_has_a_level_and_no_silence_around_it() -> None:
    padded = np.concatenate([np.zeros(RATE), 3 * voice(120, 1.0, 0), np.zeros(RATE)])
    found = speech(padded.astype(np.float32))
    assert len(found) / RATE == pytest.approx(1.0, abs=0.15)
    assert voiced(found).mean() > 0.9


def test_the_threshold_is_chosen_by_others_than_the_network(people: Recordings) -> None:
    own, others = parts_of(people, 0.25)
    assert not set(own) & set(others)
    assert set(own) | set(others) == set(people)
    assert len(others) == 3


def test_it_learns_to_hear_two_voices(people: Recordings) -> None:
    torch.manual_seed(0)
    recipe = OverlapRecipe(steps=60, batch=8, utterances=30)
    own, others = parts_of(people, 0.25)
    net = train(recipe, own, lambda done, total, line: None)
    net.threshold.fill_(threshold_for(net, examples(others, recipe, seed=1)))
    figures = figures_of(net, examples(others, recipe, seed=2))
    assert figures["marked"] > 0.6
    assert figures["false_alarms"] < 0.3
    assert figures["overlaps"] > 20


def test_a_network_that_hears_nothing_marks_nothing(people: Recordings) -> None:
    recipe = OverlapRecipe(utterances=20)
    net = OverlapNet().eval().requires_grad_(False)
    torch.nn.init.zeros_(net.answer[2].weight)
    torch.nn.init.constant_(net.answer[2].bias, -9.0)
    spoken = examples(people, recipe, seed=1)
    net.threshold.fill_(threshold_for(net, spoken))
    assert figures_of(net, spoken)["marked"] == figures_of(net, spoken)["false_alarms"] == 0


@pytest.mark.skipif(
    not (data_folder() / librispeech.FILE).is_file(), reason="LibriSpeech is not in GSCON_DATA"
)
def test_the_one_that_ships_hears_readers_as_its_card_says() -> None:
    """On other mixtures of LibriSpeech, which chose nothing."""
    readers: dict[str, list[np.ndarray]] = {}
    for reader, sound in librispeech.load():
        readers.setdefault(reader, []).append(speech(sound))
    spoken = examples(readers, OverlapRecipe(utterances=100), seed=99)
    found = figures_of(load_overlap_net(), spoken)
    card = msgspec.json.decode(WEIGHTS.with_suffix(".json").read_bytes())["figures"]["librispeech"]
    assert found["marked"] == pytest.approx(card["marked"], abs=0.12)
    assert found["false_alarms"] < 0.05
    assert found["marked_at_5_percent"] >= 0.8
