"""What runs beside the session of a soak, one after the other: second sessions, replays of bad
recordings, full disks, and signals at random moments. Each gives what is wrong, if anything."""

import os
import random
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from fuzzing import damaged
from sessions import Family, read
from situations import Place, after, begin, catches, command, place

from gscon_live.common import signals
from gscon_live.realtime.events import schema

#: Seconds in which a command has to end, also where the machine is busy.
LONGEST = 600.0
#: How a session refuses to begin without a microphone, with exit code 2.
NO_MICROPHONE = "exit code 2 (", "no sound input found"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Beside:
    """Runs one of `KINDS` at a time.

    Args:
        clip: a short recording with captions beside it.
        environment: what a process needs to hear the microphone.
        chance: decides what is run, and when a signal comes.
    """

    def __init__(self, clip: Path, environment: dict[str, str], chance: random.Random) -> None:
        self._clip = clip
        self._environment = environment
        self._chance = chance

    def run(self, kind: str) -> list[str]:
        """What is wrong with how this ended."""
        with place() as where:
            problems = KINDS[kind](self, where)
            return [f"{kind}: {problem}" for problem in problems]

    def damaged_recording(self, where: Place) -> list[str]:
        bad = where.folder / "bad.mkv"
        bad.write_bytes(damaged(self._clip.read_bytes(), self._chance))
        process = begin(where, command("replay", bad, "--events", "e.jsonl", *_WITHOUT_MODEL))
        return self._outcome(where, process, {0, 2})

    def damaged_captions(self, where: Place) -> list[str]:
        bad = where.folder / "bad.vtt"
        bad.write_bytes(damaged(self._clip.with_suffix(".vtt").read_bytes(), self._chance))
        words = command("replay", self._clip, "--captions", bad, "--events", "e.jsonl")
        return self._outcome(where, begin(where, words), {0, 2})

    def jumping_times(self, where: Place) -> list[str]:
        """Two transport streams, each with a clock of its own, one behind the other."""
        parts = []
        for number in range(2):
            part = where.folder / f"{number}.ts"
            offset = self._chance.choice([0, 30, 4_000, 90_000])
            subprocess.run(
                ["ffmpeg", "-v", "error", "-i", str(self._clip), "-map", "0:v", "-map", "0:a",
                 "-c:v", "mpeg2video", "-c:a", "mp2", "-output_ts_offset", str(offset), str(part)],
                check=True, stdin=subprocess.DEVNULL, capture_output=True,
            )  # fmt: skip
            parts.append(part.read_bytes())
        joined = where.folder / "joined.ts"
        joined.write_bytes(b"".join(parts))
        words = command("replay", joined, "--events", "e.jsonl", *_WITHOUT_MODEL)
        return self._outcome(where, begin(where, words), {0})

    def replay_and_signal(self, where: Place) -> list[str]:
        words = command("replay", self._clip, "--events", "e.jsonl", "--report", "r.html")
        return self._interrupted(where, begin(where, words), 15.0)

    def live_and_signal(self, where: Place) -> list[str]:
        words = command(
            "live", "--camera", "off", "--transcriber", "off", "--publish", "off", "--headless",
            "--record", "kept", "--events", "e.jsonl",
        )  # fmt: skip
        wrong = self._interrupted(where, begin(where, words, **self._environment), 25.0)
        # Another disturbance may have taken the microphone away before it begins.
        return [problem for problem in wrong if not all(part in problem for part in NO_MICROPHONE)]

    def full_disk(self, where: Place) -> list[str]:
        words = command("replay", self._clip, "--events", "e.jsonl", "--report", "r.html")
        process = begin(where, after("ulimit -f 2", words))
        return self._outcome(where, process, {1}, whole=False)

    def _interrupted(
        self, where: Place, process: "subprocess.Popen[str]", longest: float
    ) -> list[str]:
        number = self._chance.choice(SIGNALS)
        codes = {0, signals.exit_code(number)}
        try:
            process.wait(self._chance.uniform(0.1, longest))
        except subprocess.TimeoutExpired:
            if not catches(process, signal.SIGHUP):  # no line of ours has run
                return self._too_early(process)
            if self._chance.random() < 0.5:
                process.send_signal(number)
            else:
                os.killpg(process.pid, number)
        return self._outcome(where, process, codes, f" ({number.name})")

    def _too_early(self, process: "subprocess.Popen[str]") -> list[str]:
        """Python's own start is interrupted, which nobody but Python can handle."""
        process.kill()
        process.communicate()
        return []

    def _outcome(
        self,
        where: Place,
        process: "subprocess.Popen[str]",
        codes: set[int],
        said: str = "",
        whole: bool = True,
    ) -> list[str]:
        family = Family(process.pid)
        problems = []
        try:
            _, errors = process.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            _, errors = process.communicate()
            problems.append(f"no end after {LONGEST:.0f} s{said}: {errors[-500:]!r}")
        if process.returncode not in codes:
            problems.append(f"exit code {process.returncode}{said}: {errors[-500:]!r}")
        if "Traceback" in errors:
            problems.append(f"a traceback{said}: {errors[-1500:]!r}")
        if orphans := family.left(patience=1.0):
            problems.append(f"processes are left{said}: {orphans}")
        if left := where.left():
            problems.append(f"files are left{said}: {left}")
        if whole:
            problems += _whole(where.folder / "e.jsonl", said)
        return problems


def _whole(path: Path, said: str) -> list[str]:
    """What is wrong with a file of events, if it is there."""
    if not path.exists():
        return []
    try:
        events = read(path)
    except Exception as error:
        return [f"the events are not whole{said}: {type(error).__name__}: {error}"]
    ended = isinstance(events[-1], schema.SessionEnded)
    return [] if ended else [f"the session has no end{said}"]


_WITHOUT_MODEL = ("--transcriber", "off", "--quiet")

KINDS: dict[str, Callable[[Beside, Place], list[str]]] = {
    "a damaged recording": Beside.damaged_recording,
    "damaged captions": Beside.damaged_captions,
    "time stamps that jump": Beside.jumping_times,
    "a replay and a signal": Beside.replay_and_signal,
    "a second live session and a signal": Beside.live_and_signal,
    "a full disk": Beside.full_disk,
}
