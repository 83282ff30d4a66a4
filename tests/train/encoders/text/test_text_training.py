"""The text encoder is trained on the past only, on nothing that is held out, and once."""

import dataclasses
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from interrupting import stopping_after
from made_show import prosody
from made_text import QUICK, made_up, said
from progress import quiet
from safetensors.torch import load_file

from gscon_live.common.cli import run
from gscon_live.common.errors import InputError
from gscon_live.model.encoders.text.context_encoder import ContextSettings, digest, fresh, tokeniser
from gscon_live.model.encoders.text.normalisation import normalised
from gscon_live.train import fit
from gscon_live.train.corpora.iemocap_meld_emorynlp import load_table
from gscon_live.train.corpora.schema import PROSODY, Dialogue, Table, Utterance
from gscon_live.train.encoders.text import corpus_features, text_cache, text_data
from gscon_live.train.encoders.text import training as text
from gscon_live.train.encoders.text.fine_tuning import FineTuning
from gscon_live.train.encoders.text.recipe import TextRecipe
from gscon_live.train.encoders.text.task import TextTask
from gscon_live.train.encoders.text.text_data import TextCorpus, TokenDialogue, transcript
from gscon_live.train.encoders.text.text_features import MeldTextFeatures
from gscon_live.train.encoders.text.training import TextResult
from gscon_live.train.engine.devices import launch_fabric
from gscon_live.train.progress import Reporting
from gscon_live.train.runs.run_folder import TrainingFolder


def fitted(
    recipe: TextRecipe, folder: Path, seed: int = 5, corpora: dict[str, TextCorpus] | None = None
) -> TextResult:
    display = Reporting(quiet)
    return text.fit(recipe, corpora or made_up(), None, seed, TrainingFolder(folder), display)


def test_the_same_seed_gives_the_same_weights_and_it_learns(tmp_path: Path) -> None:
    lines: list[str] = []
    first, again = (
        text.fit(
            QUICK, made_up(), None, 5, TrainingFolder(tmp_path / name),
            Reporting(lambda *report: lines.append(report[2])),
        )
        for name in ("first", "again")
    )  # fmt: skip
    assert digest(first.model) == digest(again.model)
    assert digest(first.model) != digest(fitted(QUICK, tmp_path / "other", seed=6).model)
    assert max(epoch["made"] for epoch in first.validation) > 0.7
    best = max(epoch["made"] for epoch in first.validation)
    assert first.validation[first.epoch - 1]["made"] == best
    assert "quick" in lines[0]


def weights(result: TextResult) -> dict[str, torch.Tensor]:
    heads = {f"{name}.{key}": value for name, head in result.heads.items()
             for key, value in head.state_dict().items()}  # fmt: skip
    return {**result.model.state_dict(), **heads}


def test_the_last_epoch_is_kept_where_the_recipe_says_so(tmp_path: Path) -> None:
    # Labels of validation that are wrong: the more is learned, the worse is the score.
    corpus = made_up()["made"]
    wrong = [dataclasses.replace(one, targets=one.targets.flip(1)) for one in corpus.validation]
    corpora = {"made": dataclasses.replace(corpus, validation=wrong)}
    recipe = msgspec.structs.replace(QUICK, epochs=4, learning_rate=1e-3)
    kept = {}
    for keep in ("best", "last"):
        how = msgspec.structs.replace(recipe, keep=keep)
        kept[keep] = fitted(how, tmp_path / keep, corpora=corpora)
    reached = [epoch["made"] for epoch in kept["best"].validation]
    assert reached == [epoch["made"] for epoch in kept["last"].validation]
    assert kept["best"].epoch == 1 + reached.index(max(reached)) < 4
    assert kept["last"].epoch == 4
    assert digest(kept["best"].model) != digest(kept["last"].model)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_an_interrupted_training_goes_on_to_the_same_weights(
    tmp_path: Path, precision: str
) -> None:
    recipe = msgspec.structs.replace(QUICK, average=0.7, precision=precision, accelerator="cpu")
    corpora = {"made": dataclasses.replace(made_up()["made"], recognised=_recognised())}
    with stopping_after(2), pytest.raises(KeyboardInterrupt):
        fitted(recipe, tmp_path / "cut", corpora=corpora)
    whole, cut = (fitted(recipe, tmp_path / one, corpora=corpora) for one in ("whole", "cut"))
    assert whole.validation == cut.validation
    again = weights(cut)
    assert all(torch.equal(value, again[name]) for name, value in weights(whole).items())
    assert all(value.dtype == torch.float32 for value in again.values())


