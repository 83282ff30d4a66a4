"""ZeroMQ between the processes of a session.

Messages are single-part MessagePack frames. Inside a session, sockets are files in a private
directory (or loopback ports where there are no such files); nothing is reachable from outside.
"""

import contextlib
import os
import socket
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeGuard

import msgspec
import zmq

from gscon_live.realtime.events import schema
from gscon_live.realtime.events.sockets import PIPELINE, prepare
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.services import Link, Policy
from gscon_live.realtime.pipeline.stage import Incoming, Outgoing

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(messages.AnyMessage)


class Stopped(Exception):
    """The session ends: give up what you are waiting for."""


def encode(message: Outgoing) -> bytes:
    """A pipeline message or public event as one frame."""
    return schema.encode(message) if is_event(message) else _encoder.encode(message)


def is_event(message: Outgoing) -> TypeGuard[schema.AnyEvent]:
    """Whether it is a public event, and not a message of the pipeline."""
    return isinstance(message, schema.Event)


def decode(frame: bytes) -> Incoming:
    """Reads what `encode` made. Raises `msgspec.DecodeError` where it is none."""
    return schema.decode(frame) if frame.startswith(b"{") else _decoder.decode(frame)


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
        ports = []
        for name in names:
            held = stack.enter_context(socket.socket())
            held.bind(("127.0.0.1", 0))
            ports.append((name, held.getsockname()[1]))
        return ports


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
        prepare(self._socket, PIPELINE, link.high_water_mark(live))
        # Pictures are not kept for a receiver that is away; everything else is.
        self._socket.setsockopt(zmq.IMMEDIATE, 1 if self._policy == "latest" else 0)
        self._socket.connect(address)

    def send(self, message: Outgoing, frame: bytes) -> None:
        """Sends by the link's policy: waits (`lossless`), or drops and counts (`latest`)."""
        if self._policy == "latest" and not isinstance(message, messages.Control):
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
        links: Sequence[Link],
        live: bool,
    ) -> None:
        self.dropped = 0
        self.senders = len({link.sender for link in links if link.carries_end})
        self.waiting: deque[Incoming] = deque()
        self._latest = any(link.policy(live) == "latest" for link in links)
        self.socket = context.socket(zmq.PULL)
        prepare(
            self.socket, PIPELINE, max((link.high_water_mark(live) for link in links), default=2)
        )
        self.socket.bind(address)

    def receive(self) -> Incoming | None:
        """The next message, or None where there is none now."""
        while len(self.waiting) < self.AHEAD:
            try:
                self._take(decode(self.socket.recv(zmq.NOBLOCK)))
            except zmq.Again:
                break
        return self.waiting.popleft() if self.waiting else None

    def _take(self, message: Incoming) -> None:
        if self._latest and isinstance(message, messages.VideoFrame):
            older = [frame for frame in self.waiting if isinstance(frame, messages.VideoFrame)]
            for frame in older:
                self.waiting.remove(frame)
            self.dropped += len(older)
        self.waiting.append(message)

    def close(self) -> None:
        """Closes; what was not read is gone."""
        self.socket.close(0)
