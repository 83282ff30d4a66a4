"""Runs a stage or a source in its process, and connects it."""

import contextlib
import signal
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from importlib import import_module

import zmq

from gscon_live.common import signals
from gscon_live.common.errors import Failure, InputError
from gscon_live.realtime.capture.quiet_blocks import QuietBlocks
from gscon_live.realtime.events.sockets import PIPELINE, prepare
from gscon_live.realtime.pipeline import bus, messages
from gscon_live.realtime.pipeline.control import Line, State
from gscon_live.realtime.pipeline.stage import Incoming, Outgoing, Source, Stage
from gscon_live.realtime.session.heard import Heard
from gscon_live.realtime.session.lag import known_at
from gscon_live.realtime.session.session_plan import Builder, Worker
from gscon_live.realtime.session.threads import limit_this_process

#: Longest wait in seconds of a source before it reads commands again.
PATIENCE = 0.1
#: Commands are read at most once in so many seconds: that costs more than a block of sound.
CHECK_EVERY = 0.05
#: Quiet sound is joined so many seconds after the longest hangover: no answer waits for it.
QUIET_AFTER = 1.0
#: Seconds between attempts of a restarted source to open a missing device.
RETRY = 1.0
#: High-water mark of the events that wait for the session.
_EVENTS_QUEUE = 1024


def run(worker: Worker) -> None:
    """Entry point of a worker process; returns when the session has ended."""
    for number in signals.SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # the session decides when to stop
    limit_this_process()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    line = Line(context, worker.endpoints.of("control"), worker.service)
    try:
        kind = _SourceHost if worker.source else _StageHost
        with contextlib.closing(kind(worker, context, line)) as host:
            host.run()
    except bus.Stopped:
        pass
    except InputError as error:
        line.report("failed", detail=str(error), wrong_input=True)
    except Failure as error:
        line.report("failed", detail=str(error), hopeless=True)
    except Exception as error:
        print(f"{worker.service}: {traceback.format_exc()}", file=sys.stderr, end="")
        line.report("failed", detail=f"{type(error).__name__}: {' '.join(str(error).split())}")
    finally:
        line.close()
        # If the host could not be built, its sockets are still open; `term` would wait for them.
        context.destroy(PIPELINE.linger)


class _Host:
    """The common part of both hosts: sends messages, and reports to the session."""

    def __init__(
        self, worker: Worker, context: "zmq.Context[zmq.Socket[bytes]]", line: Line
    ) -> None:
        self._worker = worker
        self._line = line
        self._handled = 0
        self._lag: float | None = None
        self._work = 0.0
        self._checked = 0.0
        self._senders = [
            bus.Sender(
                context,
                link,
                worker.plan.live,
                worker.endpoints.of(link.receiver),
                self._check,
            )
            for link in worker.sends
        ]
        self._events: zmq.Socket[bytes] | None = None
        if worker.answers:
            self._events = context.socket(zmq.PUSH)
            prepare(self._events, PIPELINE, _EVENTS_QUEUE)
            self._events.connect(worker.endpoints.of("events"))

    def run(self) -> None:
        """Works until the session has ended."""
        raise NotImplementedError

    def _check(self) -> None:
        """Reads commands and reports, but not too often; called whenever this process waits.
        Raises `Stopped`."""
        if time.monotonic() - self._checked >= CHECK_EVERY:
            self._attend()

    def _attend(self) -> None:
        """Reads commands, and reports if that is due. Raises `Stopped`."""
        self._checked = time.monotonic()
        self._line.listen()
        for sender in self._senders:
            if sender.link.receiver in self._line.without:
                sender.abandon()
        if self._due():
            self._report("running")

    def _due(self) -> bool:
        return self._line.due_in(self._handled) == 0

    def _report(self, state: State) -> None:
        gauges = self._gauges()
        if self._worker.plan.live and state == "running":
            gauges["work"], self._work = self._work, 0.0
            # Where no message came, nothing is known of the lag.
            if self._lag is not None:
                gauges["lag"], self._lag = self._lag, None
        self._line.report(state, handled=self._handled, dropped=self._dropped(), gauges=gauges)

    def _dropped(self) -> dict[str, int]:
        return {sender.link.receiver: sender.dropped for sender in self._senders if sender.dropped}

    def _gauges(self) -> dict[str, float | str | bool]:
        return {}

    def _send(self, outgoing: Iterable[Outgoing]) -> None:
        for message in outgoing:
            frame = bus.encode(message)
            for sender in self._senders:
                if isinstance(message, sender.link.carries):
                    sender.send(message, frame)
            if bus.is_event(message):
                self._push_event(frame)

    def _push_event(self, frame: bytes) -> None:
        while self._events is not None:
            try:
                self._events.send(frame, zmq.NOBLOCK)
                return
            except zmq.Again:
                self._check()
                self._events.poll(50, zmq.POLLOUT)

    def _finish(self, time_: float) -> None:
        """Sends the `End`, and stays until the session ends: ZeroMQ loses the queue of a process
        that exits, and a slow receiver may need long for it."""
        end = messages.End(self._worker.service, time_)
        self._line.end_again.clear()
        self._send([end])
        self._push_event(bus.encode(end))
        self._report("done")
        while not self._line.stopping:
            self._line.socket.poll(200)
            self._line.listen()
            for sender in self._senders:
                if sender.link.receiver in self._line.end_again:
                    sender.send(end, bus.encode(end))
            self._line.end_again.clear()

    def _send_restarted(self) -> None:
        if self._worker.restarts:
            self._send([messages.Restarted(self._worker.service)])

    def close(self) -> None:
        """Closes the sockets; queued messages have a moment to go out."""
        for sender in self._senders:
            sender.close()
        if self._events is not None:
            self._events.close()


