"""Measurements of the pipeline: each runs a real session and reads real processes."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil

from gscon_live.realtime import replay
from gscon_live.realtime.bench.media import SAMPLE
from gscon_live.realtime.display.terminal import Notices
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.sinks import Sink
from gscon_live.realtime.pipeline.settings import Settings
from gscon_live.realtime.session.model_info import model_info
from gscon_live.realtime.session.publisher import Publisher
from gscon_live.realtime.session.session import Session
from gscon_live.realtime.session.session_plan import Plan

MEBIBYTE = 1 << 20


class Run(Sink):
    """What one session did: its events with the times at which they came, and its processes.

    `memory` holds (media time, bytes) of all processes together, shared pages counted once where
    the system tells; `processor` (wall time, seconds of processor time) likewise.

    Args:
        plan: the session to run.
        every: seconds between two readings of the processes.
        memory: whether memory is read, which costs processor time itself.
    """

    def __init__(self, plan: Plan, *, every: float = 1.0, memory: bool = False) -> None:
        self.events: list[tuple[float, schema.AnyEvent]] = []
        self.memory: list[tuple[float, int]] = []
        self.processor: list[tuple[float, float]] = []
        self.started = self.ended = 0.0
        self._media_time = 0.0
        self._every = every
        self._with_memory = memory
        self._stop = threading.Event()
        self._plan = plan

    def write(self, event: schema.AnyEvent) -> None:
        """Takes an event of the session."""
        now = time.monotonic()
        if isinstance(event, schema.SessionStarted):
            self.started = now
        if isinstance(event, schema.SessionEnded):
            self.ended = now
        if isinstance(event, schema.UtteranceEvent):
            self._media_time = event.utterance.end
        if not isinstance(event, schema.Provisional):
            self.events.append((now, event))

    def close(self) -> None:
        """Nothing is held open."""
        return

    def go(self, on_tick: Callable[[Session], None] = lambda session: None) -> "Run":
        """Runs the session to its end, or until `on_tick` stops it."""
        model = model_info(self._plan.settings.recognition)
        watcher = threading.Thread(target=self._watch)
        with Publisher(None, self._plan.session) as publisher:
            session = Session(
                self._plan,
                publisher,
                [self],
                model=model,
                source="bench",
                on_tick=lambda reached: on_tick(session),
            )
            watcher.start()
            try:
                session.run()
            finally:
                self._stop.set()
                watcher.join()
        return self

    @property
    def seconds(self) -> float:
        """Wall time from the session's start to its end."""
        return self.ended - self.started

    def utterances(self) -> list[tuple[float, schema.UtteranceEvent]]:
        """The final events, with the wall time of each."""
        return [
            (at, event) for at, event in self.events if isinstance(event, schema.UtteranceEvent)
        ]

    def _watch(self) -> None:
        while not self._stop.wait(self._every):
            if not self.started:
                continue
            used, busy = 0, 0.0
            for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
                try:
                    if self._with_memory:
                        full = process.memory_full_info()
                        used += getattr(full, "pss", full.rss)
                    times = process.cpu_times()
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
                busy += times.user + times.system
            self.memory.append((self._media_time, used))
            self.processor.append((time.monotonic(), busy))


def plan_for(path: Path, settings: Settings, *, captions: str = "auto", live: bool = False) -> Plan:
    """A session over a recording; a live one is paced and treated as if it came from devices."""
    plan, _ = replay.plan_for(str(path), settings, captions, None, Notices(quiet=True))
    if not live:
        return plan
    return msgspec.structs.replace(plan, live=True, speed=1.0)


def replay_factor(settings: Settings, path: Path = SAMPLE) -> dict[str, float]:
    """Replay speed: seconds of the recording per second of wall time, once everything is loaded."""
    run = Run(plan_for(path, settings)).go()
    _, last = run.events[-1]
    assert isinstance(last, schema.SessionEnded)
    return {"replay_realtime_factor": last.duration / run.seconds}


def latency(settings: Settings, path: Path = SAMPLE) -> dict[str, float]:
    """From the end of speech to the event, live, by stage: median and 95th percentile in s."""
    run = Run(plan_for(path, settings, captions="off", live=True)).go()
    latencies = [event.latency for _, event in run.utterances() if event.latency is not None]
    figures: dict[str, float] = {}
    for part in schema.Latency.__struct_fields__:
        values = [getattr(latency, part) for latency in latencies]
        figures[f"{part}_p50_s"] = float(np.percentile(values, 50))
        figures[f"{part}_p95_s"] = float(np.percentile(values, 95))
    figures["utterances"] = len(latencies)
    return figures


def idle(settings: Settings, path: Path) -> dict[str, float]:
    """Processor use while nobody speaks, camera off, in percent of one core."""
    run = Run(plan_for(path, settings, captions="off", live=True)).go()
    warm = [reading for reading in run.processor if reading[0] > run.started + 2]
    (begin, before), (end, after) = warm[0], warm[-2]
    return {"idle_cpu_percent": 100 * (after - before) / (end - begin)}


def memory(settings: Settings, path: Path) -> dict[str, float]:
    """Memory and cost per utterance over a long replay.

    `memory_growth_mb_per_hour` is the slope over media time after the first fifth;
    `cost_growth` the wall time per utterance in the last fifth over that in the second fifth.
    """
    run = Run(plan_for(path, settings), memory=True).go()
    points: Any = np.array(run.memory, float)
    settled = points[len(points) // 5 : -1]
    slope = np.polyfit(settled[:, 0] / 3600, settled[:, 1] / MEBIBYTE, 1)[0]
    times = np.array([at for at, _ in run.utterances()])
    fifth = len(times) // 5
    costs = np.diff(times)
    return {
        "peak_memory_mb": float(points[:, 1].max() / MEBIBYTE),
        "memory_growth_mb_per_hour": float(slope),
        "cost_growth": float(np.mean(costs[-fifth:]) / np.mean(costs[fifth : 2 * fifth])),
        "replayed_minutes": float(points[-1, 0] / 60),
        "replayed_utterances": len(times),
        "long_replay_realtime_factor": float(points[-1, 0] / run.seconds),
    }
