"""Sessions for tests: commands as a user starts them, and sessions that a test looks into."""

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import jsonschema
import msgspec
import psutil

from gscon_live.configs import loader
from gscon_live.realtime.display.terminal import Notices
from gscon_live.realtime.events import schema, sinks
from gscon_live.realtime.pipeline.services import Service
from gscon_live.realtime.pipeline.settings import Settings
from gscon_live.realtime.sample import CONVERSATION
from gscon_live.realtime.session import recorded
from gscon_live.realtime.session.model_info import model_info
from gscon_live.realtime.session.publisher import Publisher
from gscon_live.realtime.session.service_table import SERVICES
from gscon_live.realtime.session.session import Session
from gscon_live.realtime.session.session_plan import Plan

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WAIT = 90.0  # seconds for what takes a few on a machine that is not busy
_SCHEMA = jsonschema.Draft202012Validator(
    json.loads((ROOT / "realtime/events/schema.json").read_text(encoding="utf-8"))
)


def start(
    module: str, *arguments: object, environment: dict[str, str] | None = None, **options: Any
) -> "subprocess.Popen[str]":
    """Starts `python -m MODULE ...` as the leader of a process group, as a terminal does."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
        text=True, start_new_session=True,
        **{"cwd": ROOT, "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
           "stderr": subprocess.PIPE, **options},
    )  # fmt: skip


def run(module: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Runs a command to its end, and sees that none of its processes is left."""
    process = start(module, *arguments)
    with Family(process.pid) as family:
        output, errors = process.communicate(timeout=WAIT * 2)
    assert family.left() == []
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


class Family:
    """All processes that a process starts, directly or not, while this is looked at."""

    def __init__(self, pid: int) -> None:
        self._group = pid
        self.members: dict[int, psutil.Process] = {}

    def look(self) -> list[psutil.Process]:
        """Those there are now: a command that leads a session has all of its own in it."""
        processes = []
        for pid in psutil.pids():
            try:
                if os.getsid(pid) == self._group:
                    processes.append(self.members.setdefault(pid, psutil.Process(pid)))
            except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
                continue
        return processes

    def left(self, patience: float = 5.0) -> list[psutil.Process]:
        """Those that are still running after some seconds of patience."""
        until = time.monotonic() + patience
        while True:
            alive = [process for process in self.look() if _alive(process)]
            if not alive or time.monotonic() > until:
                return alive
            time.sleep(0.05)

    def __enter__(self) -> "Family":
        return self

    def __exit__(self, *_: object) -> None:
        self.look()