class _StageHost(_Host):
    def __init__(
        self, worker: Worker, context: "zmq.Context[zmq.Socket[bytes]]", line: Line
    ) -> None:
        super().__init__(worker, context, line)
        self._inbox = bus.Inbox(
            context, worker.endpoints.of(worker.service), worker.takes, worker.plan.live
        )
        line.watch(self._inbox.socket)
        stage = _builder(worker.build)(worker, lambda: line.t0 or 0.0)
        if not isinstance(stage, Stage):
            raise TypeError(f"{worker.build} builds no Stage; a service without inputs is a Source")
        self._stage = stage
        self._heard = Heard(worker.service, worker.reached if worker.restarts else None)
        if worker.plan.live:
            stage.attend(self._inbox.look)

    def run(self) -> None:
        self._report("ready")
        self._line.wait_for_start()
        self._send_restarted()
        ended: set[str] = set()
        last_time = 0.0
        while not self._over(ended):
            message = self._inbox.receive()
            if message is None:
                commanded = self._line.wait(self._line.due_in(self._handled))
                if commanded or self._due():
                    self._attend()
                continue
            self._handled += 1
            self._note_lag(message)
            if isinstance(message, messages.End):
                ended.add(message.source)
                last_time = max(last_time, message.time)
            if (lost := self._heard.take(message)) is not None:
                self._send(self._timed(lost))
            if not (self._worker.plan.live and self._stage.stale(message, self._inbox.waiting)):
                self._send(self._timed(message))
            if self._due():
                self._attend()
        self._send(self._stage.flush())
        self._finish(last_time)

    def _timed(self, incoming: Incoming) -> Iterator[Outgoing]:
        """What the stage makes of a message. Adds up the seconds that it works, without those
        in which a receiver makes it wait."""
        began = time.monotonic()
        outgoing = iter(self._stage.process(incoming))
        while (message := next(outgoing, None)) is not None:
            self._work += time.monotonic() - began
            yield message
            began = time.monotonic()
        self._work += time.monotonic() - began

    def _attend(self) -> None:
        super()._attend()
        # Its senders stop before it: the session is over, and `End` may never come.
        if self._line.stopping and self._inbox.senders:
            raise bus.Stopped

    def _note_lag(self, message: object) -> None:
        known = known_at(message)
        if known is not None and self._line.t0 is not None:
            self._lag = max(self._lag or 0.0, time.monotonic() - self._line.t0 - known)

    def _over(self, ended: set[str]) -> bool:
        """Whether all senders have sent their `End`; without such senders, whether to stop."""
        if not self._inbox.senders:
            return self._line.stopping
        return len(ended) >= self._inbox.senders

    def _dropped(self) -> dict[str, int]:
        own = {self._worker.service: self._inbox.dropped} if self._inbox.dropped else {}
        return {**super()._dropped(), **own}

    def _gauges(self) -> dict[str, float | str | bool]:
        heard = {"reached": self._heard.until} if self._heard.until else {}
        return {**self._stage.gauges(), **heard}

    def close(self) -> None:
        super().close()
        self._inbox.close()
        self._stage.close()


class _SourceHost(_Host):
    def __init__(
        self, worker: Worker, context: "zmq.Context[zmq.Socket[bytes]]", line: Line
    ) -> None:
        super().__init__(worker, context, line)
        self._source: Source | None = None
        self._time = 0.0
        cut = worker.plan.settings.segmentation
        self._quiet = QuietBlocks(QUIET_AFTER + max(cut.hangover, cut.max_hangover))

    def run(self) -> None:
        self._report("ready")
        t0 = self._line.wait_for_start()
        # Built after the start of the session, as its times count from there.
        source = _builder(self._worker.build)(self._worker, lambda: t0)
        if not isinstance(source, Source):
            raise TypeError(f"{self._worker.build} builds no Source; a Stage takes from a service")
        self._source = source
        self._send_restarted()
        with contextlib.closing(source):
            self._open(source)
            self._read(source, t0)
        self._finish(self._time)

    def _read(self, source: Source, t0: float) -> None:
        ended = False
        live, speed = self._worker.plan.live, self._worker.plan.speed
        while not ended and not self._line.stopping:
            given = source.read(PATIENCE)
            for message in self._quiet.take(given) if live else given:
                self._time = max(self._time, messages.complete_at(message))
                ended = isinstance(message, messages.End)
                if ended or self._line.stopping:
                    break
                if speed is not None:
                    self._pace(t0 + self._time / speed)
                self._handled += 1
                self._send([message])
                if self._due():
                    self._attend()
            self._check()

    def _open(self, source: Source) -> None:
        """Opens the device; after a restart, waits for a missing one."""
        while not self._line.stopping:
            try:
                source.open()
                return
            except InputError:
                if not self._worker.restarts:
                    raise
            self._pace(time.monotonic() + RETRY)

    def _pace(self, until: float) -> None:
        while (left := until - time.monotonic()) > 0 and not self._line.stopping:
            time.sleep(min(left, PATIENCE))
            self._check()

    def _gauges(self) -> dict[str, float | str | bool]:
        if self._source is None:
            return {}
        return {"time": round(self._time, 3), "state": self._source.state}


def _builder(name: str) -> Builder:
    """The function of a name `module:function`."""
    module, _, function = name.partition(":")
    builder: Builder = getattr(import_module(module), function)
    return builder
