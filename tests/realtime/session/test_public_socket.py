"""Whoever may connect to the event stream can neither stop it nor fill the memory."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import stubs
import zmq
from sessions import HERE, WAIT, cut, read, start, utterances, wait_for

from gscon_live.common.errors import InputError
from gscon_live.realtime import keys
from gscon_live.realtime.events.client import Subscriber
from gscon_live.realtime.pipeline.settings import Curve
from gscon_live.realtime.session import public_socket
from gscon_live.realtime.session.publisher import Publisher

TOPICS = ("emotion ", "speech ", "session ", "health ")


@contextmanager
def floods(kind: str, endpoint: str) -> Iterator[None]:
    """Two clients that flood the publisher until the end of the block."""
    clients = [
        subprocess.Popen(
            [sys.executable, str(HERE / "flooding.py"), kind, endpoint],
            stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    try:
        for client in clients:
            assert client.stdout is not None
            assert client.stdout.readline() == "begun\n"
        yield
    finally:
        for client in clients:
            client.kill()
            client.communicate()


def noticed(publisher: Publisher) -> str | None:
    publisher.serve()
    return publisher.notice()


def greet(publisher: Publisher, *subscribers: Subscriber) -> None:
    """Serves the publisher until the subscribers have been answered."""
    done = threading.Event()

    def serve() -> None:
        while not done.wait(0.01):
            publisher.serve()

    server = threading.Thread(target=serve)
    server.start()
    try:
        for subscriber in subscribers:
            assert subscriber.ready(timeout=WAIT).seq == publisher.next_seq
    finally:
        done.set()
        server.join()


@pytest.fixture
def endpoint() -> str:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{held.getsockname()[1]}"


@pytest.mark.fault
@pytest.mark.parametrize("kind", ["repeated", "new", "alternating", "long"])
def test_a_flood_of_subscriptions(kind: str, endpoint: str) -> None:
    """Two clients subscribe without end: no event is lost uncounted, and memory stays flat."""
    with (
        Publisher(endpoint, "s") as publisher,
        floods(kind, endpoint),
        Subscriber(endpoint) as subscriber,
    ):
        greet(publisher, subscriber)
        before = psutil.Process().memory_info().rss
        seen = 0
        for number in range(100):
            publisher.publish(stubs.gap(number))
            if subscriber.receive(timeout=0.02) is not None:
                seen += 1
        while seen + subscriber.missed < publisher.next_seq:
            publisher.serve()
            if subscriber.receive(timeout=1.0) is not None:
                seen += 1
            elif kind == "new":
                # Too many topics close all connections; the next event tells what was missed.
                publisher.publish(stubs.gap(publisher.next_seq))
        assert kind == "new" or subscriber.missed == 0
        assert psutil.Process().memory_info().rss - before < 64 << 20


@pytest.mark.fault
def test_a_session_under_a_flood_goes_on_and_stops(tmp_path: Path, endpoint: str) -> None:
    """Two clients repeat the same hello during a session: events go on, and Ctrl-C ends it."""
    clip, out = cut(tmp_path / "clip.mkv", 9.0), tmp_path / "out.jsonl"
    process = start(
        "gscon_live.realtime.replay", clip, "--speed", 1, "--publish", endpoint, "--events", out
    )
    wait_for(out.exists, WAIT)
    with floods("repeated", endpoint):
        wait_for(lambda: '"type":"utterance"' in out.read_text(encoding="utf-8"), WAIT)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=WAIT)
    assert process.returncode == 130
    assert utterances(read(out))


@pytest.mark.fault
def test_a_client_that_floods_and_is_killed(endpoint: str) -> None:
    """A client that has sent more than was read is killed: the publisher lives on."""
    with Publisher(endpoint, "s") as publisher:
        with floods("repeated", endpoint):
            publisher.serve()
        time.sleep(5.0)  # nobody reads meanwhile
        publisher.publish(stubs.gap(0))
        with Subscriber(endpoint) as subscriber:
            greet(publisher, subscriber)


@pytest.mark.fault
def test_a_subscriber_that_is_behind_when_its_publisher_is_killed(endpoint: str) -> None:
    """A publisher is killed while a subscriber has not read its events: the subscriber goes on."""
    publish = (
        "import sys, time\nimport stubs\n"
        "from gscon_live.realtime.session.publisher import Publisher\n"
        "publisher = Publisher(sys.argv[1], 's')\n"
        "while True:\n    publisher.publish(stubs.gap(0)); time.sleep(0.0003)\n"
    )
    receive = (
        "import sys, time\nfrom gscon_live.realtime.events.client import Subscriber\n"
        "subscriber = Subscriber(sys.argv[1])\nsubscriber.ready(60)\nprint('ready', flush=True)\n"
        "time.sleep(8)\nprint(subscriber.receive(1) is not None)\n"
    )
    remote, behind = (
        subprocess.Popen(
            [sys.executable, "-c", code, endpoint],
            env={**os.environ, "PYTHONPATH": str(HERE)}, stdout=subprocess.PIPE, text=True,
        )
        for code in (publish, receive)
    )  # fmt: skip
    try:
        assert behind.stdout is not None
        assert behind.stdout.readline() == "ready\n"
        time.sleep(1.7)  # its queue is full, and ZeroMQ's own heartbeats would begin
        remote.kill()
        assert behind.communicate(timeout=WAIT)[0] == "True\n"
    finally:
        for process in (remote, behind):
            process.kill()
            process.communicate()


@pytest.mark.fault
def test_more_topics_than_memory_should_hold(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client subscribes to ever new topics: all are disconnected once, the others come back."""
    monkeypatch.setattr(public_socket, "MOST_TOPIC_BYTES", 20_000)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with (
        Publisher(endpoint, "s") as publisher,
        Subscriber(endpoint) as subscriber,
        context.socket(zmq.XSUB) as hostile,
    ):
        hostile.linger = hostile.sndhwm = 0
        hostile.connect(endpoint)
        greet(publisher, subscriber)
        for number in range(2_000):
            hostile.send(b"\x01some other topic %d" % number)
        notice = wait_for(lambda: noticed(publisher))
        assert notice.startswith("too many topics were subscribed to: all subscribers")
        hostile.close()
        seen = 0
        while not seen:
            publisher.publish(stubs.gap(0))
            seen += subscriber.receive(timeout=0.1) is not None
        assert subscriber.connected
        assert publisher.notice() is None
    context.destroy(0)


