"""A session: starts and supervises the workers, numbers and hands on their events."""

import time
from collections.abc import Callable, Iterable
from math import inf

import zmq

from gscon_live.common import guard, signals
from gscon_live.common.errors import Failure, InputError
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.sinks import Sink
from gscon_live.realtime.events.sockets import EVENTS_IN, prepare
from gscon_live.realtime.pipeline import bus, messages
from gscon_live.realtime.pipeline.control import EndAgain, Start, Status, Stop, Switchboard, Without
from gscon_live.realtime.pipeline.services import Service, links
from gscon_live.realtime.session import processes
from gscon_live.realtime.session.announcer import Announcer
from gscon_live.realtime.session.drops import Drops
from gscon_live.realtime.session.lag import Lags
from gscon_live.realtime.session.processes import Process
from gscon_live.realtime.session.publisher import Publisher
from gscon_live.realtime.session.restarts import MAX_RESTARTS, Restarts
from gscon_live.realtime.session.service_table import SERVICES, running
from gscon_live.realtime.session.session_plan import Plan, Worker
from gscon_live.realtime.session.threads import limit_children

#: Seconds after which a worker that is not ready counts as failed.
START_TIMEOUT = 120.0
#: Seconds after a stop in which the pipeline may finish.
STOP_TIMEOUT = 1.2
#: High-water mark of the events that wait for the session.
_EVENTS_QUEUE = 1024


