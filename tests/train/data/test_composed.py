"""Composed conversations are what they say they are."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_material import DIMS, RECIPE, material, split

from gscon_live.common.errors import InputError
from gscon_live.model.conversations import speakers_by_appearance
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.train.data.batching import Windows
from gscon_live.train.data.composed import (
    AGREE,
    NEUTRAL,
    Absence,
    Kinds,
    compose,
    shown,
    with_absences,
)
from gscon_live.train.data.feature_banks import Bank
from gscon_live.train.networks import composed_task


def centres(name: str) -> np.ndarray:
    return np.random.default_rng(99 + DIMS[name]).normal(size=(len(EMOTIONS), DIMS[name]))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 50))
def test_composed_dialogues_are_those_of_the_split_with_other_voices_and_faces(seed: int) -> None:
    parts = split(6, seed)
    way = compose(parts, AGREE, np.random.default_rng(seed), clean=True)
    dialogues = way.dialogues(parts)
    assert len(dialogues) == len(parts.dialogues)
    place = 0
    for dialogue, turns in zip(dialogues, parts.dialogues, strict=True):
        assert dialogue.labels.tolist() == [turn.label for turn in turns]
        names = [turn.speaker for turn in turns]
        assert dialogue.speakers.tolist() == speakers_by_appearance(names)
        rows = slice(place, place + len(turns))
        assert torch.equal(dialogue.features["text"], parts.text[rows, 0])
        for m in MODALITIES:
            assert torch.equal(dialogue.features[m], way.features[m][rows])
        assert dialogue.present.all()
        place += len(turns)


def test_training_dialogues_are_composed_anew_with_each_draw() -> None:
    made = composed_task.corpus(RECIPE, material())
    draws = [made.epoch(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    first, again, other = (
        torch.cat([dialogue.features["audio"] for dialogue in dialogues]) for dialogues in draws
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    for dialogues in draws:
        labels = torch.cat([dialogue.labels for dialogue in dialogues])
        assert torch.equal(labels, material().train.emotions)


def test_training_shows_all_versions_of_what_dialogues_are_composed_of() -> None:
    given = material()
    made = composed_task.corpus(RECIPE, given)
    for m, rows in (
        ("text", given.train.text),
        ("audio", torch.from_numpy(given.train.voices.vectors)),
        ("visual", torch.from_numpy(given.train.faces.vectors)),
    ):
        assert torch.equal(made.training_features(m), rows.reshape(-1, DIMS[m]))
    assert made.label_counts.sum() == len(given.train.emotions)


def nearest(features: torch.Tensor, name: str) -> np.ndarray:
    """The emotion that each row tells."""
    distances = ((features.numpy()[:, None] - centres(name)) ** 2).sum(-1)
    return np.asarray(distances.argmin(1))


def test_full_agreement_shows_the_emotion_of_the_utterance() -> None:
    made = split(40, 0)
    way = compose(made, AGREE, np.random.default_rng(0), clean=True)
    assert torch.equal(way.features["text"], made.text[:, 0])
    for name in ("audio", "visual"):
        assert (nearest(way.features[name], name) == made.emotions.numpy()).mean() > 0.9


@settings(max_examples=40, deadline=None)
@given(emotion=st.integers(0, 6), kind=st.integers(0, 3), seed=st.integers(0, 1000))
def test_an_utterance_shows_what_its_kind_says(emotion: int, kind: int, seed: int) -> None:
    kinds = Kinds(*(float(place == kind) for place in range(4)))
    words, voice, face = shown(emotion, kinds, np.random.default_rng(seed))
    if emotion == NEUTRAL:
        assert words == voice == face == NEUTRAL
    elif kind == 0:
        assert (words, voice, face) == (NEUTRAL, emotion, emotion)
    elif kind == 1:
        assert (words, voice, face) == (emotion, NEUTRAL, NEUTRAL)
    elif kind == 2:
        assert sorted((voice, face)) == sorted((NEUTRAL, emotion))
        assert words in (NEUTRAL, emotion)
    else:
        assert len({words, voice, face} - {NEUTRAL}) == 3
        assert emotion in (words, voice, face)


def test_kinds_are_as_frequent_as_stated() -> None:
    made = split(600, 0)
    kinds = Kinds(0.4, 0.2, 0.0, 0.0)
    way = compose(made, kinds, np.random.default_rng(0), clean=True)
    labels = made.emotions.numpy()
    emotional = labels != NEUTRAL
    own = (way.features["text"] == made.text[:, 0]).all(1).numpy()
    assert abs(1 - own[emotional].mean() - 0.4) < 0.04
    assert own[~emotional].all()
    # Words that are replaced are those of neutral utterances.
    rows = {row.numpy().tobytes() for row in made.text[made.emotions == NEUTRAL, 0]}
    assert all(row.numpy().tobytes() in rows for row in way.features["text"][~own])
    voice = nearest(way.features["audio"], "audio")
    assert abs((voice[emotional] == NEUTRAL).mean() - 0.2) < 0.05


def test_too_many_kinds_are_refused() -> None:
    with pytest.raises(InputError, match=r"sum to 1.2; give at most 1"):
        Kinds(0.6, 0.6, 0.0, 0.0).check()
    assert Kinds(0.3, 0.2, 0.1, 0.1).agree == pytest.approx(0.3)


def test_an_emotion_that_nobody_shows_is_named() -> None:
    made = split(6, 0)
    kept = made.voices.emotions != EMOTIONS.index("disgust")
    poorer = Bank(made.voices.vectors[kept], made.voices.emotions[kept], made.voices.owners[kept])
    with pytest.raises(InputError, match=r"no voices show disgust .*; give more corpora"):
        compose(replace(made, voices=poorer), AGREE, np.random.default_rng(0), clean=True)


def test_what_an_actor_never_shows_is_lent_by_another() -> None:
    made = split(60, 0)
    way = compose(made, AGREE, np.random.default_rng(0), clean=True)
    lent = made.emotions == 1
    owner = {row.tobytes(): o for row, o in zip(made.voices.vectors[:, 0], made.voices.owners)}  # noqa: B905
    assert {str(owner[row.numpy().tobytes()]) for row in way.features["audio"][lent]} == {"B"}


def test_a_speaker_keeps_one_actor_in_a_dialogue() -> None:
    made = split(30, 0)
    way = compose(made, AGREE, np.random.default_rng(5), clean=True)
    owner = {row.tobytes(): o for row, o in zip(made.voices.vectors[:, 0], made.voices.owners)}  # noqa: B905
    start = 0
    for turns in made.dialogues:
        cast: dict[str, set[str]] = {}
        for index, turn in enumerate(turns):
            # Surprise is never shown by actor A.
            if turn.label != 1:
                row = way.features["audio"][start + index].numpy()
                cast.setdefault(turn.speaker, set()).add(str(owner[row.tobytes()]))
        assert all(len(actors) == 1 for actors in cast.values())
        start += len(turns)


def test_only_the_modalities_asked_for_are_there() -> None:
    parts = split(5, 0)
    way = compose(parts, AGREE, np.random.default_rng(0), clean=True)
    for dialogue, whole in zip(way.dialogues(parts, ("audio",)), way.dialogues(parts), strict=True):
        assert not dialogue.present[:, [0, 2]].any()
        assert torch.equal(dialogue.present[:, 1], whole.present[:, 1])
    assert not any(dialogue.present.any() for dialogue in way.dialogues(parts, ()))


def test_absences_only_take_away_and_nothing_else_changes() -> None:
    parts = split(30, 0)
    way = compose(parts, AGREE, np.random.default_rng(0), clean=True)
    whole = Windows(way.dialogues(parts), 4)
    windows = whole.take(range(len(whole.lengths))).conversations
    random = torch.Generator().manual_seed(0)
    none = with_absences(windows, Absence(0, 0, 0), random)
    assert torch.equal(none.present, windows.present)
    assert torch.equal(none.speakers, windows.speakers)
    some = with_absences(windows, Absence(0.3, 0.1, 0.5), random)
    assert not (some.present & ~windows.present).any()
    share = some.present[windows.present].float().mean()
    assert abs(share - 0.7 * 0.9) < 0.06
    everything = with_absences(windows, Absence(1.0, 0, 1.0), random)
    assert not everything.present.any()
    assert not everything.speakers.any()
    assert set(some.features) == set(MODALITIES)
