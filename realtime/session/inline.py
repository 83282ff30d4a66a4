"""A replay in one process: the stages of a session, connected by calls in place of sockets.

The events are those of a `Session` byte for byte, since the stages are the same, and since no stage
depends on the order in which messages of different senders arrive. One process does the work of
all, which pays where many recordings are to be read: there is nothing to start, send or wait for.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import cast

from gscon_live.common.errors import Failure, InputError
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.sinks import Sink
from gscon_live.realtime.pipeline import bus, messages
from gscon_live.realtime.pipeline.services import Link, Service, links
from gscon_live.realtime.pipeline.stage import Incoming, Outgoing, Source, Stage
from gscon_live.realtime.session.announcer import Announcer
from gscon_live.realtime.session.models import Models
from gscon_live.realtime.session.publisher import Publisher
from gscon_live.realtime.session.service_table import running
from gscon_live.realtime.session.session_plan import Plan, Worker
from gscon_live.realtime.session.threads import limit_this_process


def replay_inline(
    plan: Plan,
    sinks: Iterable[Sink],
    models: Models,
    *,
    model: schema.ModelInfo,
    source: str,
    on_tick: Callable[[float], None] = lambda time: None,
    on_message: Callable[[object], None] | None = None,
) -> None:
    """Replays a recording to its end, in this process and as fast as it works.

    Limits the libraries of this process to one thread, as the workers of a session do: with more,
    sums are computed in another order.

    Args:
        plan: the recording, settings and words.
        sinks: get all events, in order.
        models: the models of this process.
        model: name and version of the emotion model, for `session.started`.
        source: description of the recording, for `session.started`.
        on_tick: called again and again with the media time so far. It may raise an exception to
            stop the replay.
        on_message: gets every message between the stages, in order.

    Raises:
        InputError: a stage refuses the request (a model, the file).
        Failure: a stage failed.
    """
    limit_this_process()
    events = Announcer(plan.session, Publisher(None, plan.session), sinks)
    with contextlib.closing(_Network(plan, models, events.send, on_message)) as network:
        events.started(source, model, None, None)
        events.ended(network.run(on_tick), complete=True)


class _Network:
    """The stages of a plan, each with the links on which it sends."""

    def __init__(
        self,
        plan: Plan,
        models: Models,
        answer: Callable[[schema.AnyEvent], None],
        listen: Callable[[object], None] | None,
    ) -> None:
        self._answer = answer
        self._listen = listen
        self._services = running(plan)
        self._links = links(list(self._services.values()))
        self._ended: dict[str, set[str]] = {name: set() for name in self._services}
        self._last: dict[str, float] = dict.fromkeys(self._services, 0.0)
        self._stages: dict[str, Stage] = {}
        self._sources: dict[str, Source] = {}
        try:
            for name, service in self._services.items():
                with _named(name):
                    self._build(service, plan, models)
        except BaseException:
            self.close()
            raise

    def _build(self, service: Service[Plan], plan: Plan, models: Models) -> None:
        worker = Worker(
            service=service.name,
            build=service.build,
            source=service.source,
            answers=service.answers,
            takes=(),
            sends=(),
            plan=plan,
            endpoints=bus.Endpoints({}),
        )
        module, _, function = service.build.partition(":")
        builder = getattr(import_module(module), function)
        if service.source:
            self._sources[service.name] = builder(worker, lambda: 0.0)
        else:
            self._stages[service.name] = builder(worker, lambda: 0.0, models)

    def run(self, on_tick: Callable[[float], None]) -> float:
        """Reads the sources to their ends; returns the media time of the last event's stage."""
        for name, source in self._sources.items():
            with _named(name):
                source.open()
            reached, ended = 0.0, False
            while not ended:
                with _named(name):
                    incoming = list(source.read(0.0))
                for message in incoming:
                    reached = max(reached, messages.complete_at(message))
                    ended = isinstance(message, messages.End)
                    if ended:
                        break
                    self._send(name, message)
                on_tick(reached)
            self._send(name, messages.End(name, reached))
        return next(self._last[name] for name, s in self._services.items() if s.answers)

    def _send(self, sender: str, message: Outgoing) -> None:
        if self._listen is not None:
            self._listen(message)
        for link in self._links:
            if link.sender == sender and isinstance(message, link.carries):
                # A message of no type that a stage takes is on no link.
                self._give(link.receiver, cast(Incoming, message))
        if self._services[sender].answers and bus.is_event(message):
            self._answer(message)

    def _give(self, receiver: str, message: Incoming) -> None:
        stage = self._stages[receiver]
        for outgoing in _each(receiver, stage.process(message)):
            self._send(receiver, outgoing)
        if not isinstance(message, messages.End):
            return
        self._ended[receiver].add(message.source)
        self._last[receiver] = max(self._last[receiver], message.time)
        if self._ended[receiver] >= {link.sender for link in self._ends(receiver)}:
            for outgoing in _each(receiver, stage.flush()):
                self._send(receiver, outgoing)
            self._send(receiver, messages.End(receiver, self._last[receiver]))

    def _ends(self, receiver: str) -> list[Link]:
        return [link for link in self._links if link.receiver == receiver and link.carries_end]

    def close(self) -> None:
        """Closes the file and the stages."""
        for source in self._sources.values():
            source.close()
        for stage in self._stages.values():
            stage.close()


def _each(name: str, outgoing: Iterable[Outgoing]) -> Iterator[Outgoing]:
    """The messages of a stage; its errors name it, those of the receivers do not."""
    remaining = iter(outgoing)
    while True:
        with _named(name):
            message = next(remaining, None)
        if message is None:
            return
        yield message


@contextlib.contextmanager
def _named(name: str) -> Iterator[None]:
    """Turns an unexpected error into a line that names the service."""
    try:
        yield
    except (InputError, Failure):
        raise
    except Exception as error:
        detail = " ".join(str(error).split())
        raise Failure(
            f"{name}: stopped unexpectedly ({type(error).__name__}: {detail}); "
            "replay this recording alone with --debug"
        ) from error
