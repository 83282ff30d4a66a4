"""Commands in situations that are not the usual ones."""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from devices import lack, need
from sessions import WAIT, Family

from gscon_live.common import telemetry

#: What continuous integration sets, at which some libraries keep quiet.
_CI = ("CI", "TF_BUILD", "GITHUB_ACTIONS", "GITLAB_CI", "BUILD_ID", "JENKINS_URL", "TRAVIS")
#: What the tests set, or a module that was imported for them.
_OURS = (*telemetry._OFF, "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "HF_HOME",
         "TORCHINDUCTOR_CACHE_DIR")  # fmt: skip


class Place:
    """A folder of a command's own: what it is given for temporary files, and a home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.begun: list[subprocess.Popen[str]] = []
        self.temporary, self.home = folder / "t", folder / "h"
        for path in (self.temporary, self.home):
            path.mkdir()

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in (*_CI, *_OURS)}
        return {
            **kept,
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "OMP_NUM_THREADS": "1",
            **more,
        }

    def left(self) -> list[str]:
        """What is in both folders now."""
        return sorted(
            str(path.relative_to(self.folder))
            for kept in (self.temporary, self.home)
            for path in kept.rglob("*")
        )


@contextmanager
def place() -> Iterator[Place]:
    """A folder with a short path, as sockets need."""
    with tempfile.TemporaryDirectory(prefix="g-") as folder:
        where = Place(Path(folder))
        try:
            yield where
        finally:
            for process in where.begun:  # of a test that failed
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "gscon_live", *map(str, words)]


def begin(where: Place, words: Sequence[str], **more: str) -> "subprocess.Popen[str]":
    """Starts a command as the leader of a session of processes, without a terminal."""
    process = subprocess.Popen(
        words, cwd=where.folder, env=where.environment(**more), text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    where.begun.append(process)
    return process


def finish(process: "subprocess.Popen[str]") -> "subprocess.CompletedProcess[str]":
    """Waits for its end; when it has ended, so have all that it has started."""
    family = Family(process.pid)
    output, errors = process.communicate(timeout=WAIT * 2)
    assert family.left(patience=0.0) == [], errors
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def carry_out(
    where: Place, words: Sequence[str], **more: str
) -> "subprocess.CompletedProcess[str]":
    return finish(begin(where, words, **more))


def after(shell: str, words: Sequence[str]) -> list[str]:
    """The command, after something that a shell does for it: `ulimit -n 64`."""
    return ["sh", "-c", f'{shell} && exec "$@"', "sh", *words]


def mounted(mounts: str, words: Sequence[str], afterwards: str = "true") -> list[str]:
    """The command, among mounts that nobody else sees, and something that a shell does afterwards.
    Skips where that is not allowed."""
    need("unshare", "mount")
    alone = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root"]
    with tempfile.TemporaryDirectory() as folder:
        trial = [*alone, "mount", "-t", "tmpfs", "none", folder]
        if subprocess.run(trial, capture_output=True, check=False).returncode != 0:
            lack("mounting is not allowed here")
    script = f'{mounts} || exit 99; "$@"; code=$?; {afterwards}; exit $code'
    return [*alone, "sh", "-c", script, "sh", *words]


def tmpfs(folder: Path, options: str) -> str:
    """The shell's words for a small or read-only file system at a folder."""
    return f"mount -t tmpfs -o {options} none {shlex.quote(str(folder))}"


def traced(words: Sequence[str], record: Path) -> list[str]:
    """The command under strace. Skips where there is none, or it may not trace."""
    need("strace")
    # Without a filter in the kernel, every other call is stopped at, too.
    for strace in (["strace", "-f", "--seccomp-bpf"], ["strace", "-f"]):
        trial = [*strace, "-o", os.devnull, "true"]
        if subprocess.run(trial, capture_output=True, check=False).returncode == 0:
            break
    else:
        lack("strace may not trace here")
    calls = "connect,sendto,sendmsg,open,openat,creat,mkdir,mkdirat,unlink"
    return [*strace, "-qq", "-s", "300", "-e", f"trace={calls}", "-o", str(record), *words]


def catches(process: "subprocess.Popen[str]", number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal by now."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def shared_memory() -> set[str]:
    """Segments and semaphores that no process has open. Those of the sound server are its own."""
    there = {
        path.name for path in Path("/dev/shm").iterdir() if not path.name.startswith("pulse-shm-")
    }
    for maps in Path("/proc").glob("[0-9]*/maps"):
        if not there:
            break
        with suppress(OSError):
            used = maps.read_text(encoding="utf-8", errors="replace")
            there = {name for name in there if f"/dev/shm/{name}" not in used}
    return there


def left_in_shared_memory(before: set[str], patience: float = 10.0) -> list[str]:
    """What is there that was not before, after some seconds of patience: other programs on the
    machine have theirs for a moment without a name in any process."""
    until = time.monotonic() + patience
    while (left := shared_memory() - before) and time.monotonic() < until:
        time.sleep(0.5)
    return sorted(left)
