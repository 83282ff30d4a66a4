"""ZeroMQ between the processes of a session.

Messages are single-part MessagePack frames. The sockets of a session are files in a private
directory, on Windows loopback ports; other machines cannot reach them.
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

from gscon_live.common.errors import InputError
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.sockets import PIPELINE, PIPELINE_LATEST, prepare
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.services import Link, Policy
from gscon_live.realtime.pipeline.stage import Incoming, Outgoing

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(messages.AnyMessage)


class Stopped(Exception):
    """The session ends: a waiting worker stops."""


def encode(message: Outgoing) -> bytes:
    """A pipeline message or public event as one frame."""
    return schema.encode(message) if is_event(message) else _encoder.encode(message)


def is_event(message: Outgoing) -> TypeGuard[schema.AnyEvent]:
    """Whether a message is a public event, no pipeline message."""
    return isinstance(message, schema.Event)


def decode(frame: bytes) -> Incoming:
    """The message of a frame by `encode`. Raises `msgspec.DecodeError` for any other frame."""
    return schema.decode(frame) if frame.startswith(b"{") else _decoder.decode(frame)


class Endpoints(msgspec.Struct, frozen=True):
    """The addresses of a session's sockets, by the receiver's name."""

    addresses: dict[str, str]

    def of(self, name: str) -> str:
        return self.addresses[name]


#: Bytes of a path at which a socket can be; macOS has fewer than Linux.
_PATH = 107 if sys.platform == "linux" else 103
#: Bytes for a session's own part of it, or for that of Python's fork server.
_OWN_PART = 36


def sockets_folder() -> Path:
    """The folder in which sessions have the folders of their sockets: that for temporary files.

    Raises:
        InputError: there is none, or its path is too long.
    """
    try:
        folder = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise InputError(
            "no folder for temporary files can be written; give one in TMPDIR"
        ) from error
    length, most = len(os.fsencode(folder)), _PATH - _OWN_PART
    if sys.platform != "win32" and length > most:
        raise InputError(
            f"TMPDIR {folder}: {length} bytes are too long for the path of a socket (at most "
            f"{most}); give a shorter one, for example TMPDIR=/tmp"
        )
    return folder


@contextlib.contextmanager
def private_endpoints(names: list[str]) -> Iterator[Endpoints]:
    """Addresses that only this user can reach; they are removed afterwards."""
    if sys.platform == "win32":
        yield Endpoints({name: f"tcp://127.0.0.1:{port}" for name, port in _free_ports(names)})
        return
    with tempfile.TemporaryDirectory(
        prefix="gscon-", ignore_cleanup_errors=True, dir=sockets_folder()
    ) as folder:
        os.chmod(folder, 0o700)
        yield Endpoints({name: f"ipc://{Path(folder) / name}" for name in names})


def _free_ports(names: list[str]) -> list[tuple[str, int]]:
    with contextlib.ExitStack() as stack:
        ports = []
        for name in names:
            # All sockets stay open until the end, so that the ports differ.
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append((name, probe.getsockname()[1]))
        return ports


def send_alone(context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str, message: Outgoing) -> None:
    """Sends one message to a receiver, over a socket of its own."""
    with context.socket(zmq.PUSH) as socket_:
        prepare(socket_, PIPELINE, 1)
        socket_.connect(endpoint)
        socket_.send(encode(message))


class Sender:
    """The sending end of a link.

    Args:
        context: the process's ZeroMQ context.
        link: the receiver, the types of message and the delivery policy.
        live: whether this is a live session.
        address: the receiver's address.
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
        profile = PIPELINE_LATEST if self._policy == "latest" else PIPELINE
        prepare(self._socket, profile, link.high_water_mark(live))
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
        """The receiver has been given up: `send` does not wait for it any more."""
        self._abandoned = True

    def close(self) -> None:
        """Closes the socket; queued messages have a moment to go out."""
        self._socket.close()


class Inbox:
    """The receiving end of all links of a service; messages of a sender stay in order.

    Args:
        context: the process's ZeroMQ context.
        address: the service's address.
        links: the links on which it receives.
        live: whether this is a live session.
    """

    #: Number of messages that are read ahead, so that stale ones are recognised.
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
        """The next message, or None if there is none now."""
        self.look()
        return self.waiting.popleft() if self.waiting else None

    def look(self) -> Sequence[Incoming]:
        """The messages that wait, as far as they are read ahead."""
        while len(self.waiting) < self.AHEAD:
            try:
                self._take(decode(self.socket.recv(zmq.NOBLOCK)))
            except zmq.Again:
                break
        return self.waiting

    def _take(self, message: Incoming) -> None:
        if self._latest and isinstance(message, messages.VideoFrame):
            older = [frame for frame in self.waiting if isinstance(frame, messages.VideoFrame)]
            for frame in older:
                self.waiting.remove(frame)
            self.dropped += len(older)
        self.waiting.append(message)

    def close(self) -> None:
        """Closes the socket; unread messages are lost."""
        self.socket.close(0)
