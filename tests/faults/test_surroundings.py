"""A machine that lacks something: space, a folder for temporary files, a home, open files."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from devices import RATE, VirtualMicrophone, virtual_microphone
from sessions import WAIT, cut, read, tail, wait_for
from situations import (
    Place,
    after,
    begin,
    carry_out,
    command,
    finish,
    mounted,
    place,
    tmpfs,
)

from gscon_live.realtime.events import schema

pytestmark = [
    pytest.mark.fault,
    pytest.mark.skipif(sys.platform != "linux", reason="mounts and limits as Linux has them"),
]

#: A command in a situation, and what is added to its environment.
Situation = Callable[[Place, list[str]], tuple[list[str], dict[str, str]]]

WORKS: dict[str, Situation] = {
    "a home that is read-only": lambda where, words: (mounted(tmpfs(where.home, "ro"), words), {}),
    "no shared memory": lambda where, words: (mounted(tmpfs(Path("/dev/shm"), "ro"), words), {}),
    "a TMPDIR that is not there": lambda where, words: (words, {"TMPDIR": "/nowhere"}),
    "the locale C": lambda where, words: (words, {"LC_ALL": "C", "LANG": "", "PYTHONUTF8": "0"}),
    "no terminal and no standard input": lambda where, words: (
        after("exec <&-", words),
        {"TERM": ""},
    ),
    "64 open files": lambda where, words: (after("ulimit -n 64", words), {}),
    "24 open files, where more are allowed": lambda where, words: (
        after("ulimit -S -n 24", words),
        {},
    ),
    "all of it at once": lambda where, words: (
        mounted(
            f"{tmpfs(where.home, 'ro')} && {tmpfs(Path('/dev/shm'), 'ro')}",
            after("exec <&- && ulimit -n 64", words),
        ),
        {"LC_ALL": "C", "LANG": "", "PYTHONUTF8": "0", "TMPDIR": "/nowhere", "TERM": ""},
    ),
}


def _long(where: Place, words: list[str]) -> tuple[list[str], dict[str, str]]:
    folder = where.folder / ("x" * 80)
    folder.mkdir()
    return words, {"TMPDIR": str(folder)}


def _nowhere(where: Place, words: list[str]) -> tuple[list[str], dict[str, str]]:
    read_only = " && ".join(
        f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder}"
        for folder in ("/tmp", "/var/tmp")
    )
    return mounted(f"{read_only} && cd /proc", words), {"TMPDIR": "/proc"}


REFUSED: dict[str, tuple[Situation, str]] = {
    "a TMPDIR too long for a socket": (_long, "TMPDIR"),
    "no folder for temporary files": (_nowhere, "TMPDIR"),
    "a closed standard output": (lambda where, words: (after("exec >&-", words), {}), "output"),
    "24 open files": (lambda where, words: (after("ulimit -n 24", words), {}), "ulimit -n 1024"),
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine seconds with two utterances, under a name in two scripts."""
    return cut(tmp_path_factory.mktemp("clip") / "Gespräch 王芳.mkv", 9.0)


@pytest.fixture(scope="module")
def microphone() -> Iterator[VirtualMicrophone]:
    with virtual_microphone() as made:
        yield made


def complete(path: Path) -> bool:
    ended = read(path)[-1]
    assert isinstance(ended, schema.SessionEnded)
    return ended.complete


@pytest.mark.parametrize("situation", WORKS)
def test_a_session_does_without(situation: str, clip: Path) -> None:
    """a read-only home, no /dev/shm, a TMPDIR that is not there, the locale C, no terminal, at most 64 open files, a soft limit of 24, or all of it at once: the replay works; exit code 0"""
    with place() as where:
        words = command("replay", clip, "--events", "e.jsonl")
        words, more = WORKS[situation](where, words)
        done = carry_out(where, words, **more)
        assert done.returncode == 0, done.stderr
        assert done.stderr == "wrote e.jsonl\n"
        assert clip.name in done.stdout
        assert complete(where.folder / "e.jsonl")
        assert where.left() == []


@pytest.mark.parametrize("situation", REFUSED)
def test_what_a_session_cannot_do_without_is_named(situation: str, clip: Path) -> None:
    """no folder for temporary files, a TMPDIR too long for a socket, a closed standard output (`>&-`), at most 24 open files: one line with the remedy before anything is read; exit code 2"""
    how, mention = REFUSED[situation]
    with place() as where:
        words = command("replay", clip, "--events", where.folder / "e.jsonl")
        words, more = how(where, words)
        done = carry_out(where, words, **more)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        assert mention in done.stderr
        assert not (where.folder / "e.jsonl").exists()


