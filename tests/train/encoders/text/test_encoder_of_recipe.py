"""Recipes may name a larger encoder; what is none is refused in a line."""

import shutil
from pathlib import Path

import pytest
import torch
from progress import quiet
from safetensors.torch import load_file, save_file

from gscon_live.common.cli import run
from gscon_live.common.errors import InputError
from gscon_live.model.encoders.text.sentence_encoder import default_directory
from gscon_live.train import fit
from gscon_live.train.encoders.text import corpus_features, text_cache
from gscon_live.train.encoders.text.recipe import TextRecipe, directory


def write_encoder(folder: Path, layout: str) -> None:
    """A tiny untrained encoder of a layout, with the tokeniser of the sentence encoder."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    torch.manual_seed(1)
    tokenizer = AutoTokenizer.from_pretrained(str(default_directory()))
    config = AutoConfig.for_model(
        layout,
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    AutoModel.from_config(config).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    write_encoder(folder / "tiny-mpnet", "mpnet")
    monkeypatch.setenv("GSCON_MODELS", str(folder))
    return folder


def recipe(folder: Path, encoder: str) -> Path:
    path = folder / "larger.yaml"
    path.write_text(
        f"kind: text\nname: larger\ncorpora: [meld]\nepochs: 1\nencoder: {encoder}\n"
        "learning_rate: 0.001\n"
    )
    return path


def test_a_larger_encoder_is_trained_by_its_name(show: Path, models: Path) -> None:
    path = recipe(show, "tiny-mpnet")
    corpus = corpus_features.featured("meld", str(path), 1, quiet)
    assert corpus.dims["text"] == 16
    by_path = recipe(models, str(models / "tiny-mpnet"))
    again = corpus_features.featured("meld", str(by_path), 1, quiet)
    for one, same in zip(corpus.splits["test"], again.splits["test"], strict=True):
        assert torch.equal(one.features["text"], same.features["text"])


def test_other_weights_of_an_encoder_give_another_key(show: Path, models: Path) -> None:
    settings = TextRecipe(name="larger", corpora=("meld",), encoder="tiny-mpnet")
    key = text_cache.key(settings, 1)
    weights = models / "tiny-mpnet" / "model.safetensors"
    state = load_file(weights)
    state["embeddings.LayerNorm.bias"] += 1
    save_file(state, weights, metadata={"format": "pt"})
    assert text_cache.key(settings, 1) != key


def test_a_folder_comes_before_a_name(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert directory(TextRecipe()) is None
    assert directory(TextRecipe(encoder="tiny-mpnet")) == models / "tiny-mpnet"
    monkeypatch.chdir(models)
    assert directory(TextRecipe(encoder="tiny-mpnet")) == Path("tiny-mpnet")


def test_what_starts_from_a_recipe_has_its_encoder(show: Path, models: Path) -> None:
    start = recipe(show, "tiny-mpnet")
    with pytest.raises(InputError, match=r"encoder tiny-mpnet, .* encoder None"):
        text_cache.check(TextRecipe(name="mine", corpora=("meld",), start=str(start)))


def _other_architecture(folder: Path) -> None:
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.for_model("distilbert", dim=16, n_heads=2, n_layers=1, hidden_dim=32)
    AutoModel.from_config(config).save_pretrained(str(folder))


def _without_tokeniser(folder: Path) -> None:
    for path in folder.glob("*token*"):
        path.unlink()


def _pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def _damaged(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("spoil", "mention"),
    [
        (_other_architecture, "distilbert"),
        (_without_tokeniser, "token"),
        (_pickled, "model.safetensors"),
        (_damaged, "cannot be loaded"),
        (shutil.rmtree, "GSCON_MODELS"),
    ],
)
def test_what_is_no_encoder_is_refused_in_a_line(
    show: Path,
    models: Path,
    spoil: object,
    mention: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(show)
    assert callable(spoil)
    spoil(models / "tiny-mpnet")
    assert run(fit.main, [str(recipe(show, "tiny-mpnet"))]) == 2
    report = capsys.readouterr().err.strip().splitlines()
    assert report[-1].startswith("error: ")
    assert mention in report[-1]
    assert "tiny-mpnet" in report[-1]
