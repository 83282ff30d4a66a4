"""Training of the voice encoder, on voices that are drawn."""

from dataclasses import fields
from pathlib import Path

import msgspec
import numpy as np
import pytest
import small_corpora
from progress import quiet

from gscon_live.common.cli import run
from gscon_live.model.labels import EMOTIONS
from gscon_live.train import fit as fit_command
from gscon_live.train.encoders.voice.left_out import AFTER, ORDERS, LeftOutVoices, predictions
from gscon_live.train.encoders.voice.recipe import VoiceRecipe
from gscon_live.train.encoders.voice.training import CORPORA, fitted
from gscon_live.train.encoders.voice.voice_bank import VERSIONS, voice_bank
from gscon_live.train.encoders.voice.voice_data import (
    READERS,
    Voices,
    drawn,
    in_conversation,
    in_moods,
    voices,
)

RECIPE = VoiceRecipe(penalty=1.0)
SIZE = 6


def voices_of(name: str, offset: float, seed: int, speakers: int = 4, each: int = 6) -> Voices:
    """Each emotion moves the statistics the same way for everybody; speakers and corpora differ by
    far more than emotions do."""
    random = np.random.default_rng(seed)
    directions = np.random.default_rng(0).normal(size=(len(EMOTIONS), SIZE))
    rows, names, genders, labels = [], [], [], []
    for number in range(speakers):
        own = offset + random.normal(0, 3, SIZE)
        for emotion in range(len(EMOTIONS)):
            rows.append(own + directions[emotion] + random.normal(0, 0.7, (each, SIZE)))
            names += [f"{name}-{number}"] * each
            genders += [("women", "men")[number % 2]] * each
            labels += [emotion] * each
    return Voices(np.concatenate(rows), np.array(names), np.array(genders), np.array(labels))


def without_emotion(spoken: Voices, emotion: int) -> Voices:
    kept = spoken.emotions != emotion
    return Voices(*(getattr(spoken, field.name)[kept] for field in fields(spoken)))


@pytest.fixture(scope="module")
def sets() -> dict[str, Voices]:
    return {name: voices_of(name, 4.0 * at, at) for at, name in enumerate(("a", "b", "c"))}


@pytest.mark.parametrize("order", [drawn, in_moods])
def test_an_order_has_every_utterance_once(sets: dict[str, Voices], order: object) -> None:
    rows = order(sets["a"], np.random.default_rng(2))  # type: ignore[operator]
    assert sorted(rows) == list(range(len(sets["a"].emotions)))


def test_in_long_moods_a_speaker_stays_in_an_emotion(sets: dict[str, Voices]) -> None:
    spoken = sets["a"]
    rows = in_moods(spoken, np.random.default_rng(2), length=3)
    for first in range(0, len(rows), 3):
        stretch = rows[first : first + 3]
        assert len({(spoken.speakers[row], spoken.emotions[row]) for row in stretch}) == 1


def test_what_is_read_depends_on_what_came_before_alone(sets: dict[str, Voices]) -> None:
    model, spoken = fitted(RECIPE, sets), sets["a"]
    order = drawn(spoken, np.random.default_rng(3))
    relative, known, before = in_conversation(model, spoken, order)
    half = len(order) // 2
    again, known_again, _ = in_conversation(model, spoken, order[:half])
    np.testing.assert_array_equal(relative[order[:half]], again[order[:half]])
    np.testing.assert_array_equal(known[order[:half]], known_again[order[:half]])
    for row in order:
        own = [other for other in order if spoken.speakers[other] == spoken.speakers[row]]
        assert before[row] == own.index(row)


def test_strangers_are_recognised_once_their_own_voice_is_known(sets: dict[str, Voices]) -> None:
    for rows in LeftOutVoices(RECIPE, sets).scores().values():
        known = rows[f"after {AFTER} utterances"]
        assert known.macro_recall > 0.5 > rows["first utterances"].macro_recall
        for gender in ("women", "men"):
            assert 0 < rows[f"after {AFTER} utterances, {gender}"].count < known.count
        # Where half of all is neutral, more answers are.
        moved = rows[f"after {AFTER} utterances, at the prior of conversations"]
        assert moved.answers["neutral"] > known.answers["neutral"]


