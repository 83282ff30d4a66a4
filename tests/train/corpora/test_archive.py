"""Archives of corpora that are damaged are refused with their names."""

import zipfile
from pathlib import Path

import pytest

from gscon_live.common.errors import InputError
from gscon_live.train.corpora.archive import opened


def archive(path: Path, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("labels.csv", content)
    return path


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught, opened(path) as made:
        made.read("labels.csv")
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


@pytest.mark.fault
def test_an_archive_that_is_none(tmp_path: Path) -> None:
    """A corpus's archive is garbage or cut short: it is named in one line."""
    path = archive(tmp_path / "corpus.zip", b"name,emotion\n" * 1000)
    whole = path.read_bytes()
    for damaged in (b"", b"garbage" * 100, whole[: len(whole) // 2], whole[:-5]):
        path.write_bytes(damaged)
        assert "damaged archive" in refused(path)
    inside = bytearray(whole)
    inside[60:70] = b"\xff" * 10
    path.write_bytes(bytes(inside))
    assert "damaged archive" in refused(path)


@pytest.mark.fault
def test_an_archive_that_unpacks_to_gigabytes(tmp_path: Path) -> None:
    """A small archive unpacks to far more than it has bytes: it is refused unread."""
    path = archive(tmp_path / "corpus.zip", b"\0" * 200_000_000)
    assert "unpacks to 200000000 bytes" in refused(path)
