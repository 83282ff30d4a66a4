"""The public XPUB socket: what comes in through it is bounded, and it can be opened anew.

ZeroMQ can neither disconnect one peer nor limit how many topics it subscribes to. So where a key
was removed, or where peers subscribe to far more than they need, all connections are closed.
Subscribers connect again by themselves, and count what they missed.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import zmq
from zmq.auth.thread import ThreadAuthenticator

from gscon_live.common.errors import InputError
from gscon_live.common.outputs import check_socket
from gscon_live.realtime.events import curve
from gscon_live.realtime.events.endpoint import is_local, socket_path
from gscon_live.realtime.events.sockets import PUBLISHER, PUBLISHER_IPV6, prepare
from gscon_live.realtime.pipeline.services import EVENT_BYTES, EVENTS_QUEUE_BYTES
from gscon_live.realtime.pipeline.settings import Curve

#: Subscriptions that are read in a round; the others wait, and their senders with them.
ROUND = 2048
#: Bytes of all topics that are subscribed to at a time: ten thousand subscribers need less.
MOST_TOPIC_BYTES = 512 << 10


class PublicSocket:
    """The socket that subscribers connect to.

    Args:
        endpoint: for example `tcp://127.0.0.1:5560`.
        keys: the publisher's CURVE key files; needed for an address beyond loopback.

    Raises:
        InputError: the endpoint is malformed or in use, needs keys, or is a file that is no
            socket.
    """

    def __init__(self, endpoint: str, keys: Curve | None) -> None:
        _check_endpoint(endpoint, secured=keys is not None)
        self._endpoint = endpoint
        self._own = None
        self._clients: curve.Clients | None = None
        if keys is not None:
            self._clients = curve.Clients(keys.clients, "publish.curve.clients")
            self._own = curve.read_pair(keys.secret, "publish.curve.secret")
        try:
            self._open()
        except zmq.ZMQError as error:
            raise InputError(
                f"cannot publish on {endpoint}: {zmq.strerror(error.errno or 0)}; choose another "
                "with --publish, for example tcp://127.0.0.1:5561, or --publish off"
            ) from error

    def send(self, topic: bytes, line: bytes) -> None:
        """Sends a message to the subscribers of its topic; it never waits."""
        if self._socket is not None:
            self._socket.send(topic + b" " + line)

    def wanted(self, topic: bytes) -> bool:
        """Whether somebody has subscribed to this very topic."""
        return topic + b" " in self._topics

    def subscriptions(self) -> Iterator[tuple[bool, bytes]]:
        """At most `ROUND` changes of subscriptions: whether it is a new one, and its topic."""
        for _ in range(ROUND):
            if self._socket is None:
                return
            try:
                frame = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            kind, topic = frame[:1], frame[1:]
            if kind == b"\x01":
                if topic not in self._topics:
                    self._topics.add(topic)
                    self._topic_bytes += len(topic)
                yield True, topic
            elif kind == b"\x00":
                if topic in self._topics:
                    self._topics.remove(topic)
                    self._topic_bytes -= len(topic)
                yield False, topic

    def look_after(self) -> str | None:
        """Opens the socket anew where that is needed. Returns why, or None."""
        if self._socket is None:  # the address was not free when it was to be opened anew
            with contextlib.suppress(zmq.ZMQError):
                self._open()
            return None
        reason = None
        if self._clients is not None and self._clients.removed():
            reason = "the key of a client was removed"
        elif self._topic_bytes > MOST_TOPIC_BYTES:
            reason = "too many topics were subscribed to"
        if reason is not None:
            self._shut(linger=0)
            with contextlib.suppress(zmq.ZMQError):
                self._open()
        return reason

    def close(self) -> None:
        """Closes the socket; queued events have a moment to go out."""
        self._shut(linger=None)

    def _open(self) -> None:
        self._topics: set[bytes] = set()
        self._topic_bytes = 0
        self._authenticator: ThreadAuthenticator | None = None
        self._file: tuple[Path, int] | None = None
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket: zmq.Socket[bytes] | None = self._context.socket(zmq.XPUB)
        profile = PUBLISHER_IPV6 if "[" in self._endpoint else PUBLISHER
        prepare(self._socket, profile, EVENTS_QUEUE_BYTES // EVENT_BYTES)
        try:
            if self._clients is not None and self._own is not None:
                self._authenticator = ThreadAuthenticator(self._context)
                self._authenticator.start()
                self._authenticator.configure_curve_callback("*", self._clients)
                curve.secure_server(self._socket, self._own)
            self._socket.bind(self._endpoint)
            path = socket_path(self._endpoint)
            self._file = None if path is None else (path, path.stat().st_ino)
        except zmq.ZMQError:
            self._shut(linger=0)
            raise

    def _shut(self, linger: int | None) -> None:
        if self._socket is None:
            return
        self._socket.close(linger)
        self._socket = None
        if self._authenticator is not None:
            self._authenticator.stop()
        self._context.term()
        # The socket's file goes, unless another publisher has put its own there since.
        if self._file is not None:
            path, inode = self._file
            with contextlib.suppress(OSError):
                if path.stat().st_ino == inode:
                    path.unlink()


def _check_endpoint(endpoint: str, *, secured: bool) -> None:
    """Refuses a malformed endpoint, one beyond loopback without keys, and a file that is no
    socket."""
    if not is_local(endpoint) and not secured:
        raise InputError(
            f"endpoint {endpoint}: other machines reach this address, so it needs CURVE keys; make "
            "them with gscon-live keys DIR and set publish.curve.secret and "
            "publish.curve.clients, or stay on tcp://127.0.0.1"
        )
    path = socket_path(endpoint)
    if path is not None:
        check_socket(path)