def _alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(what: Callable[[], Any], seconds: float = 40.0) -> Any:
    """Waits until `what` gives something, and gives it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if outcome := what():
            return outcome
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def read(path: Path) -> list[schema.AnyEvent]:
    """The events in a file: whole lines, valid by the schema, numbered without a hole."""
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    lines = text.splitlines()
    for line in lines:
        _SCHEMA.validate(json.loads(line))
    events = [schema.decode(line) for line in lines]
    check(events)
    return events


def check(events: list[schema.AnyEvent], *, at_once: bool = False) -> None:
    """What holds for the events of every session. `at_once`: people are heard by themselves, so one
    may begin later than another and end before."""
    assert [event.seq for event in events] == list(range(len(events)))
    assert isinstance(events[0], schema.SessionStarted)
    assert isinstance(events[-1], schema.SessionEnded)
    ids = [event.utterance.id for event in utterances(events)]
    assert len(ids) == len(set(ids))
    assert at_once or ids == sorted(ids)
    begun = [event.utterance for event in events if isinstance(event, schema.SpeechStarted)]
    assert begun == sorted(set(begun))
    assert events[-1].utterances == len(ids)


def utterances(events: list[schema.AnyEvent]) -> list[schema.UtteranceEvent]:
    return [event for event in events if isinstance(event, schema.UtteranceEvent)]


def of(kind: type[Any], events: list[schema.AnyEvent]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def cut(path: Path, seconds: float, source: Path = CONVERSATION) -> Path:
    """The first seconds of a recording, sound and picture as they are, captions beside it."""
    early = itertools.count(-200, 60)  # ms
    with av.open(str(source)) as media, av.open(str(path), "w") as out:
        tracks = {
            s.index: out.add_stream_from_template(s) for s in media.streams if s.type != "subtitle"
        }
        for packet in media.demux([s for s in media.streams if s.index in tracks]):
            if packet.pts is not None and float(packet.pts * packet.time_base) < seconds:
                if packet.dts is None:  # the first pictures: they are decoded before they are due
                    packet.dts = next(early)
                packet.stream = tracks[packet.stream.index]
                out.mux(packet)
    blocks = source.with_suffix(".vtt").read_text(encoding="utf-8").strip().split("\n\n")
    kept = [block for block in blocks[1:] if _ends(block) <= seconds]
    path.with_suffix(".vtt").write_text("\n\n".join(["WEBVTT", *kept]) + "\n", encoding="utf-8")
    return path


def _ends(block: str) -> float:
    hours, minutes, seconds = block.split("\n")[0].split(" --> ")[1].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def settings(*overrides: str) -> Settings:
    return loader.load("live", Settings, ["publish.endpoint=null", *overrides])


def plan_for(path: Path, *overrides: str, captions: str = "auto", **changes: Any) -> Plan:
    """A session over a recording, as the replay command decides it, with some fields changed."""
    plan, _ = recorded.plan_for(
        str(path), settings(*overrides), captions, None, Notices(quiet=True)
    )
    return msgspec.structs.replace(plan, **changes)


class Play:
    """A session in this process. `events` are its events, `pids` its workers by service.

    `at(time, action)` has something done when media time gets there; `when(condition, action)` once
    it holds. Actions are given this object.
    """

    def __init__(self, plan: Plan, **options: Any) -> None:
        self.plan = plan
        self.events: list[schema.AnyEvent] = []
        self.time = 0.0
        self.last_pids: dict[str, int | None] = {}
        self._options = options
        self._todo: list[tuple[Callable[[], bool], Callable[[], object]]] = []

    def when(self, condition: Callable[[], bool], action: Callable[[], object]) -> None:
        self._todo.append((condition, action))

    def at(self, moment: float, action: Callable[[], object]) -> None:
        self.when(lambda: self.time >= moment, action)

    def write(self, event: schema.AnyEvent) -> None:
        self.events.append(event)

    def close(self) -> None: ...

    @property
    def pids(self) -> dict[str, int | None]:
        return self.session.pids

    def kill(self, service: str, signal_: int = 9) -> None:
        pid = self.pids[service]
        assert pid is not None
        os.kill(pid, signal_)

    def go(self, endpoint: str | None = None, keep: Path | None = None) -> bool:
        """Runs to the end, with the events in a file too if asked."""
        listeners: list[Any] = [self]
        if keep is not None:
            listeners.append(sinks.JsonLines(keep))
        with Publisher(endpoint, self.plan.session) as publisher:
            self.session = Session(
                self.plan, publisher, listeners,
                model=model_info(self.plan.settings.recognition),
                source=Path(self.plan.recording or "devices").name,
                on_tick=self._tick, **self._options,
            )  # fmt: skip
            complete = self.session.run()
        self.last_pids = self.pids
        check(self.events, at_once=len(self.plan.speakers) > 1)
        return complete

    def _tick(self, reached: float) -> None:
        self.time = max(self.time, reached)
        due = [step for step in self._todo if step[0]()]
        self._todo = [step for step in self._todo if step not in due]
        for _, action in due:
            action()


def built_by(**builders: str) -> tuple[Service[Plan], ...]:
    """The table of services, some built by another function: `watch="stubs:broken"`."""
    return tuple(
        msgspec.structs.replace(service, build=builders.get(service.name, service.build))
        for service in SERVICES
    )


def tail(path: Path) -> Iterator[schema.AnyEvent]:
    """The whole lines that are in a file now, as events."""
    if path.exists():
        for line in path.read_bytes().split(b"\n")[:-1]:
            yield schema.decode(line)
