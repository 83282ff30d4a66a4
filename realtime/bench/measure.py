"""Measurements of the pipeline, each in a real session with real processes."""

import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil

from gscon_live.realtime.bench import whisper_model
from gscon_live.realtime.bench.media import SAMPLE
from gscon_live.realtime.display.terminal import Notices
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.sinks import Sink
from gscon_live.realtime.pipeline.settings import Settings
from gscon_live.realtime.session import recorded
from gscon_live.realtime.session.model_info import model_info
from gscon_live.realtime.session.publisher import Publisher
from gscon_live.realtime.session.session import Session
from gscon_live.realtime.session.session_plan import Plan

MEBIBYTE = 1 << 20


class RecordedSession(Sink):
    """A session, its events, and readings of its processes.

    Attributes:
        events: wall time and event, without provisional events.
        provisional: wall time and provisional event.
        begun, started, ended: wall times: `run` is called, the session has started (all models are
            loaded, and it listens), the session has ended.
        memory: media time and bytes of all processes together; shared pages count once, on systems
            that tell (Linux).
        processor: wall time and seconds of processor time of all processes together.

    Args:
        plan: the session to run.
        interval: seconds between two readings of the processes.
        memory: whether to read the memory, which costs processor time.
        endpoint: where the events are published; None: nowhere.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        interval: float = 1.0,
        memory: bool = False,
        endpoint: str | None = None,
    ) -> None:
        self.events: list[tuple[float, schema.AnyEvent]] = []
        self.provisional: list[tuple[float, schema.Provisional]] = []
        self.memory: list[tuple[float, int]] = []
        self.processor: list[tuple[float, float]] = []
        self.begun = self.started = self.ended = 0.0
        self._media_time = 0.0
        self._interval = interval
        self._with_memory = memory
        self._stop = threading.Event()
        self._plan = plan
        self._endpoint = endpoint

    def write(self, event: schema.AnyEvent) -> None:
        """Keeps an event of the session, with its wall time."""
        now = time.monotonic()
        if isinstance(event, schema.SessionStarted):
            self.started = now
        if isinstance(event, schema.SessionEnded):
            self.ended = now
        if isinstance(event, schema.UtteranceEvent):
            self._media_time = event.utterance.end
        if isinstance(event, schema.Provisional):
            self.provisional.append((now, event))
        else:
            self.events.append((now, event))

    def close(self) -> None:
        """A recorded session holds nothing open."""
        return

    def run(self) -> "RecordedSession":
        """Runs the session to its end, and returns itself."""
        self.begun = time.monotonic()
        model = model_info(self._plan.settings.recognition)
        readings = threading.Thread(target=self._read_processes)
        with Publisher(self._endpoint, self._plan.session) as publisher:
            session = Session(self._plan, publisher, [self], model=model, source="bench")
            readings.start()
            try:
                session.run()
            finally:
                self._stop.set()
                readings.join()
        return self

    @property
    def seconds(self) -> float:
        """Wall time from the session's start to its end."""
        return self.ended - self.started

    def utterances(self) -> list[tuple[float, schema.UtteranceEvent]]:
        """Wall times and final events."""
        return [
            (time_, event)
            for time_, event in self.events
            if isinstance(event, schema.UtteranceEvent)
        ]

    def _read_processes(self) -> None:
        while not self._stop.wait(self._interval):
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
    """A session over a recording; `live` gives it the pace and the policies of a live one."""
    plan, _ = recorded.plan_for(str(path), settings, captions, None, Notices(quiet=True))
    if not live:
        return plan
    return msgspec.structs.replace(plan, live=True, speed=1.0)


def replay_factor(
    settings: Settings, path: Path = SAMPLE, endpoint: str | None = None
) -> dict[str, float]:
    """Replay speed: seconds of the recording per second of wall time, without the start."""
    session = RecordedSession(plan_for(path, settings), endpoint=endpoint).run()
    return {"replay_realtime_factor": _factor(session)}


def _factor(replayed: RecordedSession) -> float:
    """Seconds of the recording per second of wall time, without the start."""
    _, last = replayed.events[-1]
    assert isinstance(last, schema.SessionEnded)
    return last.duration / replayed.seconds


