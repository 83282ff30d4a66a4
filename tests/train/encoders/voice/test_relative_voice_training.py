"""Training of the classifier on relative statistics, on voices that are drawn."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
import small_corpora
from progress import quiet

from gscon_live.common.cli import run
from gscon_live.model.labels import EMOTIONS
from gscon_live.train import fit as fit_command
from gscon_live.train.encoders.voice import relative_training
from gscon_live.train.encoders.voice.relative_data import (
    READERS,
    Voices,
    drawn,
    in_conversation,
    in_moods,
    voices,
)
from gscon_live.train.encoders.voice.relative_training import (
    RelativeVoiceRecipe,
    fitted,
    left_out_predictions,
    predictions,
    scores,
    temperatures,
)

RECIPE = RelativeVoiceRecipe(penalty=1.0)
SIZE = 6


def voices_of(name: str, offset: float, seed: int, speakers: int = 4, each: int = 6) -> Voices:
    """Each emotion moves the statistics the same way for everybody; speakers and corpora differ by
    far more than emotions do."""
    random = np.random.default_rng(seed)
    directions = np.random.default_rng(0).normal(size=(len(EMOTIONS), SIZE))
    rows, names, labels = [], [], []
    for number in range(speakers):
        own = offset + random.normal(0, 3, SIZE)
        for emotion in range(len(EMOTIONS)):
            rows.append(own + directions[emotion] + random.normal(0, 0.7, (each, SIZE)))
            names += [f"{name}-{number}"] * each
            labels += [emotion] * each
    return Voices(np.concatenate(rows), np.array(names), np.array(labels))


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
    table = scores({name: left_out_predictions(RECIPE, sets, name) for name in sets})
    for rows in table.values():
        known = rows[f"after {relative_training.AFTER} utterances"]
        assert known.macro_recall > 0.5 > rows["first utterances"].macro_recall


def test_the_left_out_corpus_has_no_part_in_the_training(sets: dict[str, Voices]) -> None:
    other = {**sets, "c": voices_of("c", -50.0, 9)}
    without = {name: sets[name] for name in ("a", "b")}
    model = fitted(RECIPE, without)
    for given in (sets, other):
        by_order = left_out_predictions(RECIPE, given, "c")
        expected = predictions(model, given["c"], "first", RECIPE.seed)
        np.testing.assert_array_equal(
            by_order["first"].log_probabilities, expected.log_probabilities
        )


def test_an_emotion_without_training_is_never_the_answer(sets: dict[str, Voices]) -> None:
    disgust = EMOTIONS.index("disgust")
    poorer = {name: spoken.of(spoken.emotions != disgust) for name, spoken in sets.items()}
    answers = predictions(fitted(RECIPE, poorer), sets["a"], "drawn", 1).log_probabilities
    assert (answers.argmax(1) != disgust).all()
    assert np.isfinite(answers).all()


def test_temperatures_fit_what_was_left_out(sets: dict[str, Voices]) -> None:
    left_out = {name: left_out_predictions(RECIPE, sets, name) for name in sets}
    found = temperatures(left_out)

    def loss(values: np.ndarray) -> float:
        parts = [by_order[order] for by_order in left_out.values() for order in ("first", "drawn")]
        return float(np.mean([part.loss(values) for part in parts]))

    for factor in ((1.1, 1), (0.9, 1), (1, 1.1), (1, 0.9)):
        assert loss(found) <= loss(found * np.array(factor)) + 1e-6
    # Of a stranger's first utterance less is known.
    assert found[0] > found[1]


def test_the_command_trains_the_same_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_corpora.write(tmp_path / "data")
    monkeypatch.setenv("GSCON_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    written = []
    for name in ("one", "two"):
        assert run(fit_command.main, ["relative-voice", f"name={name}", "orders=1"]) == 0
        written.append((tmp_path / f"runs/{name}/{name}.safetensors").read_bytes())
    assert written[0] == written[1]
    card = msgspec.json.decode((tmp_path / "runs/one/one.json").read_bytes())
    assert set(card["left_out"]) == set(relative_training.CORPORA)
    assert voices(READERS, quiet).emotions.tolist() == [EMOTIONS.index("neutral")] * len(
        voices(READERS, quiet).emotions
    )


def test_a_missing_corpus_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GSCON_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert run(fit_command.main, ["relative-voice"]) == 2
    assert "GSCON_DATA" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "runs").exists()
