"""`gscon-live archive`: the outputs of replay, for many; nothing is done twice or lost."""

import csv
import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest
from sessions import WAIT, cut, run, settings, start, wait_for

from gscon_live.common import cli
from gscon_live.realtime import report
from gscon_live.realtime.archive import pool, station
from gscon_live.realtime.archive.entries import Entry, Failed
from gscon_live.realtime.archive.pool import LocalWorkers, Reached, Report
from gscon_live.realtime.archive.station import Recipe, Station
from gscon_live.realtime.archive.store import Archive
from gscon_live.realtime.sample import CONVERSATION

COMMAND = "gscon_live.realtime.archive"


@pytest.fixture(scope="module")
def talks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings of one name, and a file that is none."""
    folder = tmp_path_factory.mktemp("talks")
    (folder / "later").mkdir()
    cut(folder / "talk.mkv", 9.0)
    cut(folder / "later" / "talk.mkv", 6.0)
    (folder / "broken.mp4").write_bytes(b"no recording")
    return folder


@pytest.fixture(scope="module")
def built(talks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their archive."""
    out = tmp_path_factory.mktemp("out") / "archive"
    done = run(COMMAND, talks, "--out", out, "--workers", 2)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "1 of 3 failed" in done.stderr.splitlines()[-1]
    assert "give a complete video or audio file" in done.stderr
    return out