def test_events_on_a_full_disk_fail_and_the_report_is_written(clip: Path) -> None:
    """the disk of --events gets full: one line that names the file; what was written is whole lines, the report is written as far as it got; exit code 1"""
    with place() as where:
        full = where.folder / "full"
        full.mkdir()
        # Twice, as the events of one have room in the smallest of disks.
        options = ("--events", "full/e.jsonl", "--report", "r.html", "--quiet")
        words = command("replay", clip, clip, *options)
        words = mounted(tmpfs(full, "size=4k"), words, "cp full/e.jsonl kept.jsonl")
        done = carry_out(where, words)
        assert done.returncode == 1, done.stderr
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith("error: full/e.jsonl: No space left on device")
        lines = (where.folder / "kept.jsonl").read_bytes().split(b"\n")
        assert isinstance(schema.decode(lines[0]), schema.SessionStarted)
        page = (where.folder / "r.html").read_text(encoding="utf-8")
        assert page.count("<tr id=") >= 2  # those of the first recording
        assert where.left() == []


def test_a_report_on_a_full_disk_fails_and_the_events_are_complete(clip: Path) -> None:
    """the disk of --report is full: one line that names the file; the events are complete, and nothing unfinished stays beside the report; exit code 1"""
    with place() as where:
        full = where.folder / "full"
        full.mkdir()
        words = command("replay", clip, "--events", "e.jsonl", "--report", "full/r.html", "--quiet")
        words = mounted(tmpfs(full, "size=8k"), words, "ls -A full > listed")
        done = carry_out(where, words)
        assert done.returncode == 1, done.stderr
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith("error: full/r.html: No space left on device")
        assert complete(where.folder / "e.jsonl")
        assert (where.folder / "listed").read_text() == ""
        assert where.left() == []


@pytest.mark.alone
def test_a_recording_on_a_full_disk_ends_the_session_and_can_be_read(
    microphone: VirtualMicrophone,
) -> None:
    """the disk of --record gets full: one line that names it; the recording can be read as far as it goes, other files are complete; exit code 1"""
    with place() as where:
        full = where.folder / "full"
        full.mkdir()
        words = command(
            "live", "--camera", "off", "--transcriber", "off", "--publish", "off", "--headless",
            "--record", "full/kept", "--events", "e.jsonl", "--seconds", "60",
        )  # fmt: skip
        words = mounted(tmpfs(full, "size=64k"), words, "cp -r full/kept kept")
        process = begin(where, words, **microphone.environment)
        wait_for(lambda: process.poll() is not None or list(tail(where.folder / "e.jsonl")), WAIT)
        # Noise, which cannot be compressed: 32 KB a second.
        noise = np.random.default_rng(0).normal(size=10 * RATE) / 10
        microphone.play(noise.astype(np.float32))
        done = finish(process)
        assert done.returncode == 1, done.stderr
        assert "Traceback" not in done.stderr
        error = done.stderr.splitlines()[-1]
        assert error.startswith("error: ")
        assert "full/kept" in error
        assert "No space left on device" in error
        assert not complete(where.folder / "e.jsonl")
        kept = sorted(path.name for path in (where.folder / "kept").iterdir())
        assert kept == ["events.jsonl", "session.mkv"]
        with av.open(str(where.folder / "kept" / "session.mkv")) as recording:
            assert sum(1 for _ in recording.demux(audio=0)) > 1
        assert where.left() == []


def test_two_sessions_beside_each_other_give_what_each_gives_alone(clip: Path) -> None:
    """two sessions on one machine at the same time: both give the same bytes; of two with one address, the second is refused in one line with exit code 2"""
    with place() as first, place() as second:
        words = command("replay", clip, "--events", "e.jsonl", "--quiet", "--speed", "2")
        address = f"ipc://{first.folder}/s"
        running = [begin(where, [*words, "--publish", f"ipc://{where.folder}/s"])
                   for where in (first, second)]  # fmt: skip
        try:
            while not (first.folder / "s").exists():
                assert running[0].poll() is None
            third = carry_out(second, [*words[:-4], "x.jsonl", "--publish", address])
        finally:
            done = [finish(process) for process in running]
        assert [each.returncode for each in done] == [0, 0]
        events = [(where.folder / "e.jsonl").read_bytes() for where in (first, second)]
        assert events[0] == events[1]
        assert complete(first.folder / "e.jsonl")
        assert third.returncode == 2
        assert third.stderr.count("\n") == 1
        assert "another program publishes there" in third.stderr
        assert first.left() == second.left() == []
