"""The text encoder is trained on the past only, on nothing that is held out, and once."""

import dataclasses
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from made_show import prosody
from progress import quiet

from gscon_live.common.cli import run
from gscon_live.common.errors import InputError
from gscon_live.model.encoders.text.context_encoder import ContextSettings, digest, fresh, tokeniser
from gscon_live.train import fit
from gscon_live.train.corpora import erc
from gscon_live.train.corpora.schema import PROSODY, Dialogue, Table, Utterance
from gscon_live.train.encoders.text import corpus_features, text_cache, text_data
from gscon_live.train.encoders.text import training as text
from gscon_live.train.encoders.text.text_data import written
from gscon_live.train.encoders.text.training import Lessons, Spoken, TextRecipe

QUICK = TextRecipe(name="quick", epochs=3, batch=60, stretch=40, learning_rate=3e-4)


def said(words: int, label: int, classes: int = 2) -> Spoken:
    """Three utterances whose words tell the label; the middle one has none."""
    targets = torch.zeros(3, classes)
    targets[[0, 2], label] = 1
    return Spoken([[101, 2000 + words, 102]] * 3, [0, 1, 0], targets, torch.zeros(3, 2))


def made_up() -> dict[str, Lessons]:
    rows = [said(number % 2 * 500 + number // 2, number % 2) for number in range(24)]
    return {"made": Lessons(2, rows[:20], rows[20:])}


def test_the_same_seed_gives_the_same_weights_and_it_learns() -> None:
    told: list[str] = []
    first, again = (
        text.fit(QUICK, made_up(), None, 5, lambda *say: told.append(say[2])) for _ in range(2)
    )
    assert digest(first.model) == digest(again.model)
    assert digest(first.model) != digest(text.fit(QUICK, made_up(), None, 6, quiet).model)
    assert max(one["made"] for one in first.validation) > 0.7
    assert first.validation[first.epoch - 1]["made"] == max(o["made"] for o in first.validation)
    assert "quick" in told[0]


def test_frozen_parts_stay_as_they_are() -> None:
    recipe = msgspec.structs.replace(QUICK, frozen=2, epochs=1)
    before = fresh(ContextSettings()).state_dict()
    after = text.fit(recipe, made_up(), None, 1, quiet).model.state_dict()
    for name, value in before.items():
        kept = name.startswith(("embeddings.", "layers.0.", "layers.1."))
        if kept:
            assert torch.equal(value, after[name]), name
    assert not torch.equal(
        before["layers.5.output.dense.weight"], after["layers.5.output.dense.weight"]
    )


def test_prosody_stands_beside_its_difference_from_the_speakers_past(show: Path) -> None:
    corpus = corpus_features.featured("meld", "frozen", 1, quiet)
    assert corpus.modalities == ("text", "audio")
    assert corpus.dims == {"text": 384, "audio": 2 * len(PROSODY)}
    one = corpus.splits["train"][0]
    assert one.present.tolist() == [[True, True], [True, False], [True, True]]
    first, third = (np.array(list(prosody(turn).values()), float) for turn in (0, 2))
    heard = one.features["audio"].numpy()
    np.testing.assert_allclose(heard[0], [*first, *np.zeros(8)], rtol=1e-6)
    np.testing.assert_allclose(heard[2], [*third, *(third - first) / 2], rtol=1e-5, atol=1e-6)
    assert one.speakers.tolist() == [0, 1, 0]


def test_an_encoder_is_trained_once_and_its_features_depend_on_the_past_only(
    show: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = show / "quick.yaml"
    path.write_text("kind: text\nname: quick\ncorpora: [meld]\nepochs: 1\n")
    made = corpus_features.featured("meld", str(path), 1, quiet)

    def never(*_: object) -> None:
        raise AssertionError("trained or encoded again")

    monkeypatch.setattr(text, "fit", never)
    with monkeypatch.context() as nothing:
        nothing.setattr(text, "vectors", never)
        again = corpus_features.featured("meld", str(path), 1, quiet)
    assert again.encoders == made.encoders
    assert made.encoders["text"].startswith("quick:")
    for one, same in zip(made.splits["test"], again.splits["test"], strict=True):
        assert torch.equal(one.features["text"], same.features["text"])
    with pytest.raises(AssertionError, match="trained"):
        corpus_features.featured("meld", str(path), 2, quiet)
    # With its last words changed, what was said before them is the same.
    recipe, table = text_cache.recipe(str(path)), erc.load("meld")
    model = text_cache.encoder(recipe, 1, quiet)
    heard = written(table.splits["test"][0], table).spoken(tokeniser(recipe.context))
    other = dataclasses.replace(heard, ids=[*heard.ids[:2], [101, 5000, 102]])
    torch.testing.assert_close(
        text.vectors(model, heard.ids, heard.speakers)[:2],
        text.vectors(model, other.ids, other.speakers)[:2],
        atol=1e-5,
        rtol=0,
    )


@pytest.mark.parametrize("kind", ["words", "text"])
def test_what_is_damaged_in_the_cache_is_named(show: Path, kind: str) -> None:
    path = show / "quick.yaml"
    path.write_text("kind: text\nname: quick\ncorpora: [meld]\nepochs: 1\n")
    corpus_features.featured("meld", str(path), 1, quiet)
    made = text_cache.recipe(str(path))
    again = {
        "words": lambda: corpus_features.featured("meld", str(path), 1, quiet),
        "text": lambda: text_cache.encoder(made, 1, quiet),
    }
    (kept,) = text_cache.kept().glob(f"{kind}-*.safetensors")
    kept.write_bytes(kept.read_bytes()[:5000])
    with pytest.raises(InputError, match=re.escape(str(kept))):
        again[kind]()


def test_scenes_that_another_corpus_holds_out_are_not_learned(show: Path) -> None:
    both = TextRecipe(name="both", corpora=("meld", "emorynlp"))
    found = text_data.lessons(both)
    assert [len(found[name].train) for name in both.corpora] == [2, 1]
    alone = text_data.lessons(TextRecipe(name="alone", corpora=("emorynlp",)))
    assert len(alone["emorynlp"].train) == 2


def test_a_corpus_without_prosody_has_no_audio(show: Path) -> None:
    corpus = corpus_features.featured("emorynlp", "frozen", 1, quiet)
    assert corpus.modalities == ("text",)


def test_vectors_of_sentences_and_in_context_stand_side_by_side(show: Path) -> None:
    first = corpus_features.featured("emorynlp", "frozen", 1, quiet)
    second = dataclasses.replace(first, encoders={"text": "other"})
    both = corpus_features.beside(first, second)
    assert both.encoders == {"text": f"{first.encoders['text']}|other"}
    for split, rows in both.splits.items():
        for one, alone in zip(rows, first.splits[split], strict=True):
            text = alone.features["text"]
            assert torch.equal(one.features["text"], torch.cat([text, text], 1))


def test_an_utterance_without_a_label_is_context_only() -> None:
    table = Table("made", ("a", "b"), {})
    dialogue = Dialogue("one", (Utterance("A", "yes", 1), Utterance("A", "no", -1)))
    learned = written(dialogue, table).spoken(tokeniser(ContextSettings()))
    assert learned.targets.tolist() == [[0, 1], [0, 0]]


@pytest.mark.parametrize(
    ("body", "mention"),
    [
        ("kind: text\ncorpora: [nonesuch]\n", "nonesuch"),
        ("kind: text\ncorpora: []\n", "none"),
        ("kind: text\nepoch: 2\n", "epochs"),
        ("kind: fusion\n", "kind"),
        ("kind: text\napart: [nonesuch]\n", "nonesuch"),
        ("kind: text\nleft_out: 4\n", "3 parts"),
    ],
)
def test_a_wrong_recipe_is_refused(tmp_path: Path, body: str, mention: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(body)
    with pytest.raises(InputError, match=mention):
        text_cache.recipe(str(path))


def test_recipes_that_start_from_each_other_are_refused(tmp_path: Path) -> None:
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text(f"kind: text\nname: one\nstart: {other}\n")
    other.write_text(f"kind: text\nname: other\nstart: {one}\n")
    with pytest.raises(InputError, match="itself"):
        text_cache.recipe(str(one))


def test_the_command_trains_an_encoder_into_the_cache(
    show: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = show / "quick.yaml"
    path.write_text("kind: text\nname: quick\ncorpora: [meld]\nepochs: 1\n")
    assert run(fit.main, [str(path), "batch=300"]) == 0
    weights = list(cache.rglob("text-quick-1-*.safetensors"))
    assert len(weights) == 1
    assert weights[0].name in capsys.readouterr().err.replace("\n", "")


def test_the_recipes_that_ship_are_right() -> None:
    for name in ("text-base", "text-iemocap", "text-meld", "text-spoken-base", "text-spoken"):
        assert text_cache.recipe(name).name == name
