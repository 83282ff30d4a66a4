"""The public event stream: an XPUB socket, sequence numbers, a hello, CURVE beyond loopback.

A subscriber subscribes to its topics (`emotion `, `speech `, `session `, `health `), then to
`hello.<a word of its own>`. When this last subscription has arrived, all have. The publisher
answers on that topic with the number of the next event: from there on, the subscriber misses
nothing. If the session has begun, its first event is in the answer, too.
"""

import contextlib
from pathlib import Path
from types import TracebackType

import msgspec
import zmq
from zmq.auth.thread import ThreadAuthenticator

from gscon_live.common.errors import InputError
from gscon_live.common.outputs import check_socket
from gscon_live.realtime.events import curve, schema
from gscon_live.realtime.events.endpoint import is_local, socket_path
from gscon_live.realtime.events.sockets import PUBLISHER, PUBLISHER_IPV6, prepare
from gscon_live.realtime.pipeline.services import EVENT_BYTES, EVENTS_QUEUE_BYTES
from gscon_live.realtime.pipeline.settings import Curve

_HELLO = b"hello."


class Publisher:
    """Numbers events and publishes them.

    Args:
        endpoint: for example `tcp://127.0.0.1:5560`; None only numbers the events.
        session: the session's name, for the hello.
        keys: the publisher's CURVE key files; needed for an address beyond loopback.

    Raises:
        InputError: the endpoint is malformed or in use, needs keys, or is a file that is no
            socket.
    """

    def __init__(self, endpoint: str | None, session: str, keys: Curve | None = None) -> None:
        self._session = session
        self.next_seq = 0
        self._started: schema.SessionStarted | None = None
        self._socket: zmq.Socket[bytes] | None = None
        self._authenticator: ThreadAuthenticator | None = None
        self._file: tuple[Path, int] | None = None
        if endpoint is None:
            return
        _check_endpoint(endpoint, secured=keys is not None)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        profile = PUBLISHER_IPV6 if "[" in endpoint else PUBLISHER
        prepare(self._socket, profile, EVENTS_QUEUE_BYTES // EVENT_BYTES)
        try:
            if keys is not None:
                self._secure(keys)
            self._socket.bind(endpoint)
            path = socket_path(endpoint)
            self._file = None if path is None else (path, path.stat().st_ino)
        except zmq.ZMQError as error:
            self.close()
            raise InputError(
                f"cannot publish on {endpoint}: {zmq.strerror(error.errno or 0)}; choose another "
                "with --publish, for example tcp://127.0.0.1:5561, or --publish off"
            ) from error
        except InputError:
            self.close()
            raise

    def publish(self, event: schema.AnyEvent) -> schema.AnyEvent:
        """Numbers an event, sends it to the subscribers, and returns it."""
        numbered = msgspec.structs.replace(event, seq=self.next_seq)
        self.serve()
        self.next_seq += 1
        if isinstance(numbered, schema.SessionStarted):
            self._started = numbered
        if self._socket is not None:
            topic = schema.topic(numbered).encode()
            self._socket.send(topic + b" " + schema.encode(numbered))
        return numbered

    def serve(self) -> int:
        """Answers new hellos. Returns their number."""
        hellos = 0
        while self._socket is not None:
            try:
                frame = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            if frame[:1] == b"\x01" and frame[1:].startswith(_HELLO):
                hello = {"schema": schema.SCHEMA, "session": self._session, "seq": self.next_seq}
                if self._started is not None:
                    hello["started"] = self._started
                self._socket.send(frame[1:] + b" " + msgspec.json.encode(hello))
                hellos += 1
        return hellos

    def close(self) -> None:
        """Closes the socket; queued events have a moment to go out."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            if self._authenticator is not None:
                self._authenticator.stop()
            self._context.term()
            self._remove_file()

    def __enter__(self) -> "Publisher":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _remove_file(self) -> None:
        """Deletes the socket's file, unless another publisher has put its own there since."""
        if self._file is not None:
            path, inode = self._file
            with contextlib.suppress(OSError):
                if path.stat().st_ino == inode:
                    path.unlink()

    def _secure(self, keys: Curve) -> None:
        assert self._socket is not None
        curve.check_clients(keys.clients, "publish.curve.clients")
        own = curve.read_pair(keys.secret, "publish.curve.secret")
        self._authenticator = ThreadAuthenticator(self._context)
        self._authenticator.start()
        self._authenticator.configure_curve(domain="*", location=keys.clients)
        curve.secure_server(self._socket, own)


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