def _recognised() -> list[list[TokenDialogue]]:
    """Other words in each epoch, and not as many."""
    return [
        [said(100 * epoch + row, row % 2) for row in range(8 + 4 * epoch)] for epoch in (1, 2, 3)
    ]


def test_every_epoch_reads_all_of_its_words_and_says_how_many_steps_it_has() -> None:
    corpora = {"made": dataclasses.replace(made_up()["made"], recognised=_recognised())}
    task = TextTask(QUICK, corpora, None, 1, launch_fabric("cpu"))
    orders = []
    for epoch, expected in enumerate(_recognised()):
        random = torch.Generator().manual_seed(epoch)
        count = task.begin(epoch, random)
        steps = [*task.epoch(random, 1)]
        assert len(steps) == count > 1
        rows = [row for (part,) in steps for row in part.rows]
        read = [tuple(ids) for row in rows for ids in row.ids]
        assert sorted(read) == sorted(tuple(ids) for one in expected for ids in one.ids)
        assert [part.step for (part,) in steps] == [
            sum(int((row.targets.sum(1) > 0).sum()) for row in part.rows) for (part,) in steps
        ]
        assert task.begin(epoch, torch.Generator().manual_seed(epoch)) == count
        again = [row for (part,) in task.epoch(random, 1) for row in part.rows]
        assert [row.ids for row in again] == [row.ids for row in rows]
        task.begin(epoch, torch.Generator().manual_seed(99))
        orders.append([row.ids for (part,) in task.epoch(random, 1) for row in part.rows] != [
            row.ids for row in rows
        ])  # fmt: skip
    assert all(orders)


def test_a_step_in_parts_has_the_loss_of_the_whole_step() -> None:
    recipe = msgspec.structs.replace(QUICK, dropout=0.0, batch=200)
    task = TextTask(recipe, made_up(), None, 1, launch_fabric("cpu"))
    task.learner.eval()
    random = torch.Generator().manual_seed(1)
    task.begin(0, random)
    whole = [
        [task.loss(part, random, False).total for part in step] for step in task.epoch(random, 1)
    ]
    parts = [
        [task.loss(part, random, False).total for part in step] for step in task.epoch(random, 3)
    ]
    assert max(map(len, parts)) == 3
    for one, several in zip(whole, parts, strict=True):
        torch.testing.assert_close(sum(several), one[0])


def seven(label: int, words: int) -> TextCorpus:
    """A corpus of the seven emotions in which one of them is most frequent."""
    rows = [said(words + number, label if number % 4 else number % 7, 7) for number in range(16)]
    silent = [dataclasses.replace(row, sound=row.sound[:, :0]) for row in rows]
    return TextCorpus(7, silent, silent, seven=True)


def test_a_shared_head_answers_for_each_corpus_at_its_own_prior(tmp_path: Path) -> None:
    recipe = msgspec.structs.replace(QUICK, shared_head=True, prosody=False)
    corpora = {"meld": seven(1, 0), "lines": seven(4, 500), "made": silent_pair()}
    result = fitted(recipe, tmp_path, corpora=corpora)
    assert {*result.heads} == {"meld", "lines", "made", "shared"}
    vectors = torch.randn(5, result.model.dim)
    flat = result.heads["shared"](vectors)
    for name in ("meld", "lines"):
        counts = torch.cat([row.targets for row in corpora[name].train]).sum(0) + 1
        expected = (flat + (counts / counts.sum()).log()).log_softmax(1)
        torch.testing.assert_close(result.heads[name](vectors).log_softmax(1), expected)
    task = TextTask(recipe, corpora, None, 1, launch_fabric("cpu"))
    assert {*task.learner.heads} == {"shared", "made"}


