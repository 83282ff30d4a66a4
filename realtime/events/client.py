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
from gscon_live.realtime.events.schema import AnyEvent
from gscon_live.realtime.events.sockets import SUBSCRIBER, prepare

__all__ = ["ENDPOINT", "TOPICS", "Hello", "Received", "Subscriber"]

TOPICS = ("emotion", "speech", "session", "health")

#: How many events may wait in the socket; beyond that the publisher drops, and `missed` tells.
HIGH_WATER_MARK = 1000

#: Seconds after which an unanswered hello is said again.
_HELLO_AGAIN = 1.0

#: Seconds between two looks at the connection while nothing comes.
_LOOK_AT_CONNECTION = 0.25


class Hello(msgspec.Struct, frozen=True):
    """The publisher's answer: from event `seq` of `session` on, nothing is missed."""

    schema: str
    session: str | None = None
    seq: int | None = None


class Received(NamedTuple):
    """An event and the line of JSON that it came as (with fields unknown to this version)."""

    event: AnyEvent
    raw: str


class _Numbered(msgspec.Struct, frozen=True):
    session: str
    seq: int


class Subscriber:
    """A connection to a publisher of events; it reconnects by itself, for ever.

    It takes every topic from the publisher, because only then is a hole in the numbers an event
    that was lost, and hands on those asked for.

    Args:
        endpoint: `tcp://HOST:PORT`, or `ipc://FILE`.
        topics: which of "emotion", "speech", "session" and "health" are handed on.
        keys: directory with `server.key` (the publisher's public key) and `client.key_secret`
            (one's own), where the publisher uses CURVE.
        timeout: seconds that `ready` waits for the publisher.

    Attributes:
        missed: how many events were lost on the way since the first one.
        unreadable: how many messages were none of this schema and were skipped.

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
            if topic not in TOPICS:
                raise InputError(f"topic {topic!r}: the topics are {', '.join(TOPICS)}")
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
        for topic in TOPICS:
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
            timeout: seconds; None takes the constructor's, `math.inf` waits for ever.

        Raises:
            Failure: no publisher has answered by then; it may be called again.
            InputError: the publisher refuses the keys.
        """
        limit = self._timeout if timeout is None else timeout
        give_up = time.monotonic() + limit
        while (left := give_up - time.monotonic()) > 0:
            hello = self._greet(min(left, _HELLO_AGAIN))
            if hello is not None:
                if hello.schema != schema.SCHEMA:
                    raise Failure(
                        f"{self.endpoint}: publishes {hello.schema}, not {schema.SCHEMA}; "
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
        """Says hello once, and keeps the events that come meanwhile.

        ZeroMQ sends subscriptions anew, in an order of its own, whenever it connects. Only on a
        connection that stood before the hello and still stands does its answer mean that the
        topics were there first.
        """
        until = time.monotonic() + wait
        while not self.connected:
            if time.monotonic() >= until:
                return None
            self._keep(min(0.02, wait))
        self._socket.poll(0)  # lets the socket finish what the connection set off
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
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Failure(
                f"{self.endpoint}: not a publisher of {schema.SCHEMA} ({error})"
            ) from error
        finally:
            self._socket.unsubscribe(name)
        return None

    def _keep(self, wait: float, hello: bytes = b"") -> bytes | None:
        """Takes one message: returns the answer to `hello`, puts an event aside for later."""
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
        """The next event with its line, or None after `timeout` seconds without one.

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
        """The events as they come; the loop goes on through sessions until it is broken."""
        while True:
            received = self.receive()
            if received is not None:
                yield received.event

    def _next(self, wait: float) -> bytes | None:
        until = time.monotonic() + wait
        while True:
            left = max(until - time.monotonic(), 0.0)
            if self._socket.poll(math.ceil(min(left, _LOOK_AT_CONNECTION) * 1000)):
                return self._socket.recv()
            self._connection.check()
            if left <= _LOOK_AT_CONNECTION:
                return None

    @property
    def connected(self) -> bool:
        """Whether the publisher is there now; a lost network shows after seconds."""
        self._connection.check()
        return self._connection.connected

    def _read(self, topic: bytes, line: bytes) -> Received | None:
        """Counts the event in; None where nobody asked for it or it cannot be read."""
        if topic.startswith(b"hello."):
            return None  # a late answer to an earlier hello
        try:
            number = msgspec.json.decode(line, type=_Numbered)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.unreadable += 1
            return None
        # Sessions count from 0; only before the first hello may we have come in half-way.
        first = 0 if self._greeted else number.seq
        expected = self._expected.get(number.session, first)
        self.missed += max(number.seq - expected, 0)
        self._expected[number.session] = max(number.seq + 1, expected)
        if topic.decode(errors="replace") not in self._topics:
            return None
        try:
            return Received(schema.decode(line), line.decode())
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.unreadable += 1
            return None

    def close(self) -> None:
        """Ends the connection; events that were not read are gone."""
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
