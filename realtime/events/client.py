"""Receives the events of a running session over ZeroMQ.

from gscon_live.realtime.events.client import Subscriber

with Subscriber("tcp://127.0.0.1:5560") as events:
    events.ready()
    for event in events:
        print(event)
"""

import math
import secrets
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import msgspec
import zmq

from gscon_live.common.errors import Failure, InputError
from gscon_live.realtime.events import curve, schema
from gscon_live.realtime.events.connection import Connection, check_endpoint
from gscon_live.realtime.events.endpoint import DEFAULT as ENDPOINT
from gscon_live.realtime.events.schema import AnyEvent, Count, SessionStarted
from gscon_live.realtime.events.sockets import SUBSCRIBER, prepare

__all__ = ["ENDPOINT", "TOPICS", "Hello", "Received", "Subscriber"]

TOPICS = ("emotion", "speech", "session", "health")
#: Further topics, for those who ask for them. Their events have numbers of their own.
MORE_TOPICS = ("face",)

#: Maximal number of events that wait in the socket; `missed` counts those that are lost.
HIGH_WATER_MARK = 1000

#: Seconds after which an unanswered hello is repeated.
_HELLO_INTERVAL = 1.0

#: Seconds between two checks of the connection while no event comes.
_CHECK_INTERVAL = 0.25


class Hello(msgspec.Struct, frozen=True):
    """The publisher's answer: from event `seq` of `session` on, no event is missed. `started` is
    the session's first event, if it was before that."""

    schema: str
    session: str | None = None
    seq: Count | None = None
    started: SessionStarted | None = None


class Received(NamedTuple):
    """An event and its line of JSON, also with fields that this version does not know."""

    event: AnyEvent
    raw: str


class _Numbered(msgspec.Struct, frozen=True):
    session: str
    seq: Count


