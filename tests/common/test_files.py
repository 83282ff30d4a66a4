"""Files are whole or not there."""

from pathlib import Path

import pytest

from gscon_live.common.files import replacing, write_whole


def test_a_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    write_whole(path, b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert [one.name for one in tmp_path.iterdir()] == ["notes.json"]


@pytest.mark.parametrize("alone", [True, False])
def test_what_was_not_finished_leaves_all_as_it_was(tmp_path: Path, alone: bool) -> None:
    path = tmp_path / "notes.json"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), replacing(path, alone) as unfinished:  # noqa: PT012
        assert unfinished.suffix == ".json"
        unfinished.write_bytes(b"half of the n")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["notes.json"]


def test_where_nothing_was_written_nothing_is_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "notes.json"):
        pass
    assert not list(tmp_path.iterdir())
