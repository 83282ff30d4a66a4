"""Stages and sources for tests, at module level so that worker processes can be given them."""

import os
import random
import time
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from gscon_live.realtime.events import schema
from gscon_live.realtime.listen.transcriber import Transcriber
from gscon_live.realtime.listen.transcriber_parts import Recogniser, Samples
from gscon_live.realtime.listen.whisper import Outdated, Recognised, Windows
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.stage import Gauges, Incoming, Outgoing, Source, Stage
from gscon_live.realtime.session.service_table import SERVICES
from gscon_live.realtime.session.session_plan import StartTime, Worker


def original(name: str, worker: Worker, t0: StartTime) -> Any:
    """The stage or source that the table has under this name."""
    (service,) = (service for service in SERVICES if service.name == name)
    module, _, function = service.build.partition(":")
    return getattr(import_module(module), function)(worker, t0)


class Around(Stage):
    """A stage that does what another one does."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def process(self, message: Incoming) -> Iterable[Outgoing]:
        return self.stage.process(message)

    def flush(self) -> Iterable[Outgoing]:
        return self.stage.flush()

    def reset(self) -> None:
        self.stage.reset()

    def gauges(self) -> Gauges:
        return self.stage.gauges()

    def stale(self, message: Incoming, waiting: Sequence[Incoming]) -> bool:
        return self.stage.stale(message, waiting)

    def attend(self, waiting: Callable[[], Sequence[Incoming]]) -> None:
        self.stage.attend(waiting)

    def close(self) -> None:
        self.stage.close()


class Delayed(Around):
    """A stage that takes its time: now nothing, now up to 60 ms for a message."""

    def __init__(self, stage: Stage, seed: str) -> None:
        super().__init__(stage)
        self._random = random.Random(seed)

    def process(self, message: Incoming) -> Iterable[Outgoing]:
        if self._random.random() < 0.05:
            time.sleep(self._random.random() * 0.06)
        return self.stage.process(message)


def _delayed(worker: Worker, t0: StartTime, seed: int) -> Stage:
    return Delayed(original(worker.service, worker, t0), f"{seed} {worker.service}")


def delayed_once(worker: Worker, t0: StartTime) -> Stage:
    return _delayed(worker, t0, 1)


def delayed_otherwise(worker: Worker, t0: StartTime) -> Stage:
    return _delayed(worker, t0, 2)


class Broken(Stage):
    """A stage that cannot take what it gets."""

    def process(self, message: Incoming) -> Iterable[Outgoing]:
        raise ValueError("broken for a test")


def broken(worker: Worker, t0: StartTime) -> Stage:
    return Broken()


def unbuildable(worker: Worker, t0: StartTime) -> Stage:
    raise ValueError("cannot be built, for a test")


def dying(worker: Worker, t0: StartTime) -> Stage:
    os.abort()


class Chatty(Stage):
    """A stage that says one message of every kind to each it gets, and notes the kinds it got in
    the file `RECORDING.SERVICE`."""

    def __init__(self, worker: Worker) -> None:
        self._name = worker.service
        self._path = Path(f"{worker.plan.recording}.{worker.service}")
        self._seen: set[str] = set()
        self._said = False

    def process(self, message: Incoming) -> Iterable[Outgoing]:
        self._seen.add(type(message).__name__)
        if not self._said and not isinstance(message, messages.End):
            self._said = True
            yield from everything(self._name)

    def flush(self) -> Iterable[Outgoing]:
        self._path.write_text(" ".join(sorted(self._seen)), encoding="utf-8")
        return ()


def chatty(worker: Worker, t0: StartTime) -> Stage:
    return Chatty(worker)


class Counter(Stage):
    """A stage of a test's own: writes how many utterances it has been given, and in which order, to
    the file `RECORDING.SERVICE` when everything has been said. It is in no hurry."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._starts: list[float] = []

    def process(self, message: Incoming) -> Iterable[Outgoing]:
        if isinstance(message, messages.Utterance) and message.final:
            time.sleep(0.2)
            self._starts.append(message.start)
        return ()

    def flush(self) -> Iterable[Outgoing]:
        self._path.write_text(" ".join(map(str, self._starts)), encoding="utf-8")
        return ()

    def close(self) -> None:
        self._path.with_suffix(".closed").touch()


def counter(worker: Worker, t0: StartTime) -> Stage:
    return Counter(Path(f"{worker.plan.recording}.{worker.service}"))


class Script(Source):
    """A source that gives messages made beforehand."""

    def __init__(self, script: Iterable[messages.Message]) -> None:
        self._script = iter(script)

    def open(self) -> None: ...

    def read(self, timeout: float) -> list[messages.Message]:
        return [next(self._script)]

    def close(self) -> None: ...


def everything_once(worker: Worker, t0: StartTime) -> Source:
    return Script([*everything("recording"), messages.End("recording", 1.0)])


def everything(source: str) -> list[messages.AnyMessage]:
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


def jumping(worker: Worker, t0: StartTime) -> Source:
    """The recording's sound; its clock jumps forward by two seconds at 4.0 s, in a silence, and
    back by two at 8.7 s, in another."""
    return _Jumping(original("recording", worker, t0))


class _Jumping(Source):
    def __init__(self, source: Source) -> None:
        self._source = source

    def open(self) -> None:
        self._source.open()

    def read(self, timeout: float) -> list[messages.Message]:
        return [self._shift(message) for message in self._source.read(timeout)]

    def close(self) -> None:
        self._source.close()

    def _shift(self, message: messages.Message) -> messages.Message:
        if isinstance(message, messages.AudioChunk):
            by = 2.0 if 4.0 <= message.time < 8.7 else 0.0
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


class Sleepy(Around):
    """A stage that is away for some seconds when the first segment comes."""

    def __init__(self, stage: Stage, seconds: float) -> None:
        super().__init__(stage)
        self._seconds = seconds

    def process(self, message: Incoming) -> Iterable[Outgoing]:
        if isinstance(message, messages.Segment):
            time.sleep(self._seconds)
            self._seconds = 0.0
        return self.stage.process(message)


def sleepy(worker: Worker, t0: StartTime) -> Stage:
    return Sleepy(original(worker.service, worker, t0), 6.0)


class Labouring:
    """A recogniser on a machine that needs `cost` seconds for each second that is read."""

    def __init__(self, recogniser: Recogniser, cost: float) -> None:
        self._recogniser = recogniser
        self._cost = cost

    def __call__(
        self, samples: Samples, key: int, speaking: bool, outdated: Outdated, again: Windows
    ) -> Recognised:
        recognised = self._recogniser(samples, key, speaking, outdated, again)
        time.sleep(self._cost * recognised.read)
        return recognised

    def final(self, recognised: Recognised) -> None:
        self._recogniser.final(recognised)

    def reset(self) -> None:
        self._recogniser.reset()


def labouring(worker: Worker, t0: StartTime) -> Stage:
    stage = original(worker.service, worker, t0)
    assert isinstance(stage, Transcriber)
    assert stage._whisper is not None
    stage._whisper = Labouring(stage._whisper, 1.0)
    return stage
