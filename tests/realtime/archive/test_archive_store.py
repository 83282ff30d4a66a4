"""The folder of an archive: whole results or none, a journal, and nothing of the user's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from archive_folders import placed

from gscon_live.common.errors import Failure, InputError
from gscon_live.realtime.archive.entries import Failed
from gscon_live.realtime.archive.store import JOURNAL, RECORD, Archive, folder_name
from gscon_live.realtime.archive.versions import host


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    archive = Archive(tmp_path / "archive")
    archive.begin()
    return archive


def folders(archive: Archive) -> list[str]:
    return sorted(path.name for path in archive.results.path.iterdir())


def test_results_are_whole_or_absent(archive: Archive) -> None:
    with pytest.raises(ZeroDivisionError), archive.results.placing("a-1") as place:
        (place / RECORD).write_bytes(b"{}"[: 1 // 0])
    assert folders(archive) == []
    with archive.results.placing("a-1") as place:
        (place / RECORD).write_bytes(b"{}")
        assert not archive.results.there("a-1")
    assert archive.results.there("a-1")
    assert folders(archive) == ["a-1"]


def test_who_comes_second_leaves_the_first_result(archive: Archive) -> None:
    with archive.results.placing("a-1") as second:
        with archive.results.placing("a-1") as first:
            (first / RECORD).write_bytes(b"first")
        (second / RECORD).write_bytes(b"second")
    assert (archive.results.path / "a-1" / RECORD).read_bytes() == b"first"
    assert folders(archive) == ["a-1"]


def test_a_folder_from_which_files_were_taken_is_done_again(archive: Archive) -> None:
    (archive.results.path / "a-1").mkdir()
    (archive.results.path / "a-1" / "report.html").write_bytes(b"left")
    with archive.results.placing("a-1") as place:
        (place / RECORD).write_bytes(b"{}")
    assert archive.results.there("a-1")


def test_what_a_killed_process_was_writing_is_cleared_and_what_a_living_one_writes_is_not(
    archive: Archive,
) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                           capture_output=True, text=True, check=True).stdout.strip()  # fmt: skip
    mine = archive.results.path / f".unfinished-{host()}-{os.getpid()}-abc"
    other = archive.results.path / ".unfinished-another-machine-1-abc"
    old = archive.results.path / ".unfinished-another-machine-2-abc"
    left = archive.results.path / f".unfinished-{host()}-{ended}-abc"
    for folder in (mine, other, old, left):
        folder.mkdir()
    os.utime(old, (0, 0))
    Archive(archive.out).begin()
    assert mine.is_dir()
    assert other.is_dir()
    assert not old.exists()
    assert not left.exists()


def test_the_journal_tells_the_next_run_what_is_there(archive: Archive) -> None:
    entry = placed(archive, "/talks/a.mkv", 1)
    archive.add(Failed(path="/talks/b.mkv", reason="b: broken; mend it"))
    archive.add(Failed(path="/talks/c.mkv", reason="c: broken; mend it"))
    archive.forget_failure("/talks/c.mkv")
    again = Archive(archive.out)
    assert again.done == {"/talks/a.mkv": entry}
    assert list(again.failed) == ["/talks/b.mkv"]
    again.begin()
    third = Archive(archive.out)
    assert (third.done, third.failed) == (again.done, again.failed)


def test_a_journal_that_was_cut_keeps_its_whole_lines(archive: Archive) -> None:
    placed(archive, "/talks/a.mkv", 1)
    placed(archive, "/talks/b.mkv", 2)
    raw = archive.journal.read_bytes()
    archive.journal.write_bytes(raw[:-40])
    again = Archive(archive.out)
    assert list(again.done) == ["/talks/a.mkv"]
    # A line after the cut one is not lost with it.
    again.begin()
    placed(again, "/talks/c.mkv", 3)
    assert list(Archive(archive.out).done) == ["/talks/a.mkv", "/talks/c.mkv"]


def test_newer_results_replace_older_ones_of_the_same_recording_alone(archive: Archive) -> None:
    before = placed(archive, "/talks/a.mkv", 1)
    other = placed(archive, "/other/a.mkv", 2)
    after = placed(archive, "/talks/a.mkv", 3)
    assert folders(archive) == sorted([other.folder, after.folder])
    assert before.folder != after.folder
    # A copy of a recording has the same results.
    copy = placed(archive, "/copy/a.mkv", 3)
    assert copy.folder == after.folder
    placed(archive, "/talks/a.mkv", 4)
    assert archive.results.there(copy.folder)


def test_two_programs_fill_one_archive(archive: Archive) -> None:
    first = placed(archive, "/talks/a.mkv", 1)
    other = Archive(archive.out)
    other.begin()
    second = placed(other, "/talks/b.mkv", 2)
    third = placed(archive, "/talks/c.mkv", 3)
    for program in (archive, other):
        program.refresh()
        program.clear_superseded()
        assert sorted(program.done) == ["/talks/a.mkv", "/talks/b.mkv", "/talks/c.mkv"]
    assert folders(archive) == sorted([first.folder, second.folder, third.folder])


def test_a_lost_journal_loses_no_results(archive: Archive) -> None:
    entry = placed(archive, "/talks/a.mkv", 1)
    archive.journal.write_bytes(archive.journal.read_bytes().splitlines(keepends=True)[0])
    again = Archive(archive.out)
    again.begin()
    again.clear_superseded()
    assert again.results.there(entry.folder)


@pytest.mark.parametrize("name", ["thesis.docx", JOURNAL])
def test_a_folder_of_somebody_else_is_refused_and_left(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text('{"type": "other"}\n')
    with pytest.raises(InputError, match="give a new folder") as caught:
        Archive(tmp_path)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        Archive(tmp_path / "file")


def test_names_of_folders_are_safe_and_apart() -> None:
    assert folder_name("Interview 1: Ada?.mp4", "ab" * 16) == "Interview_1_Ada-abababababababab"
    assert folder_name("...mp4", "ab" * 16).startswith("recording-")
    assert folder_name("a.mp4", "1" * 32) != folder_name("a.mp4", "2" * 32)
    assert len(folder_name("ä" * 300 + ".mp4", "ab" * 16).encode()) < 90


def test_a_folder_that_cannot_be_written_fails_in_one_line(archive: Archive) -> None:
    archive.results.path.rmdir()
    with (
        pytest.raises(Failure, match="check permissions and space") as caught,
        archive.results.placing("a-1"),
    ):
        pass
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_leaves_nothing_half_written(archive: Archive) -> None:
    def written(place: Path) -> None:
        (place / "report.html").write_bytes(b"whole")
        (place / "events.jsonl").symlink_to("/dev/full")
        (place / "events.jsonl").write_bytes(b"x")

    with (
        pytest.raises(Failure, match="No space left on device; check") as caught,
        archive.results.placing("a-1") as place,
    ):
        written(place)
    assert "\n" not in str(caught.value)
    assert folders(archive) == []
    archive.journal.unlink()
    archive.journal.symlink_to("/dev/full")
    with pytest.raises(Failure, match="No space left on device; check"):
        archive.add(Failed(path="/talks/a.mkv", reason="a"))