def silent_pair() -> TextCorpus:
    corpus = made_up()["made"]
    return dataclasses.replace(
        corpus,
        train=[dataclasses.replace(row, sound=row.sound[:, :0]) for row in corpus.train],
        validation=[dataclasses.replace(row, sound=row.sound[:, :0]) for row in corpus.validation],
    )


def test_a_training_goes_on_from_the_shared_head_of_its_start(tmp_path: Path) -> None:
    recipe = msgspec.structs.replace(QUICK, shared_head=True, prosody=False, epochs=1)
    first = fitted(recipe, tmp_path, corpora={"lines": seven(4, 500)})
    start = weights(first) | {
        f"heads.{name}.{key}": value
        for name, head in first.heads.items()
        for key, value in head.state_dict().items()
    }
    start = {key: value for key, value in start.items() if key.split(".")[0] not in first.heads}
    task = TextTask(recipe, {"meld": seven(1, 0)}, start, 9, launch_fabric("cpu"))
    for key, value in task.learner.heads["shared"].state_dict().items():
        assert torch.equal(value, start[f"heads.shared.{key}"])
    assert digest(task.encoder) == digest(first.model)
    alone = msgspec.structs.replace(recipe, shared_head=False)
    other = TextTask(alone, {"meld": seven(1, 0)}, start, 9, launch_fabric("cpu"))
    head = other.learner.heads["meld"].state_dict()
    assert not torch.equal(head["1.weight"], start["heads.shared.1.weight"])


def test_frozen_parts_stay_as_they_are(tmp_path: Path) -> None:
    recipe = msgspec.structs.replace(QUICK, frozen=2, epochs=1)
    before = fresh(ContextSettings()).state_dict()
    after = fitted(recipe, tmp_path).model.state_dict()
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
    recipe, table = text_cache.recipe(str(path)), load_table("meld")
    model = text_cache.encoder(recipe, 1, quiet)
    heard = transcript(table.splits["test"][0], table).tokenised(tokeniser(recipe.context))
    other = dataclasses.replace(heard, ids=[*heard.ids[:2], [101, 5000, 102]])
    torch.testing.assert_close(
        text.vectors(model, heard.ids, heard.speakers)[:2],
        text.vectors(model, other.ids, other.speakers)[:2],
        atol=1e-5,
        rtol=0,
    )


def test_an_encoder_of_normalised_words_is_trained_and_read_without_marks(show: Path) -> None:
    meld = show / "data" / "erc" / "meld.csv"
    meld.write_text(meld.read_text().replace("all right then", "All right THEN!"))
    recipe = TextRecipe(name="quick", corpora=("meld",), epochs=1, normalise=True)
    as_written = msgspec.structs.replace(recipe, normalise=False)
    learned, other = (text_data.corpora(one)["meld"] for one in (recipe, as_written))
    tokenise = tokeniser(recipe.context)
    table = load_table("meld")
    for split, dialogues in (("train", learned.train), ("validation", learned.validation)):
        for dialogue, tokens in zip(table.splits[split], dialogues, strict=True):
            assert tokens.ids == tokenise([normalised(turn.text) for turn in dialogue.utterances])
    assert [one.ids for one in learned.train] != [one.ids for one in other.train]
    path = show / "quick.yaml"
    features = {}
    for normalise in ("true", "false"):
        path.write_text(
            f"kind: text\nname: quick\ncorpora: [meld]\nepochs: 1\nnormalise: {normalise}\n"
        )
        features[normalise] = corpus_features.featured("meld", str(path), 1, quiet)
    model = text_cache.encoder(recipe, 1, quiet)
    heard = transcript(table.splits["test"][0], table).tokenised(
        tokeniser(recipe.context, normalise=True)
    )
    torch.testing.assert_close(
        text.vectors(model, heard.ids, heard.speakers),
        features["true"].splits["test"][0].features["text"],
    )
    assert features["true"].encoders != features["false"].encoders