def test_the_left_out_corpus_has_no_part_in_the_training(sets: dict[str, Voices]) -> None:
    other = {**sets, "c": voices_of("c", -50.0, 9)}
    model = fitted(RECIPE, {name: sets[name] for name in ("a", "b")})
    for given in (sets, other):
        encoder = LeftOutVoices(RECIPE, given).encoder("c")
        statistics = given["c"].statistics[5].astype(np.float32)
        said = encoder.provisional(statistics, "anybody")[-len(EMOTIONS) :]
        relative = model.standardised(statistics)
        # All but the temperature, which others decide.
        np.testing.assert_array_equal(
            np.argsort(said), np.argsort(model.log_probabilities(relative, 0.0))
        )


def test_an_emotion_without_training_is_never_the_answer(sets: dict[str, Voices]) -> None:
    disgust = EMOTIONS.index("disgust")
    poorer = {name: without_emotion(spoken, disgust) for name, spoken in sets.items()}
    answers = predictions(fitted(RECIPE, poorer), sets["a"], "drawn", 1).log_probabilities
    assert (answers.argmax(1) != disgust).all()
    assert np.isfinite(answers).all()


def test_temperatures_fit_what_was_left_out(sets: dict[str, Voices]) -> None:
    left_out = LeftOutVoices(RECIPE, sets)
    found = left_out.temperatures()
    parts = [
        predictions(fitted(RECIPE, {o: sets[o] for o in sets if o != name}), sets[name], order, 1)
        for name in sets
        for order in ORDERS
        if order != "moods"
    ]

    def loss(values: np.ndarray) -> float:
        return float(np.mean([part.loss(values) for part in parts]))

    for factor in ((1.1, 1), (0.9, 1), (1, 1.1), (1, 0.9)):
        assert loss(found) <= loss(found * np.array(factor)) + 1e-6
    # Of a stranger's first utterance less is known.
    assert found[0] > found[1]


def test_a_bank_has_what_the_live_encoder_says_of_strangers(sets: dict[str, Voices]) -> None:
    left_out = LeftOutVoices(RECIPE, sets)
    bank = voice_bank(("a", "b"), left_out, "train")
    assert bank.vectors.shape == (2 * len(sets["a"].emotions), len(VERSIONS), SIZE + len(EMOTIONS))
    assert set(bank.owners) == {*sets["a"].speakers, *sets["b"].speakers}
    assert not len(voice_bank(("a", "b"), left_out, "test").emotions)
    first = VERSIONS.index("first")
    for name, place in (("a", 3), ("b", len(sets["a"].emotions) + 7)):
        row = place % len(sets["a"].emotions)
        statistics = sets[name].statistics[row].astype(np.float32)
        live = left_out.encoder(name).final(statistics, "somebody")
        np.testing.assert_allclose(bank.vectors[place, first], live, rtol=1e-4, atol=1e-4)
        assert bank.emotions[place] == sets[name].emotions[row]


def test_the_command_trains_the_same_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_corpora.write(tmp_path / "data")
    monkeypatch.setenv("GSCON_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    written = []
    for name in ("one", "two"):
        assert run(fit_command.main, ["voice", f"name={name}", "orders=1"]) == 0
        written.append((tmp_path / f"runs/{name}/{name}.safetensors").read_bytes())
    assert written[0] == written[1]
    card = msgspec.json.decode((tmp_path / "runs/one/one.json").read_bytes())
    assert set(card["left_out"]) == set(CORPORA)
    assert voices(READERS, quiet).emotions.tolist() == [EMOTIONS.index("neutral")] * len(
        voices(READERS, quiet).emotions
    )


def test_a_missing_corpus_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GSCON_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert run(fit_command.main, ["voice"]) == 2
    assert "GSCON_DATA" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "runs").exists()
