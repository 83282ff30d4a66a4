"""Stages and sources for tests, at module level so that worker processes can be given them."""

import os
import random
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gscon_live.realtime.events import schema
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.session.assembly import BUILDERS
from gscon_live.realtime.session.session_plan import Worker


class Delayed:
    """A stage that takes its time: now nothing, now up to 60 ms for a message."""

    def __init__(self, stage: Any, seed: str) -> None:
        self._stage = stage
        self._random = random.Random(seed)

    def process(self, message: messages.Any) -> Iterable[object]:
        if self._random.random() < 0.05:
            time.sleep(self._random.random() * 0.06)
        return self._stage.process(message)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stage, name)


def _delayed(worker: Worker, t0: Callable[[], float], seed: int) -> Any:
    return Delayed(BUILDERS[worker.service](worker, t0), f"{seed} {worker.service}")


def delayed_once(worker: Worker, t0: Callable[[], float]) -> Any:
    return _delayed(worker, t0, 1)


def delayed_otherwise(worker: Worker, t0: Callable[[], float]) -> Any:
    return _delayed(worker, t0, 2)


class Broken:
    """A stage that cannot take what it gets."""

    def process(self, message: messages.Any) -> Iterable[object]:
        raise ValueError("broken for a test")

    def flush(self) -> Iterable[object]:
        return ()

    def gauges(self) -> Mapping[str, float | str | bool]:
        return {}


def broken(worker: Worker, t0: Callable[[], float]) -> Any:
    return Broken()


def unbuildable(worker: Worker, t0: Callable[[], float]) -> Any:
    raise ValueError("cannot be built, for a test")


def dying(worker: Worker, t0: Callable[[], float]) -> Any:
    os.abort()


class Chatty:
    """A stage that says one message of every kind to each it gets, and notes the kinds it got in
    the file `RECORDING.SERVICE`."""

    def __init__(self, worker: Worker) -> None:
        self._name = worker.service
        self._path = Path(f"{worker.plan.recording}.{worker.service}")
        self._seen: set[str] = set()
        self._said = False

    def process(self, message: messages.Any) -> Iterable[object]:
        self._seen.add(type(message).__name__)
        if not self._said and not isinstance(message, messages.End):
            self._said = True
            yield from everything(self._name)

    def flush(self) -> Iterable[object]:
        self._path.write_text(" ".join(sorted(self._seen)), encoding="utf-8")
        return ()

    def gauges(self) -> Mapping[str, float | str | bool]:
        return {}


def chatty(worker: Worker, t0: Callable[[], float]) -> Any:
    return Chatty(worker)


class Script:
    """A source that gives messages made beforehand."""

    def __init__(self, made: Iterable[messages.Any]) -> None:
        self._made = iter(made)

    def open(self) -> None: ...

    def read(self, timeout: float) -> list[messages.Any]:
        return [next(self._made)]

    def close(self) -> None: ...


def everything_once(worker: Worker, t0: Callable[[], float]) -> Any:
    return Script([*everything("recording"), messages.End("recording", 1.0)])


def everything(source: str) -> list[messages.Any]:
    """One message of every kind that may be in the middle of a stream."""
    sound = np.zeros(320, np.float32).tobytes()
    return [
        messages.AudioChunk(0.0, sound),
        messages.VideoFrame(0.0, 2, 2, bytes(12)),
        messages.Cue(0.0, 0.5, "words"),
        messages.Mark(0.0, source),
        messages.Dropped(0.0, "audio", 1, 0.0, "for a test"),
        messages.Restarted(source),
        messages.SpeechStarted(1, 0.0),
        messages.Segment(1, 0.0, 0.5, 0.5, True, sound),
        messages.Utterance(1, 0.0, 0.5, 0.5, True, "", "none", None, None, None, {}),
        messages.Faces(0.0, []),
    ]


def jumping(worker: Worker, t0: Callable[[], float]) -> Any:
    """The recording's sound; its clock jumps forward by two seconds at 4.5 s, in a silence, and
    back by two at 8.7 s, in another."""
    return _Jumping(BUILDERS["recording"](worker, t0))


class _Jumping:
    def __init__(self, source: Any) -> None:
        self._source = source
        self.state = "open"

    def open(self) -> None:
        self._source.open()

    def read(self, timeout: float) -> list[messages.Any]:
        return [self._shift(one) for one in self._source.read(timeout)]

    def close(self) -> None:
        self._source.close()

    def _shift(self, message: messages.Any) -> messages.Any:
        if isinstance(message, messages.AudioChunk):
            by = 2.0 if 4.5 <= message.time < 8.7 else 0.0
            return messages.AudioChunk(message.time + by, message.samples)
        if isinstance(message, messages.Mark):
            return messages.Mark(0.0, message.source)
        return message


def gap(number: int) -> schema.Gap:
    """An event of about two kilobytes."""
    return schema.Gap(
        schema=schema.SCHEMA, session="s", seq=0,
        time=float(number), what="frames", count=1, seconds=0.0, reason="x" * 1900,
    )  # fmt: skip


class Sleepy:
    """A stage that is away for some seconds when the first segment comes."""

    def __init__(self, stage: Any, seconds: float) -> None:
        self._stage = stage
        self._seconds = seconds

    def process(self, message: messages.Any) -> Iterable[object]:
        if isinstance(message, messages.Segment):
            time.sleep(self._seconds)
            self._seconds = 0.0
        return self._stage.process(message)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stage, name)


def sleepy(worker: Worker, t0: Callable[[], float]) -> Any:
    return Sleepy(BUILDERS[worker.service](worker, t0), 6.0)