def test_a_corpus_is_read_in_the_precision_of_the_recipe(show: Path) -> None:
    path = show / "quick.yaml"
    path.write_text("kind: text\nname: quick\ncorpora: [meld]\nepochs: 1\nprecision: bf16-mixed\n")
    made = corpus_features.featured("meld", str(path), 1, quiet)
    assert re.fullmatch(r"quick:[0-9a-f]{12}\|bf16-mixed", made.encoders["text"])
    recipe, table = text_cache.recipe(str(path)), load_table("meld")
    model = text_cache.encoder(recipe, 1, quiet)
    heard = transcript(table.splits["test"][0], table).tokenised(tokeniser(recipe.context))
    exact = text.vectors(model, heard.ids, heard.speakers)
    found = made.splits["test"][0].features["text"]
    assert found.dtype == torch.float32
    assert not torch.equal(found, exact)
    torch.testing.assert_close(found, exact, atol=0.1, rtol=0.0)


def test_what_changes_an_encoder_changes_its_key(show: Path) -> None:
    recipe = TextRecipe(name="quick", corpora=("meld",), prosody=False)
    key = text_cache.key(recipe, 1)
    assert key == text_cache.key(msgspec.structs.replace(recipe, ship=True, seeds=3), 1)
    others = [
        msgspec.structs.replace(recipe, **{name: value})
        for name, value in {
            "normalise": True,
            "shared_head": True,
            "epochs": 2,
            "speaker_names": True,
            "fine_tuning": FineTuning(layer_decay=0.9),
        }.items()
    ]
    with_lines = msgspec.structs.replace(recipe, corpora=("meld", "written_lines"))
    keys = [text_cache.key(other, 1) for other in (*others, with_lines)]
    assert len({key, *keys, text_cache.key(recipe, 2)}) == 8


def test_a_changed_corpus_changes_the_key(show: Path) -> None:
    recipe = TextRecipe(name="quick", corpora=("meld",))
    key = text_cache.key(recipe, 1)
    meld = show / "data" / "erc" / "meld.csv"
    meld.write_text(meld.read_text().replace("all right", "all wrong"))
    assert text_cache.key(recipe, 1) != key


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
    (kept,) = text_cache.folder().glob(f"{kind}-*.safetensors")
    kept.write_bytes(kept.read_bytes()[:5000])
    with pytest.raises(InputError, match=re.escape(str(kept))):
        again[kind]()


def test_scenes_that_another_corpus_holds_out_are_not_learned(show: Path) -> None:
    both = TextRecipe(name="both", corpora=("meld", "emorynlp"))
    found = text_data.corpora(both)
    assert [len(found[name].train) for name in both.corpora] == [2, 1]
    alone = text_data.corpora(TextRecipe(name="alone", corpora=("emorynlp",)))
    assert len(alone["emorynlp"].train) == 2


def test_a_corpus_without_prosody_has_no_audio(show: Path) -> None:
    corpus = corpus_features.featured("emorynlp", "frozen", 1, quiet)
    assert corpus.modalities == ("text",)


def test_vectors_of_sentences_and_in_context_stand_side_by_side(show: Path) -> None:
    first = corpus_features.featured("emorynlp", "frozen", 1, quiet)
    # A larger encoder's vectors have another length.
    second = dataclasses.replace(
        first,
        encoders={"text": "other"},
        splits={
            split: tuple(one.with_text(one.features["text"][:, :100] + 1) for one in rows)
            for split, rows in first.splits.items()
        },
    )
    both = corpus_features.beside(first, second)
    assert both.encoders == {"text": f"{first.encoders['text']}|other"}
    assert both.direct == 100
    for split, rows in both.splits.items():
        for one, alone, in_context in zip(
            rows, first.splits[split], second.splits[split], strict=True
        ):
            text = one.features["text"]
            assert torch.equal(text[:, : -both.direct], alone.features["text"])
            assert torch.equal(text[:, -both.direct :], in_context.features["text"])