@pytest.mark.fault
def test_two_hundred_subscribers(endpoint: str) -> None:
    """Two hundred programs subscribe at once: each of them gets all events."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        with Publisher(endpoint, "s") as publisher:
            subscribers = []
            for number in range(200):
                subscriber = context.socket(zmq.SUB)
                for topic in TOPICS:
                    subscriber.subscribe(topic)
                subscriber.connect(endpoint)
                subscriber.subscribe(f"hello.{number:03}")
                subscribers.append(subscriber)
            answered = 0
            until = time.monotonic() + WAIT
            while answered < 200 and time.monotonic() < until:
                answered += publisher.serve()
                time.sleep(0.01)
            for number in range(10):
                publisher.publish(stubs.gap(number))
            for subscriber in subscribers:
                received = []
                while len(received) < 10 and subscriber.poll(20_000):
                    message = subscriber.recv()
                    if message.startswith(b"health "):
                        received.append(message)
                assert len(received) == 10
    finally:
        context.destroy(0)


@pytest.mark.fault
def test_two_thousand_connects(endpoint: str) -> None:
    """A program connects two thousand times and goes again: nothing of it stays."""
    host, port = endpoint.removeprefix("tcp://").split(":")
    own = psutil.Process()
    with Publisher(endpoint, "s") as publisher, Subscriber(endpoint) as subscriber:
        greet(publisher, subscriber)
        before = own.num_fds(), own.memory_info().rss
        for number in range(2_000):
            with socket.create_connection((host, int(port)), timeout=20) as connection:
                if number % 3 == 0:
                    connection.send(b"GET / HTTP/1.1\r\n\r\n")
            if number % 50 == 0:
                publisher.serve()
        publisher.publish(stubs.gap(0))
        received = subscriber.receive(timeout=20)
        assert received is not None
        assert received.event.seq == 0
        wait_for(lambda: own.num_fds() <= before[0] + 2)
        assert own.memory_info().rss - before[1] < 64 << 20


@pytest.mark.fault
def test_a_key_that_is_removed_while_the_session_runs(tmp_path: Path) -> None:
    """A client's key is deleted during a session: its connection ends, and those of others stay
    or come back."""
    keys.make(tmp_path / "keys", ["ada", "eve"])
    clients = tmp_path / "keys/clients"
    curve = Curve(str(tmp_path / "keys/server.key_secret"), str(clients))
    endpoint = f"ipc://{tmp_path}/events"
    with (
        Publisher(endpoint, "s", curve) as publisher,
        Subscriber(endpoint, keys=tmp_path / "keys/for-ada") as ada,
        Subscriber(endpoint, keys=tmp_path / "keys/for-eve") as eve,
    ):
        greet(publisher, ada, eve)
        key = (clients / "eve.key").read_bytes()
        (clients / "eve.key").unlink()
        notice = wait_for(lambda: noticed(publisher))
        assert notice.startswith("the key of a client was removed")
        with pytest.raises(InputError, match="does not accept this key"):
            eve.ready(timeout=WAIT)
        seen = 0
        while not seen:
            publisher.publish(stubs.gap(0))
            seen += ada.receive(timeout=0.1) is not None
        # A key that is put back is accepted without a new session.
        (clients / "eve.key").write_bytes(key)
        with Subscriber(endpoint, keys=tmp_path / "keys/for-eve") as again:
            until = time.monotonic() + WAIT
            while not again.connected and time.monotonic() < until:
                publisher.serve()
                time.sleep(0.02)
    assert publisher.notice() is None


@pytest.mark.fault
@pytest.mark.parametrize("content", [b"", b"no key\n", b"\xff\xfe"])
def test_a_broken_key_among_those_of_clients(content: bytes, tmp_path: Path, endpoint: str) -> None:
    """A file in the folder of clients is no key: it is refused with its name when the session
    begins."""
    keys.make(tmp_path / "keys", ["ada"])
    (tmp_path / "keys/clients/bob.key").write_bytes(content)
    curve = Curve(str(tmp_path / "keys/server.key_secret"), str(tmp_path / "keys/clients"))
    with pytest.raises(InputError, match=r"bob\.key: no CURVE key file"):
        Publisher(endpoint, "s", curve)
