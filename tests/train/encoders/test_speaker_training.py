"""The space in which speakers are told apart, made of voices made up as Gaussians."""

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gscon_live.model.encoders.speaker.speaker_clustering import DIRECTIONS, SpeakerSpace
from gscon_live.train.encoders import speaker
from gscon_live.train.encoders.speaker import (
    SpeakerRecipe,
    Utterances,
    confusion,
    converse,
    space,
)

PEOPLE = tuple(f"p{number:02d}" for number in range(24))


def voices(apart: float, seed: int = 0, each: int = 30) -> Utterances:
    """Utterances of 24 speakers, whose statistics differ in their first 40 by `apart` deviations;
    the units of statistics differ a thousandfold."""
    random = np.random.default_rng(seed)
    means = np.zeros((len(PEOPLE), 114))
    means[:, :40] = apart * random.normal(size=(len(PEOPLE), 40))
    rows = means.repeat(each, 0) + random.normal(size=(len(PEOPLE) * each, 114))
    units = 10 ** np.linspace(-1, 2, 114)
    return Utterances(
        (5 + rows * units).astype(np.float32),
        np.repeat(PEOPLE, each),
        random.uniform(1, 6, len(rows)),
    )


def test_a_speakers_utterances_scatter_by_one_around_means_that_scatter_by_between() -> None:
    spoken = voices(apart=2)
    made = space(spoken, shrinkage=0.1)
    places = made(torch.from_numpy(spoken.statistics)).numpy()
    assert places.shape == (len(spoken.statistics), DIRECTIONS)
    within, means = [], []
    for name in PEOPLE:
        mine = places[spoken.speakers == name]
        within.append(mine.var(0))
        means.append(mine.mean(0))
    np.testing.assert_allclose(np.mean(within, 0), 1, rtol=1e-3)
    np.testing.assert_allclose(np.mean(means, 0), 0, atol=1e-3)
    np.testing.assert_allclose(np.var(means, 0), made.between.numpy(), rtol=1e-3)
    assert (made.between > 1).all(), "speakers differ more than their utterances"


def test_statistics_that_do_not_tell_speakers_apart_hardly_count() -> None:
    spoken = voices(apart=2)
    made = space(spoken, shrinkage=0.1)
    weights = made.projection.square().sum(1)
    assert weights[40:].mean() < 0.1 * weights[:40].mean()


def test_a_conversation_of_voices_far_apart_is_told_apart_without_error() -> None:
    spoken = voices(apart=3)
    made = space(spoken.of(PEOPLE[:21]), shrinkage=0.1)
    for count in (1, 2, 3):
        wrong, heard = converse(
            made, spoken.of(PEOPLE[21:]), count, 10, np.random.default_rng(count)
        )
        assert (wrong, heard) == (pytest.approx(0), count)


def test_confusion_is_the_time_given_to_the_wrong_speaker_under_the_best_names() -> None:
    people = ["anna", "anna", "ben", "ben"]
    seconds = [1.0, 2.0, 3.0, 4.0]
    assert confusion(["S1", "S1", "S2", "S2"], people, seconds) == pytest.approx(0)
    assert confusion(["S2", "S2", "S1", "S1"], people, seconds) == pytest.approx(0)
    # Everybody is one: Ben, who spoke longest, is right.
    assert confusion(["S1"] * 4, people, seconds) == pytest.approx(0.3)
    # Ben is two: the shorter half of his time is wrong.
    assert confusion(["S1", "S1", "S2", "S3"], people, seconds) == pytest.approx(0.3)
    # Anna's second utterance is given to Ben.
    assert confusion(["S1", "S2", "S2", "S2"], people, seconds) == pytest.approx(0.2)


@given(
    st.lists(
        st.tuples(st.sampled_from("ABC"), st.sampled_from("xyz"), st.floats(0.1, 9)),
        min_size=1,
        max_size=12,
    )
)
def test_confusion_knows_no_names(turns: list[tuple[str, str, float]]) -> None:
    heard, people, seconds = (list(column) for column in zip(*turns, strict=True))
    found = confusion(heard, people, seconds)
    assert -1e-9 <= found < 1
    renamed = [{"A": "S3", "B": "S1", "C": "S2"}[name] for name in heard]
    assert confusion(renamed, people, seconds) == pytest.approx(found)
    assert confusion(people, people, seconds) == pytest.approx(0)


def test_nobody_is_measured_in_a_space_that_was_made_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    actors, readers = voices(apart=3), voices(apart=3, seed=1)
    monkeypatch.setattr(speaker, "_actor_utterances", lambda report: actors)
    monkeypatch.setattr(speaker, "_reader_utterances", lambda report: readers)
    made_of: dict[int, set[str]] = {}
    measured: dict[int, set[str]] = {}
    make = speaker.space

    def watched_space(spoken: Utterances, shrinkage: float) -> SpeakerSpace:
        made = make(spoken, shrinkage)
        made_of[id(made)] = set(spoken.speakers)
        return made

    def watched_converse(
        space: SpeakerSpace, spoken: Utterances, *rest: object
    ) -> tuple[float, int]:
        if spoken.statistics is not readers.statistics:
            measured.setdefault(id(space), set()).update(spoken.speakers)
        return converse(space, spoken, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(speaker, "space", watched_space)
    monkeypatch.setattr(speaker, "converse", watched_converse)
    recipe = SpeakerRecipe(folds=8, conversations=8, utterances=5)
    fitted = speaker.fit(recipe, lambda done, count, line: None)
    assert made_of[id(fitted.space)] == set(PEOPLE), "what ships is made of all"
    assert len(measured) == 8
    assert set().union(*measured.values()) == set(PEOPLE)
    for one, people in measured.items():
        assert not people & made_of[one]
    for material in ("acted", "read"):
        assert set(fitted.confusion[material]) == {1, 2, 3}
        for figures in fitted.confusion[material].values():
            assert 0 <= figures["confusion"] < 1
            assert figures["speakers"] >= 1


@pytest.mark.parametrize("folds", [2, 12])
def test_parts_too_few_to_make_a_space_or_to_converse_are_refused(folds: int) -> None:
    with pytest.raises(msgspec.ValidationError, match="folds"):
        msgspec.convert({"folds": folds}, SpeakerRecipe)
