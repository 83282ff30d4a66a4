"""Composed conversations are what they say they are."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_material import DIMS, corpus

from gscon_live.model.conversations import speakers_by_appearance
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.train.data.composed import Absence, Agreement, batch, compose, with_absences

ALWAYS = {"audio": Agreement(1.0, 0.0), "visual": Agreement(1.0, 0.0)}


def centres(name: str) -> np.ndarray:
    return np.random.default_rng(99 + DIMS[name]).normal(size=(len(EMOTIONS), DIMS[name]))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 50), context=st.integers(1, 9))
def test_a_window_is_the_last_utterances_of_its_own_dialogue(seed: int, context: int) -> None:
    made = corpus(6, seed, context)
    turns = [(d, turn) for d, turns in enumerate(made.dialogues) for turn in turns]
    assert made.windows.shape == (len(turns), context)
    for place, window in enumerate(made.windows.tolist()):
        kept = [p for p in window if p >= 0]
        assert window == [-1] * (context - len(kept)) + kept
        assert kept == list(range(place - len(kept) + 1, place + 1))
        assert {turns[p][0] for p in kept} == {turns[place][0]}
        first = kept[0] == 0 or turns[kept[0] - 1][0] != turns[place][0]
        assert len(kept) == context or first
        names = [turns[p][1].speaker for p in kept]
        assert made.speakers[place, context - len(kept) :].tolist() == speakers_by_appearance(names)


def test_full_agreement_shows_the_emotion_of_the_utterance() -> None:
    made = corpus(40, 0)
    way = compose(made, ALWAYS, np.random.default_rng(0), clean=True)
    for place, name in ((1, "audio"), (2, "visual")):
        there = way.present[:, place]
        rows = way.features[name][there].numpy()
        nearest = ((rows[:, None] - centres(name)) ** 2).sum(-1).argmin(1)
        assert (nearest == made.emotions[there].numpy()).mean() > 0.9


def test_what_an_actor_never_shows_is_missing_not_faked() -> None:
    made = corpus(60, 0)
    way = compose(made, ALWAYS, np.random.default_rng(0), clean=True)
    assert set(made.emotions[~way.present[:, 1]].tolist()) == {1}
    assert way.present[:, [0, 2]].all()


def test_agreement_is_as_often_as_stated() -> None:
    made = corpus(400, 0)
    agreement = {"audio": Agreement(1.0, 0.0), "visual": Agreement(0.5, 0.3)}
    way = compose(made, agreement, np.random.default_rng(0), clean=True)
    nearest = ((way.features["visual"].numpy()[:, None] - centres("visual")) ** 2).sum(-1).argmin(1)
    labels = made.emotions.numpy()
    emotional = labels != 0
    same = (nearest == labels)[emotional].mean()
    neutral = (nearest == 0)[emotional].mean()
    assert abs(same - (0.5 + 0.2 / 7)) < 0.06
    assert abs(neutral - (0.3 + 0.2 / 7)) < 0.06


def test_a_speaker_keeps_one_actor_in_a_dialogue() -> None:
    made = corpus(30, 0)
    way = compose(made, ALWAYS, np.random.default_rng(5), clean=True)
    owner = {row.tobytes(): o for row, o in zip(made.voices.vectors[:, 0], made.voices.owners)}  # noqa: B905
    start = 0
    for turns in made.dialogues:
        cast: dict[str, set[str]] = {}
        for index, turn in enumerate(turns):
            if way.present[start + index, 1]:
                row = way.features["audio"][start + index].numpy()
                cast.setdefault(turn.speaker, set()).add(str(owner[row.tobytes()]))
        assert all(len(actors) == 1 for actors in cast.values())
        start += len(turns)


def test_only_the_modalities_asked_for_are_there() -> None:
    made = corpus(5, 0)
    way = compose(made, ALWAYS, np.random.default_rng(0), clean=True)
    rows = torch.arange(len(made.emotions))
    windows = batch(made, way, rows, ("audio",))
    assert not windows.present[..., [0, 2]].any()
    assert windows.present[..., 1].any()
    assert not windows.present[~windows.valid].any()
    assert not batch(made, way, rows, ()).present.any()


def test_absences_only_take_away_and_nothing_else_changes() -> None:
    made = corpus(30, 0)
    way = compose(made, ALWAYS, np.random.default_rng(0), clean=True)
    windows = batch(made, way, torch.arange(len(made.emotions)))
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


def test_a_habit_is_one_expression_for_all_that_a_speaker_says() -> None:
    made = corpus(60, 0)
    agreement = {"audio": Agreement(1.0, 0.0), "visual": Agreement(1.0, 0.0, habit=1.0)}
    way = compose(made, agreement, np.random.default_rng(0), clean=True)
    nearest = ((way.features["visual"].numpy()[:, None] - centres("visual")) ** 2).sum(-1).argmin(1)
    start, shown_by_all = 0, set()
    for turns in made.dialogues:
        for name in {turn.speaker for turn in turns}:
            shown = {
                int(nearest[start + i]) for i, turn in enumerate(turns) if turn.speaker == name
            }
            assert len(shown) == 1
            shown_by_all |= shown
        start += len(turns)
    assert len(shown_by_all) > 4
