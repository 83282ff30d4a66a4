"""A text encoder and a network trained together: the whole way, and the laws of its steps."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from random import Random

import msgspec
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from configs.command import run
from model.context_text import ContextSettings, digest, fresh
from train import encoders, evaluate, fit, trainings
from train.conversation import ConversationRecipe, material, resolved
from train.course import ConversationCourse
from train.engine import State, fabric
from train.joint import JointCourse, JointPart
from train.stretches import cut, filled

WORDS = {
    "kind": "text", "name": "words", "corpora": ["meld"], "epochs": 3, "batch": 60, "stretch": 30,
    "learning_rate": 1e-4, "average": 0.5,
}  # fmt: skip
BOTH = {
    "kind": "conversation", "name": "both", "corpus": "meld", "text": "words.yaml", "joint": True,
    "epochs": 3, "batch": 2, "width": 8, "heads": 2, "alone": 0.5, "patience": None,
}  # fmt: skip
SEED = Path("runs") / "both" / "seed-1"


@pytest.fixture
def folder(show: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small corpus and the recipes `words.yaml` and `both.yaml`."""
    monkeypatch.chdir(show)
    (show / "words.yaml").write_text(yaml.safe_dump(WORDS))
    (show / "both.yaml").write_text(yaml.safe_dump(BOTH))
    return show


def course(**changes: object) -> JointCourse:
    made = resolved(_recipe(**changes))
    corpus, on = material(made, 1, _quiet), fabric("cpu")
    words, encoder = encoders.begun(made.text, _quiet)
    first = ConversationCourse(made, corpus, 1, on)
    return JointCourse(made, words, first, encoder, corpus, on)


