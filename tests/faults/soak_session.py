"""The session of a soak: its command, what is known of it, and what its events do not explain."""

import socket
import subprocess
import time

import memory
from devices import CameraServer
from sessions import WAIT, Family, read, tail, wait_for
from situations import Place, command
from soak_disturbances import Voice
from soak_ledger import Span, lost, uncounted, unexplained

from gscon_live.common.errors import Failure
from gscon_live.realtime.events import schema

#: Seconds after which an utterance has to be in the events, also where the machine is busy.
PATIENCE = 90.0


class Held:
    """The session that is disturbed, and what is known of it.

    Args:
        where: its folder.
        options: of the command, beside those for devices and outputs.
    """

    def __init__(self, where: Place, microphone: Voice, camera: CameraServer, options: list[str]):
        self.where = where
        self.path = where.folder / "e.jsonl"
        self.memory: list[tuple[float, float]] = []
        self.spoken: list[Span] = []
        self.disturbed: list[Span] = []
        self.received: list[schema.AnyEvent] = []
        self.missed = 0
        self.endpoint = f"tcp://127.0.0.1:{_free_port()}"
        words = command(
            "live", "--camera", camera.url, "--publish", self.endpoint, "--events", "e.jsonl",
            "--headless", *options, "camera.retry=0.5",
        )  # fmt: skip
        self.errors = (where.folder / "errors.txt").open("w+")
        self.process = subprocess.Popen(
            words, cwd=where.folder, env=where.environment(**microphone.environment),
            start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=self.errors,
        )  # fmt: skip
        where.begun.append(self.process)  # type: ignore[arg-type]
        self.family = Family(self.process.pid)
        wait_for(lambda: not self.running() or any(tail(self.path)), WAIT * 2)
        if not self.running():
            raise Failure(f"the session did not begin: {self.said()}")
        self.began = time.monotonic()

    @property
    def now(self) -> float:
        """Seconds of media time."""
        return time.monotonic() - self.began

    def running(self) -> bool:
        return self.process.poll() is None

    def said(self) -> str:
        self.errors.seek(0)
        return self.errors.read()[-3000:]

    def read_memory(self) -> None:
        """Takes the memory of all processes that is not a file's."""
        self.memory.append((self.now, memory.held(self.family)))

    def problems(self, last: bool = False) -> list[str]:
        """What the events do not account for, so far or at the end."""
        events = read(self.path) if last else list(tail(self.path))
        due = [span for span in self.spoken if last or span.end < self.now - PATIENCE]
        out = [f"nothing says what became of {_shown(span)}" for span in lost(due, events)]
        out += [
            f"a gap without a cause at {gap.time:.1f} s: {gap.reason}"
            for gap in unexplained(self.disturbed, events)
        ]
        if last:
            out += [f"utterance {number} began and has no end" for number in uncounted(events)]
            out += self._compared(events)
        return out

    def _compared(self, events: list[schema.AnyEvent]) -> list[str]:
        """A subscriber has what is in the file, but for what it counts as missed."""
        got = [event.seq for event in self.received]
        out = []
        if got != sorted(set(got)):
            out.append("the subscriber got events twice, or in another order")
        if any(events[event.seq] != event for event in self.received):
            out.append("the subscriber got another event than the file")
        absent = len(range(got[0], len(events))) - len(got) if got else 0
        if absent != self.missed + (len(events) - 1 - got[-1] if got else 0):
            out.append(f"the subscriber lacks {absent} events and counts {self.missed} as missed")
        return out


def _shown(span: Span) -> str:
    return f"{span.name} from {span.start:.1f} to {span.end:.1f} s"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