#: What a reader of JSON raises for a message from outside.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Subscriber:
    """A connection to a publisher of events; it reconnects by itself, without limit.

    It receives all of `TOPICS`, so that a gap in the numbers is a lost event, and hands on the
    chosen ones.

    Args:
        endpoint: `tcp://HOST:PORT`, or `ipc://FILE`.
        topics: the chosen ones of "emotion", "speech", "session" and "health"; also "face".
        keys: folder with `server.key` (the publisher's public key) and `client.key_secret` (the
            client's own), for a publisher that uses CURVE.
        timeout: seconds that `ready` waits for the publisher.

    Attributes:
        missed: number of lost events since the first one.
        unreadable: number of skipped messages that are no events of this schema.

    Raises:
        InputError: the endpoint, a topic or a key file is wrong.
    """

    def __init__(
        self,
        endpoint: str = ENDPOINT,
        topics: Sequence[str] = TOPICS,
        keys: Path | str | None = None,
        timeout: float = 10.0,
    ) -> None:
        check_endpoint(endpoint)
        for topic in topics:
            if topic not in (*TOPICS, *MORE_TOPICS):
                known = ", ".join((*TOPICS, *MORE_TOPICS))
                raise InputError(f"topic {topic!r}: the topics are {known}")
        self.endpoint = endpoint
        self.missed = 0
        self.unreadable = 0
        self._topics = frozenset(topics)
        self._timeout = timeout
        self._early: deque[Received] = deque()
        self._expected: dict[str, int] = {}
        self._greeted = False
        own_keys = curve.read_client(keys) if keys is not None else None
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        prepare(self._socket, SUBSCRIBER, HIGH_WATER_MARK)
        if own_keys is not None:
            curve.secure_client(self._socket, own_keys)
        for topic in (*TOPICS, *(self._topics - set(TOPICS))):
            self._socket.subscribe(f"{topic} ")
        self._connection = Connection(self._socket, endpoint, secured=own_keys is not None)
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise InputError(
                f"{endpoint}: {error.strerror}; give an endpoint such as {ENDPOINT}"
            ) from error

    def ready(self, timeout: float | None = None) -> Hello:
        """Waits until the publisher has confirmed the subscription.

        Args:
            timeout: seconds; None takes the constructor's; `math.inf` waits without limit.

        Raises:
            Failure: no publisher has answered in time; it may be called again.
            InputError: the publisher refuses the keys.
        """
        limit = self._timeout if timeout is None else timeout
        deadline = time.monotonic() + limit
        while (left := deadline - time.monotonic()) > 0:
            hello = self._greet(min(left, _HELLO_INTERVAL))
            if hello is not None:
                if hello.schema != schema.SCHEMA:
                    raise Failure(
                        f"{self.endpoint}: publishes {hello.schema[:40]!r}, not {schema.SCHEMA}; "
                        "use the same version of the project on both sides"
                    )
                if hello.session is not None and hello.seq is not None:
                    self._expected.setdefault(hello.session, hello.seq)
                self._greeted = True
                return hello
        raise Failure(
            f"{self.endpoint}: no publisher answered within {limit:g} s; "
            "start one with gscon-live live, or mend the endpoint"
        )

    def _greet(self, wait: float) -> Hello | None:
        """Sends a hello, and keeps the events that come meanwhile.

        After each connection, ZeroMQ sends all subscriptions again, in any order. So the answer
        proves that the topics arrived before the hello only if the connection did not change.
        """
        until = time.monotonic() + wait
        while not self.connected:
            if time.monotonic() >= until:
                return None
            self._keep(min(0.02, wait))
        self._socket.poll(0)  # lets the socket process the new connection
        before = self._connection.connections
        name = f"hello.{secrets.token_hex(8)}".encode()
        self._socket.subscribe(name)
        try:
            while (left := until - time.monotonic()) > 0:
                answer = self._keep(left, name)
                if answer is not None:
                    hello = msgspec.json.decode(answer, type=Hello)
                    self._connection.check()
                    return hello if self._connection.connections == before else None
        except _UNREADABLE as error:
            raise Failure(
                f"{self.endpoint}: not a publisher of {schema.SCHEMA} ({error})"
            ) from error
        finally:
            self._socket.unsubscribe(name)
        return None

    def _keep(self, wait: float, hello: bytes = b"") -> bytes | None:
        """Takes a message: returns the answer to `hello`, keeps an event for later."""
        message = self._next(wait)
        if message is None:
            return None
        topic, _, line = message.partition(b" ")
        if topic == hello:
            return line
        received = self._read(topic, line)
        if received is not None:
            self._early.append(received)
        return None

    def receive(self, timeout: float = math.inf) -> Received | None:
        """The next event with its line, or None if none comes within `timeout` seconds.

        Raises:
            InputError: the publisher refuses the keys.
        """
        until = time.monotonic() + timeout
        while True:
            if self._early:
                return self._early.popleft()
            left = until - time.monotonic()
            message = self._next(max(left, 0.0))
            if message is None:
                return None
            topic, _, line = message.partition(b" ")
            received = self._read(topic, line)
            if received is not None:
                return received

    def __iter__(self) -> Iterator[AnyEvent]:
        """The events as they come, of all sessions; the loop has no end of its own."""
        while True:
            received = self.receive()
            if received is not None:
                yield received.event

    def _next(self, wait: float) -> bytes | None:
        until = time.monotonic() + wait
        while True:
            left = max(until - time.monotonic(), 0.0)
            if self._socket.poll(math.ceil(min(left, _CHECK_INTERVAL) * 1000)):
                return self._socket.recv()
            self._connection.check()
            if left <= _CHECK_INTERVAL:
                return None

    @property
    def connected(self) -> bool:
        """Whether the publisher is connected now; a lost network is detected after seconds."""
        self._connection.check()
        return self._connection.connected

    def _read(self, topic: bytes, line: bytes) -> Received | None:
        """Counts an event; None if its topic is not chosen or it cannot be read."""
        if topic.startswith(b"hello."):
            return None  # a late answer to an earlier hello
        try:
            number = msgspec.json.decode(line, type=_Numbered)
        except _UNREADABLE:
            self.unreadable += 1
            return None
        if topic.decode(errors="replace") in MORE_TOPICS:
            return self._decoded(line)
        # Sessions count from 0. Only before the first hello, the first event may be a later one.
        first = 0 if self._greeted else number.seq
        expected = self._expected.get(number.session, first)
        self.missed += max(number.seq - expected, 0)
        self._expected[number.session] = max(number.seq + 1, expected)
        if topic.decode(errors="replace") not in self._topics:
            return None
        return self._decoded(line)

    def _decoded(self, line: bytes) -> Received | None:
        try:
            return Received(schema.decode(line), line.decode())
        except _UNREADABLE:
            self.unreadable += 1
            return None

    def close(self) -> None:
        """Closes the connection; unread events are lost."""
        self._connection.close()
        self._context.destroy(linger=0)

    def __enter__(self) -> "Subscriber":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