def test_an_utterance_without_a_label_is_context_only() -> None:
    table = Table("made", ("a", "b"), {})
    dialogue = Dialogue("one", (Utterance("A", "yes", 1), Utterance("A", "no", -1)))
    learned = transcript(dialogue, table).tokenised(tokeniser(ContextSettings()))
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
        ("kind: text\nshared_head: true\n", "prosody: false"),
        ("kind: text\ncorpora: [meld]\nleft_out_session: 2\n", "only iemocap has sessions"),
        ("kind: text\nleft_out_session: 5\n", "left_out_session"),
        ("kind: text\nleft_out_session: all\n", "left_out_session"),
        ("kind: text\nleft_out_session: 1\nteacher: text-spoken-teacher\n", "no teacher"),
        ("kind: text\nspeaker_names: true\nteacher: text-spoken-teacher\n", "no teacher"),
        ("kind: text\nspeaker_names: true\nship: true\n", "knows no names"),
        ("kind: text\nspeaker_names: true\nmishearing: {}\n", "knows no names"),
        ("kind: text\nfine_tuning: {layer_decay: 0}\n", "layer_decay"),
        ("kind: text\nfine_tuning: {fresh_layers: -1}\n", "fresh_layers"),
        ("kind: text\nfine_tuning: {r_drop: -1}\n", "r_drop"),
        ("kind: text\nfine_tuning: {temperature: 0}\n", "temperature"),
        ("kind: text\nfine_tuning: {dropout: 0}\n", "dropout"),
    ],
)
def test_a_wrong_recipe_is_refused(tmp_path: Path, body: str, mention: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(body)
    with pytest.raises(InputError, match=mention) as error:
        text_cache.recipe(str(path))
    assert "\n" not in str(error.value)


def test_encoders_that_read_names_are_refused_where_a_session_is_to_read() -> None:
    with pytest.raises(InputError, match="knows no names"):
        MeldTextFeatures(TextRecipe(speaker_names=True), quiet)


def test_who_speaks_counts_for_the_features_of_a_table(
    show: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = show / "quick.yaml"
    path.write_text("kind: text\nname: quick\ncorpora: [meld]\nepochs: 1\n")
    table = load_table("meld")
    several = corpus_features.featured("meld", str(path), 1, quiet)
    alone = {
        split: tuple(_by_one_speaker(dialogue) for dialogue in dialogues)
        for split, dialogues in table.splits.items()
    }
    one_speaker = dataclasses.replace(table, splits=alone)
    monkeypatch.setattr(corpus_features, "load_table", lambda _: one_speaker)
    one = corpus_features.featured("meld", str(path), 1, quiet)
    for first, second in zip(several.splits["test"], one.splits["test"], strict=True):
        texts = first.features["text"], second.features["text"]
        assert torch.equal(texts[0][0], texts[1][0])
        assert not torch.equal(texts[0][1], texts[1][1])


def _by_one_speaker(dialogue: Dialogue) -> Dialogue:
    turns = tuple(dataclasses.replace(turn, speaker="A") for turn in dialogue.utterances)
    return dataclasses.replace(dialogue, utterances=turns)


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
    said = capsys.readouterr().err.replace("\n", "")
    assert weights[0].name in said
    (scores,) = text_cache.validation(
        msgspec.structs.replace(text_cache.recipe(str(path)), batch=300), 1
    )
    assert f"quick, seed 1: weighted F1 on validation: meld {scores['meld']:.4f}" in said


def test_the_command_goes_on_with_the_epoch_that_it_was_at(show: Path, cache: Path) -> None:
    path = show / "quick.yaml"
    path.write_text("kind: text\nname: quick\ncorpora: [meld]\nepochs: 2\nbatch: 40\n")
    with stopping_after(1):
        assert run(fit.main, [str(path)]) == 130
    (state,) = cache.rglob("state.safetensors")
    assert run(fit.main, [str(path)]) == 0
    assert not state.parent.exists()
    (made,) = cache.rglob("text-quick-1-*.safetensors")
    cut = load_file(made)
    made.unlink()
    assert run(fit.main, [str(path)]) == 0
    whole = load_file(made)
    assert all(torch.equal(value, cut[name]) for name, value in whole.items())