def test_both_are_trained_and_kept_and_measured_as_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(fit.main, ["both.yaml"]) == 0
    said = capsys.readouterr().err
    assert "seed 1: epoch 3 of 3" in said
    assert "seed 1 with text encoder: epoch 3 of 3" in said
    kept = encoders.beside(SEED)
    encoder = encoders.load(encoders.recipe("words.yaml"), kept)
    assert digest(encoder) != digest(fresh(ContextSettings()))
    card = json.loads((SEED / "model.json").read_text())
    assert card["encoders"]["text"] == f"words:{digest(encoder)}"
    assert "trained together with the network" in card["data"]
    assert not list(Path("runs").rglob("state.safetensors"))
    assert run(evaluate.main, ["runs/both", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    # Nothing but the encoder that was kept makes the features, whatever the cache holds.
    shutil.rmtree(encoders.cache())
    assert run(evaluate.main, ["runs/both", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert figures["splits"] == again["splits"]
    epochs = [json.loads(line) for line in (SEED / "history.jsonl").read_text().splitlines()]
    best = max(epochs, key=lambda one: one["selection"])
    assert "Epoch and temperatures are chosen on validation" in card["split"]
    found = figures["splits"]["validation"]["as_trained"]["text+audio"]["weighted_f1"]["mean"]
    assert found == pytest.approx(best["validation_weighted_f1"])
    spent = [json.loads(line)["seconds"] for line in _lines(SEED, SEED / "first")]
    assert len(spent) == 6
    assert figures["training_seconds"]["mean"] == pytest.approx(sum(spent))
    kept.unlink()
    assert run(evaluate.main, ["runs/both"]) == 2
    assert "missing, damaged, or of another recipe" in capsys.readouterr().err


def test_the_last_epoch_is_kept_where_the_encoders_recipe_says_so(folder: Path) -> None:
    Path("words.yaml").write_text(yaml.safe_dump({**WORDS, "keep": "last", "epochs": 2}))
    assert run(fit.main, ["both.yaml", "epochs=1"]) == 0
    card = json.loads((SEED / "model.json").read_text())
    assert "The last of 2 epochs was kept" in card["notes"][-1]
    assert " Temperatures are chosen on validation" in card["split"]


@pytest.mark.parametrize("stop", [("first", 2), ("", 1), ("", 2)])
def test_interrupted_it_goes_on_to_the_same_weights(
    folder: Path, stop: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(fit.main, ["both.yaml", "name=whole"]) == 0
    whole = Path("runs/whole/seed-1")
    write = trainings.SeedFolder.write

    def stopping(self: trainings.SeedFolder, state: State) -> None:
        write(self, state)
        if (self.folder.name == "first") == bool(stop[0]) and state.epoch == stop[1]:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trainings.SeedFolder, "write", stopping)
        assert run(fit.main, ["both.yaml"]) != 0
    assert not (SEED / "model.safetensors").exists()
    assert run(fit.main, ["both.yaml"]) == 0
    for name in ("model.safetensors", "text/encoder.safetensors"):
        one, other = load_file(whole / name), load_file(SEED / name)
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_step_in_parts_is_the_same_step(folder: Path) -> None:
    made = course(dropout=0.0, gdc=0, ssc=0)
    made.network.eval()
    steps = [list(made.epoch(torch.Generator().manual_seed(4), parts)) for parts in (1, 3)]
    assert max(map(len, steps[1])) > 1
    for whole, parts in zip(*steps, strict=True):
        first, other = (_gradients(made, one) for one in (whole, parts))
        for name, gradient in first.items():
            torch.testing.assert_close(gradient, other[name], atol=1e-5, rtol=1e-4)


def test_the_encoder_learns_from_the_answers_and_the_network_from_all(folder: Path) -> None:
    with_both, without = course(dropout=0.0, alone=0), course(dropout=0.0, alone=0, gdc=0, ssc=0)
    found = []
    for made in (with_both, without):
        made.network.eval()
        step = next(iter(made.epoch(torch.Generator().manual_seed(2), 1)))
        found.append(_gradients(made, step))
        own = {name for name, _ in made.network.named_parameters() if name.startswith("reader.")}
        assert own <= found[-1].keys()
    for name, gradient in found[0].items():
        same = torch.allclose(gradient, found[1][name], atol=1e-6, rtol=1e-4)
        if name.startswith("encoder."):
            assert same, name
    assert not torch.allclose(found[0]["reader.share.first.weight"],
                              found[1]["reader.share.first.weight"])  # fmt: skip
    # The same as through the whole network at once.
    made, part = without, step[0]
    vectors = made.network.encoder(part.tokens)
    batch = part.part.batch
    row, utterance = batch.conversations.features["text"].unbind(-1)
    features = {**batch.conversations.features, "text": vectors[row, utterance]}
    whole = replace(batch, conversations=replace(batch.conversations, features=features))
    terms = made._first.loss(replace(part.part, batch=whole), torch.Generator(), False)
    made.network.zero_grad()
    terms.total.backward()
    for name, parameter in made.network.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, found[1][name], atol=1e-6, rtol=1e-4)


def test_an_utterance_is_learned_with_its_own_words_speaker_and_label(folder: Path) -> None:
    made = course(alone=1)
    known = {
        (tuple(ids), speaker, label)
        for one in made._told["train"]
        for ids, speaker, label in zip(
            one.ids, one.dialogue.speakers.tolist(), one.dialogue.labels.tolist(), strict=True
        )
    }
    seen = set()
    for parts in made.epoch(torch.Generator().manual_seed(1), 2):
        for part in parts:
            targets, tokens = part.part.targets, part.tokens
            places = part.part.batch.conversations.features["text"].flatten(0, 1)[targets.rows]
            for (row, utterance), label in zip(
                places.tolist(), targets.labels.tolist(), strict=True
            ):
                ids = tokens.ids[row, tokens.utterance[row] == utterance].tolist()
                seen.add((tuple(ids), int(tokens.speakers[row, utterance]), label))
    assert seen == known


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(3, 60), st.integers(0, 9))
def test_stretches_hold_every_utterance_once_and_fit(
    sizes: list[int], most: int, seed: int
) -> None:
    made = cut(sizes, most, Random(seed))
    assert [place for at in made for place in range(at.start, at.stop)] == [*range(len(sizes))]
    assert all(sum(sizes[at]) <= most or at.stop - at.start == 1 for at in made)
    batches = filled(sizes, int, most, Random(seed))
    assert sorted(one for batch in batches for one in batch) == sorted(sizes)
    assert all(max(batch) * len(batch) <= most or len(batch) == 1 for batch in batches)


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        (["text=frozen"], "text=<recipe>"),
        (["context=buffer"], "context=causal"),
        (["modalities=[audio]"], "joint=false"),
        (["corpus=emorynlp"], "emorynlp alone"),
    ],
)
def test_what_cannot_be_trained_together_is_refused(
    folder: Path, given: list[str], remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(fit.main, ["both.yaml", *given]) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    assert "joint=true" in said
    assert remedy in said
    assert not Path("runs").exists()


def _gradients(made: JointCourse, parts: list[JointPart]) -> dict[str, torch.Tensor]:
    made.network.zero_grad()
    for part in parts:
        made.loss(part, torch.Generator().manual_seed(1), False).total.backward()
    return {n: p.grad.clone() for n, p in made.network.named_parameters() if p.grad is not None}


def _lines(*folders: Path) -> list[str]:
    return [line for one in folders for line in (one / "history.jsonl").read_text().splitlines()]


def _recipe(**changes: object) -> ConversationRecipe:
    return msgspec.convert({**BOTH, **changes}, ConversationRecipe)


def _quiet(done: int, total: int, line: str) -> None:
    pass