def results(out: Path) -> dict[str, bytes]:
    """All files of the recordings, by their path in the archive."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted((out / "recordings").rglob("*"))
        if path.is_file()
    }


def test_the_results_are_those_of_replay_byte_for_byte(
    talks: Path, built: Path, tmp_path: Path
) -> None:
    entries = Archive(built).done
    assert len(entries) == 2
    assert len({entry.folder for entry in entries.values()}) == 2
    for path, entry in entries.items():
        for name in ("events.jsonl", "utterances.csv"):
            (tmp_path / name).unlink(missing_ok=True)
            done = run("gscon_live.realtime.replay", path, "--quiet", "--events", tmp_path / name)
            assert done.returncode == 0, done.stderr
        # An archive can be moved without the recordings, so its pages do not name their paths.
        words = [str(tmp_path / "events.jsonl"), str(tmp_path / "report.html")]
        assert cli.run(report.main, [*words, "--title", Path(path).name]) == 0
        for name in ("events.jsonl", "utterances.csv", "report.html"):
            mine = built / "recordings" / entry.folder / name
            assert mine.read_bytes() == (tmp_path / name).read_bytes()


def test_what_is_done_is_not_done_again_and_failures_are_tried_again(
    talks: Path, built: Path, tmp_path: Path
) -> None:
    out, folder = tmp_path / "archive", tmp_path / "talks"
    shutil.copytree(built, out)
    shutil.copytree(talks, folder)
    before = results(out)
    # The paths and times are others, the contents are not: they are read, and not replayed.
    done = run(COMMAND, folder, "--out", out, "--workers", 1)
    assert done.returncode == 1
    assert results(out) == before
    shutil.copy(folder / "talk.mkv", folder / "broken.mp4")
    states = {path: path.stat().st_mtime_ns for path in (out / "recordings").glob("*/*")}
    done = run(COMMAND, folder, "--out", out, "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert "2 of 3 recordings are done already" in done.stderr
    assert "1/1 broken.mp4" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in states} == states
    assert len(results(out)) == len(before) + 4
    with (out / "recordings.csv").open(newline="", encoding="utf-8") as table:
        states_told = {row["path"]: row["state"] for row in csv.DictReader(table)}
    assert states_told[str(folder / "broken.mp4")] == "done"


def test_stopped_and_killed_it_goes_on_where_it_was(
    talks: Path, built: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(talks, tmp_path / "talks")
    (folder / "broken.mp4").unlink()
    # The largest, so the first: who kills after another's end kills in the midst of it.
    shutil.copy(CONVERSATION, folder / "long.mkv")
    out = tmp_path / "archive"
    arguments = (folder, "--out", out, "--workers", 2)
    for number in (signal.SIGKILL, signal.SIGINT):
        process = start(COMMAND, *arguments)
        wait_for(lambda: list(out.glob("recordings/.unfinished-*/events.jsonl")), WAIT)
        os.kill(process.pid, number)
        _, errors = process.communicate(timeout=WAIT)
        if number == signal.SIGINT:
            assert process.returncode == 130
            assert "the same command goes on" in errors
            assert (out / "index.html").is_file()
            assert not list(out.glob("recordings/.unfinished-*"))
    done = run(COMMAND, *arguments)
    assert done.returncode == 0, done.stderr
    assert not list(out.glob("recordings/.unfinished-*"))
    names = {"events.jsonl", "report.html", "utterances.csv"}
    there = {name: raw for name, raw in results(out).items() if Path(name).name in names}
    expected = {name: raw for name, raw in results(built).items() if Path(name).name in names}
    assert there.items() >= expected.items()
    assert len(there) == len(expected) + 3


def test_a_worker_that_dies_costs_the_time_of_its_recording(talks: Path, tmp_path: Path) -> None:
    archive = Archive(tmp_path / "archive")
    archive.begin()
    recipe = Recipe(settings=settings(), captions="auto", out=str(archive.out))
    reports: list[Report] = []
    killed: list[int] = []

    def take(report: Report) -> None:
        reports.append(report)
        if isinstance(report, Reached) and not killed:
            (worker,) = [p for p in multiprocessing.active_children() if p.name == "gscon-archive"]
            assert worker.pid is not None
            killed.append(worker.pid)
            worker.kill()

    paths = [str(CONVERSATION), str(talks / "later" / "talk.mkv")]
    LocalWorkers(recipe, 1).run(paths, take, lambda: False)
    assert killed
    ends = [report for report in reports if not isinstance(report, Reached)]
    assert all(isinstance(report, Entry) for report in ends)
    assert sorted(report.path for report in ends) == sorted(paths)
    assert not [p for p in multiprocessing.active_children() if p.name == "gscon-archive"]


def test_views_of_other_code_are_written_again_and_events_are_not(
    built: Path, talks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = shutil.copytree(built, tmp_path / "archive")
    path, entry = next(iter(Archive(out).done.items()))
    place = out / "recordings" / entry.folder
    events = (place / "events.jsonl").stat().st_mtime_ns
    (place / "report.html").write_text("old")
    monkeypatch.setattr(station, "views_version", lambda: "newer")
    again = Station(Recipe(settings=settings(), captions="auto", out=str(out))).do(
        path, lambda share: None
    )
    assert isinstance(again, Entry)
    assert again.views == "newer"
    assert "<!doctype html>" in (place / "report.html").read_text(encoding="utf-8")
    assert (place / "events.jsonl").stat().st_mtime_ns == events


def test_a_recording_that_is_gone_or_no_file_is_a_failure_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "archive" / "recordings").mkdir(parents=True)
    place = Station(Recipe(settings=settings(), captions="auto", out=str(tmp_path / "archive")))
    for path in (tmp_path / "gone.mkv", tmp_path):
        told = place.do(str(path), lambda share: None)
        assert isinstance(told, Failed)
        assert path.name in told.reason
        assert "; " in told.reason
        assert "\n" not in told.reason


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--out", "new"), "give at least one PATH"),
        (("gone", "--out", "new"), "gone: no such file"),
        (("in", "--out", "mine"), "is not empty and no archive"),
        (("in", "--out", "new", "--workers", "none"), "--workers none"),
        (("in", "--out", "new", "recognition.checkpoint=gone"), "checkpoint 'gone'"),
    ],
)
def test_a_wrong_request_changes_nothing(
    arguments: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from gscon_live.common import cli
    from gscon_live.realtime.archive.__main__ import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mp4").write_bytes(b"")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.docx").write_bytes(b"")
    before = sorted(tmp_path.rglob("*"))
    handler = signal.getsignal(signal.SIGTERM)
    try:
        assert cli.run(main, arguments) == 2
    finally:
        signal.signal(signal.SIGTERM, handler)
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_there_are_no_more_workers_than_recordings_cores_and_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert pool.workers_that_pay(1, None) == 1
    assert pool.workers_that_pay(10**6, None) <= (os.cpu_count() or 1)
    monkeypatch.setattr(pool, "WORKER_BYTES", 1 << 60)
    assert pool.workers_that_pay(10**6, None) == 1
