"""What a session connects to, and what it opens: only what the user asked for."""

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from devices import VirtualMicrophone, camera_server, virtual_microphone
from sessions import WAIT, cut, read, tail, wait_for
from situations import Place, begin, carry_out, command, finish, place, traced
from whisper_models import whisper_model

from gscon_live.realtime.sample import CONVERSATION

pytestmark = [
    pytest.mark.fault,
    pytest.mark.skipif(sys.platform != "linux", reason="strace is Linux's"),
]

#: What stays on this machine.
_LOCAL = re.compile(r"sa_family=AF_(UNIX|NETLINK|UNSPEC)|inet_addr\(\"127\.|\"::1\"|\"::ffff:127\.")
_WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|^\d+ +(creat|mkdir|mkdirat)\(")
_PATH = re.compile(r"\"((?:[^\"\\]|\\.)*)\"")
_UNFINISHED = "<unfinished ...>"
_RESUMED = re.compile(r" *<\.\.\. \w+ resumed>")
#: Devices, and what the kernel shows of processes.
_NO_FILES = ("/dev/", "/proc/self/", "/sys/")


def calls(record: Path) -> Iterator[str]:
    """The calls of a record, each in a line. strace writes a call in two lines where another
    process makes one before the first has returned."""
    begun: dict[str, str] = {}
    for line in record.read_text(errors="replace").splitlines():
        process, _, call = line.partition(" ")
        if line.endswith(_UNFINISHED):
            begun[process] = line.removesuffix(_UNFINISHED)
        elif end := _RESUMED.match(call):
            yield begun.pop(process, f"{process} ") + call[end.end() :]
        else:
            yield line
    yield from begun.values()


def contacts(record: Path) -> list[str]:
    """The addresses beyond this machine that were connected or sent to."""
    named = [line for line in calls(record) if "sa_family=" in line]
    return [line for line in named if not _LOCAL.search(line)]


def written(record: Path, where: Place, sound: str = "/dev/") -> set[str]:
    """The files and folders that were opened for writing, but for temporary ones, and what the
    sound system's library keeps in its own folder."""
    paths = set()
    for line in calls(record):
        # A call that failed has written nothing.
        # A file without a name is gone when it is closed.
        if "O_TMPFILE" in line:
            continue
        if _WRITES.search(line) and not re.search(r"= -1 E(NOENT|EXIST|ACCES|ROFS|NXIO)", line):
            path = _PATH.search(line)
            assert path is not None, line
            paths.add(path[1])
    return {
        re.sub(r"\.unfinished-\w+", ".unfinished", path.removeprefix(f"{where.folder}/"))
        for path in paths
        if not path.startswith((*_NO_FILES, sound, f"{where.temporary}/"))
        and path != str(where.temporary)
    }


@pytest.fixture(scope="module")
def microphone() -> Iterator[VirtualMicrophone]:
    with virtual_microphone() as made:
        yield made


def test_a_replay_contacts_nobody_and_writes_nothing_else(tmp_path: Path) -> None:
    """a replay with sound, pictures and recognised words, every file and connection watched: no connection leaves the machine, and no file is written but those asked for and temporary ones, which are gone at the end"""
    clip = cut(tmp_path / "clip.mkv", 9.0)
    record = tmp_path / "calls"
    with place() as where:
        words = command(
            "replay", clip, "--captions", "off", "--transcriber", whisper_model("tiny.en"),
            "--events", "e.jsonl", "--report", "r.html",
        )  # fmt: skip
        done = carry_out(where, traced(words, record))
        assert done.returncode == 0, done.stderr
        assert contacts(record) == []
        assert written(record, where) == {
            "e.jsonl", ".r.html.unfinished", ".r.html.unfinished/r.html",
        }  # fmt: skip
        assert where.left() == []


@pytest.mark.alone
def test_a_live_session_contacts_nobody_and_writes_nothing_else(
    microphone: VirtualMicrophone, tmp_path: Path
) -> None:
    """a live session with microphone, camera and --record, every file and connection watched, then SIGTERM to all: no connection leaves the machine, no other file is written, the recording is complete, exit code 143"""
    record = tmp_path / "calls"
    with place() as where, camera_server(CONVERSATION) as camera:
        words = command(
            "live", "--camera", camera.url, "--transcriber", whisper_model("tiny.en"), "--headless",
            "--publish", f"ipc://{where.folder}/s", "--record", "kept", "--events", "e.jsonl",
        )  # fmt: skip
        process = begin(where, traced(words, record), **microphone.environment)
        wait_for(
            lambda: process.poll() is not None or list(tail(where.folder / "e.jsonl")), 3 * WAIT
        )
        time.sleep(3.0)
        # strace passes no signal on: the command is its child.
        own = int(record.read_text(errors="replace").split(maxsplit=1)[0])
        os.kill(own, signal.SIGTERM)
        done = finish(process)
        assert done.returncode == 143, done.stderr
        last = done.stderr.splitlines()[-1]
        assert re.fullmatch(
            r"stopped by SIGTERM after [\d:.]+, \d+ utterances?; wrote e.jsonl, kept", last
        )
        assert "Traceback" not in done.stderr
        assert contacts(record) == []
        sound = microphone.environment["PULSE_COOKIE"]
        assert written(record, where, sound) == {
            "e.jsonl",
            "kept",
            "kept/events.jsonl",
            "kept/session.mkv",
        }
        assert where.left() == []
        assert not (where.folder / "s").exists()
        assert read(where.folder / "kept" / "events.jsonl") == read(where.folder / "e.jsonl")
        finalised(where.folder / "kept" / "session.mkv")


def finalised(path: Path) -> None:
    """A recording that was ended properly has its length."""
    with av.open(str(path)) as recording:
        assert recording.duration is not None
        assert recording.duration > 2_000_000


def test_a_call_that_another_one_interrupts_is_read_whole(tmp_path: Path) -> None:
    record = tmp_path / "calls"
    record.write_text(
        '11 mkdir("/tmp/a", 0700 <unfinished ...>\n'
        '12 openat(AT_FDCWD, "/tmp/b", O_WRONLY|O_CREAT <unfinished ...>\n'
        "11 <... mkdir resumed>)             = -1 EEXIST (File exists)\n"
        "12 <... openat resumed>, 0666)      = 7\n"
        '11 connect(3, {sa_family=AF_UNIX, sun_path="/tmp/c"}, 110 <unfinished ...>\n'
    )
    with place() as where:
        assert written(record, where) == {"/tmp/b"}
    assert contacts(record) == []
