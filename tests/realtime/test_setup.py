"""What is not included is fetched by a command, which asks first."""

import hashlib
from dataclasses import replace
from pathlib import Path

import packages
import pytest
from packages import wheel

from gscon_live.common.cli import run
from gscon_live.common.errors import InputError
from gscon_live.model.encoders.text import packaged_encoders
from gscon_live.realtime import setup
from gscon_live.realtime.listen import whisper_models
from gscon_live.realtime.listen.transcription_source import Words, choose
from gscon_live.realtime.pipeline.settings import Transcription
from gscon_live.train.encoders.text.recipe import TextRecipe, directory

ENCODER = "all-mpnet-base-v2"


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index of packages on this disk, with a Whisper model and a text encoder."""
    folder = tmp_path / "index"
    files = {"model.bin": b"Whisper", "config.json": b"{}"}
    wheel(folder, "first", {"model.bin": b"Whisper"})
    wheel(folder, "second", {"config.json": b"{}"})
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    for models, name in ((whisper_models.MODELS, "base"), (packaged_encoders.ENCODERS, ENCODER)):
        small = replace(
            models[name],
            megabytes=1,
            packages=("first==1.0.0", "second==1.0.0"),
            files=sums,
            archive=None,
        )
        monkeypatch.setitem(models, name, small)
    packages.only(folder, monkeypatch)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("GSCON_MODELS", raising=False)
    return folder


def test_a_fetched_model_is_the_one_of_auto() -> None:
    assert whisper_models.fetched() == []
    assert choose(Transcription(), False).model is None
    path = whisper_models.fetch("base", lambda line: None)
    assert whisper_models.fetched() == ["base"]
    for wanted in ("auto", "base", "auto:base"):
        assert choose(Transcription(transcriber=wanted), False) == Words(model=str(path))


def test_setup_asks_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(setup.main, []) == 2
    refused = capsys.readouterr().err
    assert "--yes" in refused
    assert "1 MB" in refused
    assert whisper_models.fetched() == []
    assert run(setup.main, ["--yes"]) == 0
    assert whisper_models.fetched() == ["base"]
    capsys.readouterr()
    assert run(setup.main, []) == 0
    assert "is there" in capsys.readouterr().out


def test_a_recipe_finds_a_text_encoder_that_was_fetched(
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = TextRecipe(encoder=ENCODER)
    with pytest.raises(InputError, match=f"gscon-live setup --text-encoder {ENCODER}"):
        directory(recipe)
    assert run(setup.main, ["--text-encoder", ENCODER, "--yes"]) == 0
    shown = capsys.readouterr()
    assert f"downloading text encoder {ENCODER}, 1 MB" in shown.err
    assert shown.out.startswith(f"Text encoder {ENCODER} is there: ")
    assert directory(recipe) == Path(shown.out.strip().partition(": ")[2])
    assert whisper_models.fetched() == []  # words were not asked for


def test_setup_knows_its_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(setup.main, ["--words", "huge", "--yes"]) == 2
    assert "tiny.en" in capsys.readouterr().err
    assert run(setup.main, ["--text-encoder", "huge", "--yes"]) == 2
    assert ENCODER in capsys.readouterr().err
