"""The supervisor's line to its workers: readiness, readings, start and stop."""

import multiprocessing
import os
import time
from typing import Literal

import msgspec
import zmq

from gscon_live.realtime.events.sockets import CONTROL, PIPELINE, prepare
from gscon_live.realtime.pipeline import bus

#: Seconds between two reports of a worker.
REPORT_EVERY = 0.1
#: Messages that either side of the line may hold.
_QUEUE = 256


State = Literal["ready", "running", "done", "failed"]


class Status(msgspec.Struct, frozen=True, tag=True):
    """What a worker reports of itself.

    `state` is `ready` (built, waits for the start), `running`, `done` (it has said everything),
    or `failed`, with `detail` and whether the request was to blame (`wrong_input`). `dropped`
    counts since the process's start, by the receiver that did not keep up.
    """

    service: str
    pid: int
    state: State
    handled: int = 0
    dropped: dict[str, int] = {}
    gauges: dict[str, float | str | bool] = {}
    detail: str = ""
    wrong_input: bool = False


class Start(msgspec.Struct, frozen=True, tag=True):
    """Begin: media time zero is at `t0` of the monotonic clock."""

    t0: float


class Stop(msgspec.Struct, frozen=True, tag=True):
    """Sources: read no more, and say that this was the end. Whoever is done: go."""


class Without(msgspec.Struct, frozen=True, tag=True):
    """The service has been given up: send it nothing any more."""

    service: str


class EndAgain(msgspec.Struct, frozen=True, tag=True):
    """The service was started anew and may not have heard your end: where you are done, say it
    again."""

    service: str


Command = Start | Stop | Without | EndAgain


_status_decoder = msgspec.msgpack.Decoder(Status)
_command_decoder = msgspec.msgpack.Decoder(Command)


class Line:
    """A worker's end of the line.

    Args:
        context: the process's ZeroMQ context.
        address: the supervisor's address.
        service: the worker's name.
    """

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", address: str, service: str
    ) -> None:
        self.socket = context.socket(zmq.DEALER)
        prepare(self.socket, PIPELINE, _QUEUE)
        self.socket.setsockopt(zmq.IDENTITY, service.encode())
        self.socket.connect(address)
        self.t0: float | None = None
        self.stopping = False
        self.without: set[str] = set()
        self.end_again: set[str] = set()
        self._service = service
        self._last_report = 0.0

    def report(
        self,
        state: State,
        *,
        handled: int = 0,
        dropped: dict[str, int] | None = None,
        gauges: dict[str, float | str | bool] | None = None,
        detail: str = "",
        wrong_input: bool = False,
    ) -> None:
        """Tells the supervisor; readings are dropped rather than waited for."""
        status = Status(
            self._service,
            os.getpid(),
            state,
            handled,
            dropped or {},
            gauges or {},
            detail,
            wrong_input,
        )
        try:
            self.socket.send(
                msgspec.msgpack.encode(status), zmq.NOBLOCK if state == "running" else 0
            )
        except zmq.Again:
            return
        self._last_report = time.monotonic()

    def due(self) -> bool:
        """Whether it is time for another report."""
        return time.monotonic() - self._last_report >= REPORT_EVERY

    def listen(self) -> None:
        """Takes commands that have come. Raises `Stopped` where the supervisor has gone."""
        while True:
            try:
                command = _command_decoder.decode(self.socket.recv(zmq.NOBLOCK))
            except zmq.Again:
                break
            if isinstance(command, Start):
                self.t0 = command.t0
            elif isinstance(command, Without):
                self.without.add(command.service)
            elif isinstance(command, EndAgain):
                self.end_again.add(command.service)
            else:
                self.stopping = True
        parent = multiprocessing.parent_process()
        if parent is not None and not parent.is_alive():
            raise bus.Stopped

    def wait_for_start(self) -> float:
        """Blocks until the session starts; gives its time zero."""
        while self.t0 is None:
            self.socket.poll(200)
            self.listen()
            if self.stopping:
                raise bus.Stopped
        return self.t0

    def close(self) -> None:
        self.socket.close()


class Switchboard:
    """The supervisor's end: one socket for all workers."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", address: str) -> None:
        self.socket = context.socket(zmq.ROUTER)
        prepare(self.socket, CONTROL, _QUEUE)
        # A restarted worker comes back under its own name.
        self.socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        self.socket.bind(address)

    def statuses(self) -> list[Status]:
        """What the workers have reported since the last call."""
        statuses: list[Status] = []
        while True:
            try:
                _, frame = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return statuses
            statuses.append(_status_decoder.decode(frame))

    def command(self, service: str, command: Command) -> None:
        """Sends a command; one to a worker that is not there is lost."""
        self.socket.send_multipart([service.encode(), msgspec.msgpack.encode(command)])

    def close(self) -> None:
        self.socket.close()
