"""Ctrl-C, SIGTERM and a closed terminal, from the start of a command to its end."""

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest
from sessions import WAIT, Family, cut, read, tail, wait_for
from situations import (
    Place,
    begin,
    carry_out,
    catches,
    command,
    finish,
    left_in_shared_memory,
    place,
    shared_memory,
)

from gscon_live.realtime.events import schema

pytestmark = [
    pytest.mark.fault,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP

#: A moment of a session: whether it has come, by the process and its place.
Moment = Callable[["subprocess.Popen[str]", Place], bool]


def _imports(process: "subprocess.Popen[str]", where: Place) -> bool:
    return catches(process, HUP)


def _has_sockets(process: "subprocess.Popen[str]", where: Place) -> bool:
    return any(where.temporary.glob("gscon-*/control"))


def _has_workers(process: "subprocess.Popen[str]", where: Place) -> bool:
    return any(where.temporary.glob("gscon-*/transcribe"))


def _has_events(process: "subprocess.Popen[str]", where: Place) -> bool:
    return any(tail(where.folder / "e.jsonl"))


def _has_ended(process: "subprocess.Popen[str]", where: Place) -> bool:
    return any(isinstance(event, schema.SessionEnded) for event in tail(where.folder / "e.jsonl"))


#: The moments, each with signals, whether the whole group gets them, and how often.
SWEEP: dict[str, tuple[Moment, signal.Signals, bool, int]] = {
    "Ctrl-C while it imports": (_imports, INT, True, 2),
    "SIGTERM while it imports": (_imports, TERM, False, 1),
    "a terminal that closes while it imports": (_imports, HUP, True, 1),
    "Ctrl-C while the workers' server imports": (_has_sockets, INT, True, 1),
    "SIGTERM to all while the workers' server imports": (_has_sockets, TERM, True, 2),
    "a terminal that closes while the workers start": (_has_workers, HUP, True, 1),
    "Ctrl-C twice in the session": (_has_events, INT, True, 2),
    "SIGTERM to all in the session": (_has_events, TERM, True, 1),
    "a terminal that closes in the session": (_has_events, HUP, True, 2),
    "SIGTERM twice at the end": (_has_ended, TERM, True, 2),
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine seconds with two utterances."""
    return cut(tmp_path_factory.mktemp("clip") / "clip.mkv", 9.0)


@pytest.mark.parametrize("situation", SWEEP)
def test_a_signal_at_any_moment_ends_the_replay_cleanly(situation: str, clip: Path) -> None:
    """Ctrl-C, SIGTERM or a closed terminal at any moment of a replay, once or twice, to one or all of its processes: one line, complete files, exit code 130, 143 or 129, and no process, socket, folder or shared memory is left"""
    moment, number, group, times = SWEEP[situation]
    before = shared_memory()
    with place() as where:
        words = command(
            "replay", clip, "--speed", "1", "--events", "e.jsonl", "--report", "r.html",
            "--publish", f"ipc://{where.folder}/s",
        )  # fmt: skip
        process = begin(where, words)
        wait_for(lambda: process.poll() is not None or moment(process, where), WAIT)
        assert process.poll() is None
        for _ in range(times):
            (os.killpg if group else os.kill)(process.pid, number)
        done = finish(process)
        lines = done.stderr.splitlines()
        if moment is _has_ended and done.returncode == 0:  # it was done already
            assert lines == ["wrote e.jsonl", "wrote r.html"]
        else:
            assert done.returncode == 128 + number, done.stderr
            assert len(lines) == 1, done.stderr
            assert lines[0].startswith("stopped by ")
        assert where.left() == []
        assert not (where.folder / "s").exists()
        names = {path.name for path in where.folder.iterdir() if path.is_file()}
        assert names <= {"e.jsonl", "r.html"}
        assert left_in_shared_memory(before) == []
        if moment is _has_events:
            assert names == {"e.jsonl", "r.html"}
            ended = read(where.folder / "e.jsonl")[-1]
            assert isinstance(ended, schema.SessionEnded)
            assert not ended.complete
            assert "wrote e.jsonl, r.html" in lines[0]


def test_a_terminal_that_is_closed_ends_the_replay_with_complete_files(clip: Path) -> None:
    """the window of the terminal is closed during a replay: files and report are complete; exit code 129"""
    with place() as where:
        leader, follower = pty.openpty()
        process = subprocess.Popen(
            command("replay", clip, "--speed", "1", "--events", "e.jsonl", "--report", "r.html"),
            cwd=where.folder, env=where.environment(TERM="xterm"), start_new_session=True,
            stdin=follower, stdout=follower, stderr=follower,
            # As a terminal's own program has it: closing it sends SIGHUP.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(follower)
        family = Family(process.pid)
        wait_for(lambda: process.poll() is not None or _has_events(process, where), WAIT)
        shown = os.read(leader, 1 << 16).decode(errors="replace")
        os.close(leader)
        assert process.wait(WAIT) == 129, shown
        assert family.left(patience=0.0) == []
        ended = read(where.folder / "e.jsonl")[-1]
        assert isinstance(ended, schema.SessionEnded)
        assert not ended.complete
        assert (where.folder / "r.html").exists()
        assert where.left() == []


def test_what_ignores_a_signal_goes_on_ignoring_it(clip: Path) -> None:
    """a command that was started with nohup, when the terminal is closed: it goes on"""
    with place() as where:
        words = ["nohup", *command("replay", clip, "--events", "e.jsonl", "--quiet")]
        process = begin(where, words)
        wait_for(lambda: process.poll() is not None or _has_sockets(process, where), WAIT)
        os.killpg(process.pid, HUP)
        done = finish(process)
        assert done.returncode == 0, done.stderr
        ended = read(where.folder / "e.jsonl")[-1]
        assert isinstance(ended, schema.SessionEnded)
        assert ended.complete


@pytest.mark.parametrize("events", [["--events", "e.jsonl"], []], ids=["file", "nothing else"])
def test_a_reader_that_has_had_enough_takes_nothing_else_with_it(
    events: list[str], clip: Path
) -> None:
    """`replay talk.mkv | head -1`: only the lines on the terminal end; files and reports are completed, and without any the replay ends; exit code 0"""
    with place() as where:
        words = command("replay", clip, *events, *(["--report", "r.html"] if events else []))
        process = begin(where, words)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("session ")
        process.stdout.close()
        assert process.stderr is not None
        errors = process.stderr.read()
        assert process.wait(WAIT) == 0, errors
        assert errors == ("wrote e.jsonl\nwrote r.html\n" if events else "")
        assert where.left() == []
        if events:
            ended = read(where.folder / "e.jsonl")[-1]
            assert isinstance(ended, schema.SessionEnded)
            assert ended.complete
            assert (where.folder / "r.html").read_text(encoding="utf-8").count("<tr id=") == 2


def test_a_program_without_a_guard_is_told_of_it(clip: Path) -> None:
    """a script that runs a session without `if __name__ == "__main__"`: one line that names this guard; exit code 2"""
    with place() as where:
        (where.folder / "mine.py").write_text(
            "import sys\n"
            "from gscon_live.common import cli\n"
            "from gscon_live.realtime import replay\n"
            f"sys.exit(cli.run(replay.main, [{str(clip)!r}]))\n"
        )
        done = carry_out(where, [sys.executable, "mine.py"])
        assert done.returncode == 2, done.stderr
        assert "if __name__ == '__main__':" in done.stderr
        assert done.stderr.count("\n") == 1
        assert where.left() == []