def latency(settings: Settings, path: Path = SAMPLE) -> dict[str, float]:
    """Live latency from the end of speech to the event, by stage: median and 95th percentile, s."""
    session = RecordedSession(plan_for(path, settings, captions="off", live=True)).run()
    latencies = [event.latency for _, event in session.utterances() if event.latency is not None]
    figures: dict[str, float] = {}
    for part in schema.Latency.__struct_fields__:
        values = [getattr(latency, part) for latency in latencies]
        figures[f"{part}_p50_s"] = float(np.percentile(values, 50))
        figures[f"{part}_p95_s"] = float(np.percentile(values, 95))
    figures["utterances"] = len(latencies)
    return figures


def words(settings: Settings, path: Path = SAMPLE) -> dict[str, Any]:
    """Words with a real model. Live: seconds until the session listens; from the start of speech to
    the first words, and to the first that stay; from the hangover's end to the answer; between two
    readings of the words so far. And the speed of a replay. Empty where no model is on this
    machine."""
    chosen = whisper_model.model_here(settings)
    if chosen is None:
        return {}
    model, settings = chosen
    # The live session comes first: what it starts is there for those after it.
    session = RecordedSession(plan_for(path, settings, captions="off", live=True)).run()
    replayed = RecordedSession(plan_for(path, settings, captions="off")).run()
    first: dict[int, float] = {}
    stable: dict[int, float] = {}
    last: dict[int, float] = {}
    between: list[float] = []
    for time_, event in session.provisional:
        utterance = event.utterance
        if not utterance.text:
            continue
        delay = time_ - session.started - utterance.start
        first.setdefault(utterance.id, delay)
        if utterance.stable_text:
            stable.setdefault(utterance.id, delay)
        if utterance.id in last:
            between.append(time_ - last[utterance.id])
        last[utterance.id] = time_
    answers = [
        event.latency.end_of_speech_to_event - event.latency.segmentation
        for _, event in session.utterances()
        if event.latency is not None
    ]
    figures: dict[str, Any] = {
        "transcription_model": Path(model).name,
        "start_to_listening_s": session.started - session.begun,
        "replay_words_realtime_factor": _factor(replayed),
    }
    for name, values, percents in (
        ("first_words", list(first.values()), (50, 95)),
        ("first_stable_words", list(stable.values()), (50,)),
        ("between_words", between, (95,)),
        ("answer_after_hangover", answers, (50, 95)),
    ):
        for percent in percents if values else ():
            figures[f"{name}_p{percent}_s"] = float(np.percentile(values, percent))
    return figures


def idle(settings: Settings, path: Path) -> dict[str, float]:
    """Processor use while nobody speaks, camera off, in percent of a core."""
    plan = plan_for(path, settings, captions="off", live=True)
    # Each reading of the processes takes processor time, too.
    session = RecordedSession(plan, interval=4.0).run()
    warm = [reading for reading in session.processor if reading[0] > session.started + 2]
    (begin, before), (end, after) = warm[0], warm[-2]
    return {"idle_cpu_percent": 100 * (after - before) / (end - begin)}


def memory(settings: Settings, path: Path) -> dict[str, float]:
    """Memory and cost per utterance over a long replay.

    `memory_growth_mb_per_hour` is the slope over media time after the first fifth. `cost_growth` is
    the wall time per utterance of the last fifth, divided by that of the second fifth.
    """
    session = RecordedSession(plan_for(path, settings), memory=True).run()
    points: Any = np.array(session.memory, float)
    settled = points[len(points) // 5 : -1]
    slope = np.polyfit(settled[:, 0] / 3600, settled[:, 1] / MEBIBYTE, 1)[0]
    times = np.array([time_ for time_, _ in session.utterances()])
    fifth = len(times) // 5
    costs = np.diff(times)
    return {
        "peak_memory_mb": float(points[:, 1].max() / MEBIBYTE),
        "memory_growth_mb_per_hour": float(slope),
        "cost_growth": float(np.mean(costs[-fifth:]) / np.mean(costs[fifth : 2 * fifth])),
        "replayed_minutes": float(points[-1, 0] / 60),
        "replayed_utterances": len(times),
        "long_replay_realtime_factor": float(points[-1, 0] / session.seconds),
    }
