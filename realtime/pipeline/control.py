"""Control of the workers by the session: their reports, start and stop."""

import contextlib
import math
import multiprocessing
import os
import time
from typing import Literal

import msgspec
import zmq

from gscon_live.realtime.events.sockets import CONTROL, PIPELINE, prepare
from gscon_live.realtime.pipeline import bus

#: Seconds between two reports of a worker, and of one that got no message since the last.
REPORT_EVERY, IDLE_REPORT_EVERY = 0.1, 0.5
#: Seconds between two looks whether the session's process is there.
_PARENT_EVERY = 0.5
#: High-water mark on either side.
_QUEUE = 256

State = Literal["ready", "running", "done", "failed"]


class Status(msgspec.Struct, frozen=True, tag=True):
    """A worker's report.

    `state` is `ready` (built, waits for the start), `running`, `done` (has sent everything), or
    `failed`, with the error in `detail`; `wrong_input` marks an `InputError`, `hopeless` a
    `Failure`, which a restart would not mend. `dropped` counts
    dropped messages since the start of the process, by the receiver that was too slow.
    """

    service: str
    pid: int
    state: State
    handled: int = 0
    dropped: dict[str, int] = {}
    gauges: dict[str, float | str | bool] = {}
    detail: str = ""
    wrong_input: bool = False
    hopeless: bool = False


class Start(msgspec.Struct, frozen=True, tag=True):
    """The session starts: media time 0 is `t0` on the monotonic clock."""

    t0: float


class Stop(msgspec.Struct, frozen=True, tag=True):
    """The session stops: a source sends its `End`, and a worker that is done exits."""


class Without(msgspec.Struct, frozen=True, tag=True):
    """A service has been given up: do not wait for it any more."""

    service: str


class EndAgain(msgspec.Struct, frozen=True, tag=True):
    """A service was restarted and may have missed your `End`: if you are done, send it again."""

    service: str


Command = Start | Stop | Without | EndAgain

_status_decoder = msgspec.msgpack.Decoder(Status)
_command_decoder = msgspec.msgpack.Decoder(Command)


class Line:
    """A worker's end of the control connection.

    Args:
        context: the process's ZeroMQ context.
        address: the session's control address.
        service: the worker's service.
    """

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", address: str, service: str
    ) -> None:
        self.socket = context.socket(zmq.DEALER)
        prepare(self.socket, PIPELINE, _QUEUE)
        self.socket.setsockopt(zmq.IDENTITY, service.encode())
        self.socket.connect(address)
        self._poller = zmq.Poller()
        self._poller.register(self.socket, zmq.POLLIN)
        self.t0: float | None = None
        self.stopping = False
        self.without: set[str] = set()
        self.end_again: set[str] = set()
        self._service = service
        self._last_report = self._last_look = 0.0
        self._handled = 0

    def report(
        self,
        state: State,
        *,
        handled: int = 0,
        dropped: dict[str, int] | None = None,
        gauges: dict[str, float | str | bool] | None = None,
        detail: str = "",
        wrong_input: bool = False,
        hopeless: bool = False,
    ) -> None:
        """Reports to the session. A full queue drops a report of state `running`."""
        status = Status(
            self._service,
            os.getpid(),
            state,
            handled,
            dropped or {},
            gauges or {},
            detail,
            wrong_input,
            hopeless,
        )
        with contextlib.suppress(zmq.Again):
            self.socket.send(
                msgspec.msgpack.encode(status), zmq.NOBLOCK if state == "running" else 0
            )
        self._last_report, self._handled = time.monotonic(), handled

    def due_in(self, handled: int) -> float:
        """Seconds until the next report of a worker that has handled so many messages; at least
        0."""
        every = IDLE_REPORT_EVERY if handled == self._handled else REPORT_EVERY
        return max(0.0, self._last_report + every - time.monotonic())

    def watch(self, inbox: "zmq.Socket[bytes]") -> None:
        """`wait` waits for messages in a worker's inbox, too."""
        self._poller.register(inbox, zmq.POLLIN)

    def wait(self, seconds: float) -> bool:
        """Waits for a message or a command. Returns whether a command is there."""
        return self.socket in dict(self._poller.poll(math.ceil(seconds * 1000)))

    def listen(self) -> None:
        """Takes the commands that have come. Raises `Stopped` if the session's process is gone."""
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
        now = time.monotonic()
        if now - self._last_look < _PARENT_EVERY:
            return
        self._last_look = now
        parent = multiprocessing.parent_process()
        if parent is not None and not parent.is_alive():
            raise bus.Stopped

    def wait_for_start(self) -> float:
        """Blocks until the session starts; returns `t0` of `Start`."""
        while self.t0 is None:
            self.socket.poll(200)
            self.listen()
            if self.stopping:
                raise bus.Stopped
        return self.t0

    def close(self) -> None:
        self.socket.close()


class Switchboard:
    """The session's end of the control connections: a socket for all workers."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", address: str) -> None:
        self.socket = context.socket(zmq.ROUTER)
        prepare(self.socket, CONTROL, _QUEUE)
        self.socket.bind(address)

    def statuses(self) -> list[Status]:
        """The workers' reports since the last call."""
        statuses: list[Status] = []
        while True:
            try:
                _, frame = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return statuses
            statuses.append(_status_decoder.decode(frame))

    def command(self, service: str, command: Command) -> None:
        """Sends a command; it is lost if the worker is not there."""
        self.socket.send_multipart([service.encode(), msgspec.msgpack.encode(command)])

    def close(self) -> None:
        self.socket.close()