class Session:
    """Runs one session from start to end.

    Args:
        plan: sources, settings and pace.
        publisher: numbers the events and publishes them.
        sinks: get all events, in order.
        model: name and version of the emotion model, for `session.started`.
        source: description of the devices or the recording, for `session.started`.
        started_at: wall-clock time for `session.started`; None leaves it out (replay).
        kept: what is written to files, for `session.started`; None leaves it out (replay).
        on_status: gets all reports of the workers.
        on_tick: called about ten times per second with the media time so far.
        services: the table of services; the plan decides which of them run.
        start_method: "spawn" or "forkserver"; None chooses.
    """

    def __init__(
        self,
        plan: Plan,
        publisher: Publisher,
        sinks: Iterable[Sink],
        *,
        model: schema.ModelInfo,
        source: str,
        started_at: str | None = None,
        kept: list[schema.Kept] | None = None,
        on_status: Callable[[Status], None] = lambda status: None,
        on_tick: Callable[[float], None] = lambda time: None,
        services: Iterable[Service[Plan]] = SERVICES,
        start_method: str | None = None,
    ) -> None:
        guard.check()
        self._plan = plan
        self._events = Announcer(plan.session, publisher, sinks)
        self._model = model
        self._source = source
        self._started_at = started_at
        self._kept = kept
        self._on_status = on_status
        self._on_tick = on_tick
        self._services = running(plan, services)
        self._links = links(list(self._services.values()))
        limit_children()
        self._context_of_workers = processes.start_context(start_method)
        self._workers: dict[str, Process] = {}
        self._restarts = Restarts()
        self._given_up: set[str] = set()
        self._drops = Drops()
        self._lags = Lags()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._t0 = self._media_time = 0.0
        self._started = False
        self._spawning = False
        self._complete = False
        self._stopping = False
        self._stop_at: float | None = None

    @property
    def pids(self) -> dict[str, int | None]:
        """Process ids of the workers, by service."""
        return {name: process.pid for name, process in self._workers.items()}

    @property
    def _successful(self) -> bool:
        return self._complete and (self._plan.live or not self._stopping)

    @property
    def summary(self) -> str | None:
        """How long it lasted, and how many utterances there were; None if it did not start."""
        return self._events.summary(self._media_time) if self._started else None

    def stop(self) -> None:
        """Stops the sources; the session ends shortly after, with the sound so far. A signal
        handler may call it."""
        self._stopping = True
        if self._spawning:
            processes.kill_fork_server()

    def run(self) -> bool:
        """Runs the session to its end. Returns whether it is complete: all events have been sent,
        and a recording was not stopped before its end.

        Ctrl-C calls `stop`, and so do SIGTERM and SIGHUP if the program handles them.

        Raises:
            InputError: a worker refuses the request (a device, a model, a file).
            Failure: a worker failed, and the session cannot go on.
        """
        names = [*self._services, "control", "events"]
        with signals.restored(), bus.private_endpoints(names) as self._endpoints:
            signals.note(self.stop, handled=True)
            self._switchboard = Switchboard(self._context, self._endpoints.of("control"))
            self._inbox = self._context.socket(zmq.PULL)
            prepare(self._inbox, EVENTS_IN, _EVENTS_QUEUE)
            self._inbox.bind(self._endpoints.of("events"))
            try:
                if self._start():
                    self._begin()
                    self._follow()
                    if self._complete:
                        self._await_others()
            finally:
                self._end()
        return self._successful

    def _start(self) -> bool:
        """Starts the workers and waits until they are ready. Returns false if a stop came first."""
        try:
            for service in sorted(self._services):
                # The first one waits until the fork server has imported everything.
                self._spawning = not self._workers
                if not self._stopping:
                    self._spawn(service)
        except (EOFError, OSError) as error:
            if not self._stopping:
                raise Failure(f"the workers cannot be started ({error}); see --debug") from error
        self._spawning = False
        if not self._stopping:
            self._until_ready()
        return not self._stopping

    def _spawn(self, name: str) -> None:
        service = self._services[name]
        worker = Worker(
            service=name,
            build=service.build,
            source=service.source,
            answers=service.answers,
            takes=tuple(link for link in self._links if link.receiver == name),
            sends=tuple(link for link in self._links if link.sender == name),
            plan=self._plan,
            endpoints=self._endpoints,
            restarts=self._restarts.count(name),
            utterances=self._events.last_id,
            reached=self._restarts.reached(name),
        )
        self._workers[name] = Process(self._context_of_workers, worker)

    def _until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while any(process.state == "starting" for process in self._workers.values()):
            if self._stopping:
                return
            if time.monotonic() > deadline:
                slow = [n for n, p in self._workers.items() if p.state == "starting"]
                raise Failure(f"{', '.join(slow)}: not ready after {START_TIMEOUT:.0f} s")
            self._switchboard.socket.poll(100)
            self._take_statuses()
            self._events.serve(self._now())
            self._look_after_workers()

    def _begin(self) -> None:
        self._t0 = time.monotonic()
        for name in self._workers:
            self._switchboard.command(name, Start(self._t0))
        self._events.started(self._source, self._model, self._started_at, self._kept)
        self._started = True

    def _follow(self) -> None:
        while not self._complete:
            # Reports may wait for the next round: a busy worker sends ten a second.
            self._inbox.poll(100)
            self._take_events()
            self._take_statuses()
            self._events.serve(self._now())
            if not self._complete:
                self._look_after_workers()
            self._report_drops(last=False)
            self._on_tick(self._media_time)
            if self._stopping and not self._stopped_in_time():
                return

    def _stopped_in_time(self) -> bool:
        """Stops the sources; false when the time for the pipeline to finish is over."""
        if self._stop_at is None:
            self._stop_at = time.monotonic() + STOP_TIMEOUT
            for service in self._services.values():
                if service.source:
                    self._switchboard.command(service.name, Stop())
        return time.monotonic() < self._stop_at

    def _await_others(self) -> None:
        """Waits for stages beside the events, as the recorder, which finish their input. A replay
        waits without limit, a live session and a stop at most `STOP_TIMEOUT`."""
        until = self._stop_at or (time.monotonic() + STOP_TIMEOUT if self._plan.live else inf)
        ending = {link.receiver for link in self._links if link.carries_end}
        while time.monotonic() < until:
            if all(self._workers[name].state in ("done", "failed") for name in ending):
                return
            self._switchboard.socket.poll(50)
            self._take_statuses()
            self._look_after_workers()

    def _take_events(self) -> None:
        while True:
            try:
                frame = self._inbox.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            if not frame.startswith(b"{"):
                end = bus.decode(frame)
                assert isinstance(end, messages.End)
                self._media_time = end.time
                self._complete = True
                return
            self._events.send(schema.decode(frame))

    def _take_statuses(self) -> None:
        for status in self._switchboard.statuses():
            process = self._workers.get(status.service)
            if process is None or process.pid != status.pid:
                continue
            if status.state == "failed":
                process.state = "failed"
                if status.wrong_input and not process.worker.restarts:
                    raise InputError(status.detail)
                if status.hopeless:
                    raise Failure(status.detail)
                self._failed(status.service, status.detail)
                continue
            if status.state == "ready" and process.worker.restarts:
                self._resume(status.service)
                self._events.restarted(self._now(), status)
            process.report(status.state)
            self._drops.report(status)
            for change in self._lags.report(status, time.monotonic()):
                self._events.health(self._now(), change.stage, change.status, change.detail)
            time_ = status.gauges.get("time")
            if isinstance(time_, float):
                self._media_time = max(self._media_time, time_)
            self._restarts.report(status)
            self._on_status(status)

    def _look_after_workers(self) -> None:
        if not any(process.died() for process in self._workers.values()):
            return
        self._take_statuses()  # the last report of a process may be unread
        for name, process in list(self._workers.items()):
            if reason := process.died():
                self._failed(name, reason)

    def _failed(self, service: str, reason: str) -> None:
        """Handles a dead worker: a replay fails, a live session restarts it."""
        if not self._started:
            raise Failure(f"{service}: stopped while starting ({reason}); run with --debug")
        if not self._plan.live or not self._services[service].restarts:
            raise Failure(
                f"{service}: stopped unexpectedly ({reason}); the events up to "
                f"{self._media_time:.2f} s are complete, run again or with --debug"
            )
        self._events.health(self._now(), service, "failed", reason)
        if self._services[service].answers:
            self._events.lost(self._now(), f"they were being worked on when {service} failed")
        if self._restarts.failed(service, time.monotonic()):
            self._give_up(service, reason)
            return
        self._spawn(service)

    def _resume(self, service: str) -> None:
        """Brings a restarted worker up to date, and lets it get the ends that it missed."""
        for absent in self._given_up:
            self._switchboard.command(service, Without(absent))
        self._switchboard.command(service, Start(self._t0))
        for link in self._links:
            if link.receiver != service or not link.carries_end:
                continue
            if link.sender in self._given_up:
                self._end_for(link.sender, service)
            elif link.sender in self._workers:
                self._switchboard.command(link.sender, EndAgain(service))

    def _give_up(self, service: str, reason: str) -> None:
        """Goes on without a service that fails repeatedly; fails if the service is needed."""
        if self._services[service].needed:
            raise Failure(f"{service}: failed {MAX_RESTARTS + 1} times in a minute ({reason})")
        detail = f"failed {MAX_RESTARTS + 1} times; going on without it"
        self._events.health(self._now(), service, "lost", detail)
        self._workers[service].state = "done"
        self._given_up.add(service)
        for name in self._workers:
            self._switchboard.command(name, Without(service))
        for link in self._links:
            if link.sender == service and link.carries_end:
                self._end_for(service, link.receiver)

    def _end_for(self, sender: str, receiver: str) -> None:
        """Sends the `End` of a lost sender to a receiver."""
        address, end = self._endpoints.of(receiver), messages.End(sender, self._media_time)
        bus.send_alone(self._context, address, end)

    def _report_drops(self, last: bool) -> None:
        for receiver, count in self._drops.due(time.monotonic(), last):
            self._events.dropped(self._media_time, receiver, count)

    def _now(self) -> float:
        """Media time; in a live session also while no source runs."""
        return max(self._media_time, time.monotonic() - self._t0 if self._plan.live else 0.0)

    def _end(self) -> None:
        try:
            if self._started:
                self._report_drops(last=True)
                if self._plan.live and not self._complete:
                    answering = next(n for n, s in self._services.items() if s.answers)
                    self._events.cut_short(self._restarts.reached(answering), self._media_time)
                self._events.ended(self._media_time, self._successful)
        finally:
            for name in self._workers:
                self._switchboard.command(name, Stop())
            keeping = {name for name in self._workers if self._services[name].keeps}
            processes.end_all(self._workers, keeping, gently=self._started)
            self._switchboard.close()
            self._inbox.close()
            self._context.term()
