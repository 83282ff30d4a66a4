"""What is given to an archive: folders, globs and lists become recordings, each once."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gscon_live.common.errors import InputError
from gscon_live.realtime.archive.inputs import expand


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b.mkv", "a.MP4", "a.vtt", "notes.txt", ".hidden.mp4", "day/c.wav", ".git/d.mp4",
                 "day/deep/e.webm", "out/f.mp4"):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(paths: list[str], tree: Path) -> list[str]:
    assert all(os.path.isabs(path) for path in paths)
    return [Path(path).relative_to(tree).as_posix() for path in paths]


def test_a_folder_gives_the_recordings_in_it_and_below(tree: Path) -> None:
    given = expand([str(tree)], leave_out=tree / "out")
    assert names(given.recordings, tree) == ["a.MP4", "b.mkv", "day/c.wav", "day/deep/e.webm"]
    assert given.problems == []
    assert "out/f.mp4" in names(expand(["."]).recordings, tree)


def test_a_glob_gives_recordings_and_a_named_file_is_one_whatever_its_ending(tree: Path) -> None:
    assert names(expand(["*"], leave_out=tree / "out").recordings, tree) == [
        "a.MP4", "b.mkv", "day/c.wav", "day/deep/e.webm",
    ]  # fmt: skip
    assert names(expand(["**/*.w*"]).recordings, tree) == ["day/c.wav", "day/deep/e.webm"]
    assert names(expand(["notes.txt", "b.mkv"]).recordings, tree) == ["notes.txt", "b.mkv"]


def test_a_list_names_paths_and_its_mistakes_do_not_stop_the_rest(tree: Path) -> None:
    (tree / "list.txt").write_text("# Monday\n\nb.mkv\ngone.mp4\nday\n", encoding="utf-8-sig")
    given = expand([], ["list.txt"])
    assert names(given.recordings, tree) == ["b.mkv", "day/c.wav", "day/deep/e.webm"]
    ((path, reason),) = given.problems
    assert path == "gone.mp4"
    assert "list.txt" in reason


def test_a_recording_that_is_given_twice_is_done_once(tree: Path) -> None:
    (tree / "link.mkv").symlink_to("b.mkv")
    assert len(expand(["b.mkv", "b.mkv", str(tree / "b.mkv"), "*.mkv"]).recordings) == 1


@pytest.mark.parametrize(
    ("words", "lists", "said"),
    [
        (["gone.mp4"], [], "gone.mp4: no such file or folder"),
        ([], ["gone.txt"], "--list gone.txt: No such file"),
        ([".git"], [], ".git: no recordings there"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    words: list[str], lists: list[str], said: str, tree: Path
) -> None:
    (tree / ".git/d.mp4").unlink()
    with pytest.raises(InputError) as caught:
        expand(words, lists)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


@pytest.fixture
def ordinary_user() -> Iterator[Path]:
    """A folder of a user who is not root, whom no file withstands."""
    folder = Path(tempfile.mkdtemp())
    root = os.geteuid() == 0
    if root:
        os.chown(folder, 65534, -1)
        os.seteuid(65534)
    yield folder
    if root:
        os.seteuid(0)
    (folder / "closed").chmod(0o700)
    shutil.rmtree(folder)


def test_a_folder_that_cannot_be_read_is_told_and_the_rest_goes_on(ordinary_user: Path) -> None:
    for name in ("closed/a.mp4", "open/b.mp4"):
        (ordinary_user / name).parent.mkdir()
        (ordinary_user / name).write_bytes(b"")
    (ordinary_user / "closed").chmod(0)
    given = expand([str(ordinary_user)])
    assert [Path(path).name for path in given.recordings] == ["b.mp4"]
    ((path, reason),) = given.problems
    assert path == str(ordinary_user / "closed")
    assert "Permission denied" in reason
    assert "change its permissions" in reason


def test_a_pattern_that_matches_nothing_is_told(tree: Path) -> None:
    given = expand(["day", "nothing-*.mp4"])
    assert names(given.recordings, tree) == ["day/c.wav", "day/deep/e.webm"]
    assert given.problems == [("nothing-*.mp4", "matches nothing; check the pattern")]
