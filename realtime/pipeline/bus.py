"""ZeroMQ between the processes of a session: one place for every socket option.

Messages are single-part MessagePack frames. Inside a session, sockets are files in a private
directory (or loopback ports where there are no such files); nothing is reachable from outside.
"""

import contextlib
import os
import socket
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import zmq

from gscon_live.realtime.events import schema
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.services import DROPPABLE, Link, Policy

#: Milliseconds: a peer is dead after this silence; reconnection starts fast and slows down.
HEARTBEAT, HEARTBEAT_TIMEOUT = 2_000, 6_000
RECONNECT, RECONNECT_MAX = 50, 1_000
#: How long a closing socket may try to deliver what it still holds.
LINGER = 1_500

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(messages.Any)


class Stopped(Exception):
    """The session ends: give up what you are waiting for."""


def encode(message: object) -> bytes:
    """A pipeline message or public event as one frame."""
    if isinstance(message, schema.Event):
        return schema.encode(message)  # type: ignore[arg-type]
    return _encoder.encode(message)


def decode(frame: bytes) -> messages.Any | schema.AnyEvent:
    """Reads what `encode` made. Raises `msgspec.DecodeError` where it is none."""
    return schema.decode(frame) if frame.startswith(b"{") else _decoder.decode(frame)


def prepare(
    socket_: "zmq.Socket[bytes]",
    high_water_mark: int,
    linger: int = LINGER,
    heartbeat: bool = False,
) -> None:
    """Sets the options that every socket of the project has.

    Heartbeats are for sockets that cross machines. Inside a session the system tells at once when a
    peer has gone; besides, libzmq 4.3 aborts when a heartbeat falls due on a connection whose peer
    has gone while the queue behind it is full.
    """
    socket_.setsockopt(zmq.SNDHWM, high_water_mark)
    socket_.setsockopt(zmq.RCVHWM, high_water_mark)
    socket_.setsockopt(zmq.LINGER, linger)
    socket_.setsockopt(zmq.RECONNECT_IVL, RECONNECT)
    socket_.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX)
    if heartbeat:
        socket_.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT)
        socket_.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT)
        socket_.setsockopt(zmq.HEARTBEAT_TTL, HEARTBEAT_TIMEOUT)


class Endpoints(msgspec.Struct, frozen=True):
    """The addresses of a session's sockets, by name of the receiver."""

    addresses: dict[str, str]

    def of(self, name: str) -> str:
        return self.addresses[name]


@contextlib.contextmanager
def private_endpoints(names: list[str]) -> Iterator[Endpoints]:
    """Addresses that only this user reaches; they are gone afterwards."""
    if sys.platform == "win32":
        yield Endpoints({name: f"tcp://127.0.0.1:{port}" for name, port in _free_ports(names)})
        return
    with tempfile.TemporaryDirectory(prefix="gscon-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o700)
        yield Endpoints({name: f"ipc://{Path(folder) / name}" for name in names})


def _free_ports(names: list[str]) -> list[tuple[str, int]]:
    with contextlib.ExitStack() as stack:
        found = []
        for name in names:
            held = stack.enter_context(socket.socket())
            held.bind(("127.0.0.1", 0))
            found.append((name, held.getsockname()[1]))
        return found


class Sender:
    """One service's end of a link.

    Args:
        context: the process's ZeroMQ context.
        link: what is sent, to whom.
        live: whether this is a live session.
        address: where the receiver listens.
        check: called while waiting; raises `Stopped` when the session ends.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        link: Link,
        live: bool,
        address: str,
        check: Callable[[], None],
    ) -> None:
        self.link = link
        self.dropped = 0
        self._policy: Policy = link.policy(live)
        self._check = check
        self._abandoned = False
        self._socket = context.socket(zmq.PUSH)
        prepare(self._socket, link.high_water_mark(live))
        # Pictures are not kept for a receiver that is away; everything else is.
        self._socket.setsockopt(zmq.IMMEDIATE, 1 if self._policy == "latest" else 0)
        self._socket.connect(address)

    def send(self, message: object, frame: bytes) -> None:
        """Sends by the link's policy: waits (`lossless`), or drops and counts (`latest`)."""
        if self._policy == "latest" and isinstance(message, DROPPABLE):
            try:
                self._socket.send(frame, zmq.NOBLOCK)
            except zmq.Again:
                self.dropped += 1
            return
        while not self._abandoned:
            try:
                self._socket.send(frame, zmq.NOBLOCK)
                return
            except zmq.Again:
                self._check()
                self._socket.poll(50, zmq.POLLOUT)

    def abandon(self) -> None:
        """The receiver has been given up: from now on nothing waits for it."""
        self._abandoned = True

    def close(self) -> None:
        """Closes; what is still queued has a moment to go out."""
        self._socket.close()


class Inbox:
    """A service's receiving end: everything that is sent to it, in order per sender.

    Args:
        context: the process's ZeroMQ context.
        address: where to listen.
        links: who sends.
        live: whether this is a live session.
    """

    #: How many messages are taken ahead, so that stale work can be recognised.
    AHEAD = 16

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        address: str,
        links: list[Link],
        live: bool,
    ) -> None:
        self.dropped = 0
        self.senders = len({link.sender for link in links if messages.End in link.carries})
        self.waiting: deque[messages.Any | schema.AnyEvent] = deque()
        self._latest = any(link.policy(live) == "latest" for link in links)
        self.socket = context.socket(zmq.PULL)
        prepare(self.socket, max(link.high_water_mark(live) for link in links))
        self.socket.bind(address)

    def receive(self) -> messages.Any | schema.AnyEvent | None:
        """The next message, or None where there is none now."""
        while len(self.waiting) < self.AHEAD:
            try:
                self._take(decode(self.socket.recv(zmq.NOBLOCK)))
            except zmq.Again:
                break
        return self.waiting.popleft() if self.waiting else None

    def _take(self, message: messages.Any | schema.AnyEvent) -> None:
        if self._latest and isinstance(message, messages.VideoFrame):
            older = [one for one in self.waiting if isinstance(one, messages.VideoFrame)]
            for one in older:
                self.waiting.remove(one)
            self.dropped += len(older)
        self.waiting.append(message)

    def close(self) -> None:
        """Closes; what was not read is gone."""
        self.socket.close(0)
