"""Files are whole or not there."""

from pathlib import Path

import pytest

from gscon_live.common.errors import InputError
from gscon_live.common.files import check_new_folder, check_output, replacing, write_whole


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


def test_a_path_that_cannot_be_written_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    check_output(tmp_path / "new.json")
    (tmp_path / "old.json").write_bytes(b"old")
    check_output(str(tmp_path / "old.json"))
    for path, why in (
        (tmp_path, "is a folder"),
        (tmp_path / "missing" / "new.json", "does not exist"),
        (tmp_path / "old.json" / "new.json", "does not exist"),
    ):
        with pytest.raises(InputError, match=why) as refused:
            check_output(path)
        assert str(path) in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["old.json"]


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    check_new_folder(tmp_path / "new" / "deep")
    check_new_folder(tmp_path)
    (tmp_path / "notes").write_bytes(b"mine")
    for path, why in ((tmp_path, "not empty"), (tmp_path / "notes", "is a file")):
        with pytest.raises(InputError, match=why):
            check_new_folder(path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]
