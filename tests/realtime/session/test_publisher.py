"""The event stream: nothing is missed after the hello, and nobody slows the publisher down."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import stubs
from devices import lack, need
from sessions import HERE

from gscon_live.common.errors import InputError
from gscon_live.realtime import keys
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.client import Subscriber
from gscon_live.realtime.pipeline.settings import Curve
from gscon_live.realtime.session.publisher import Publisher

#: Receives until told to stop, then prints what it got and missed.
SUBSCRIBER = """
import sys
from gscon_live.realtime.events.client import Subscriber
with Subscriber(sys.argv[1], timeout=60) as subscriber:
    first = subscriber.ready().seq
    print(first, flush=True)
    got = []
    for event in subscriber:
        if event.reason == "end":
            break
        got.append(event.seq)
    print(first, got[0], got[-1], len(got), subscriber.missed, event.seq, flush=True)
"""


def peer(*arguments: str, before: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*before, sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(HERE)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def end() -> Any:
    return schema.Gap(
        schema=schema.SCHEMA, session="s", seq=0,
        time=0.0, what="frames", count=0, seconds=0.0, reason="end",
    )  # fmt: skip


@pytest.fixture
def endpoint() -> str:
    return f"tcp://127.0.0.1:{free_port()}"


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def test_a_subscriber_that_comes_while_events_flow_misses_none_after_its_hello(
    endpoint: str,
) -> None:
    with Publisher(endpoint, "s") as publisher:
        subscribers = [peer("-c", SUBSCRIBER, endpoint) for _ in range(2)]
        greeted, number = 0, 0
        while greeted < 2:
            publisher.publish(stubs.gap(number))  # answers hellos too
            greeted += publisher.serve()
            number += 1
            time.sleep(0.002)
            assert all(subscriber.poll() is None for subscriber in subscribers)
            greeted = max(greeted, sum(_has_line(subscriber) for subscriber in subscribers))
        for _ in range(200):
            publisher.publish(stubs.gap(0))
            time.sleep(0.001)
        last = publisher.publish(end())
        for subscriber in subscribers:
            output, _ = subscriber.communicate(timeout=60)
            first, got, newest, count, missed, final = map(int, output.split()[-6:])
            assert got <= first  # an event or two may come even before the hello's answer
            assert newest == final - 1 == last.seq - 1
            assert count == newest - got + 1
            assert missed == 0


def _has_line(process: "subprocess.Popen[str]") -> bool:
    import select

    return bool(select.select([process.stdout], [], [], 0)[0])


@pytest.mark.fault
def test_a_stalled_subscriber_slows_nobody_and_counts_what_it_missed(endpoint: str) -> None:
    """A subscriber that stalls: nobody waits, and it counts what it missed."""
    with Publisher(endpoint, "s") as publisher:
        stalled, awake = (peer("-c", SUBSCRIBER, endpoint) for _ in range(2))
        while not (_has_line(stalled) and _has_line(awake)):
            publisher.serve()
            time.sleep(0.01)
        stalled.send_signal(signal.SIGSTOP)
        before = psutil.Process().memory_info().rss
        total, slowest = 6000, 0.0
        for number in range(total):
            began = time.monotonic()
            publisher.publish(stubs.gap(number))
            slowest = max(slowest, time.monotonic() - began)
            if number % 50 == 0:
                time.sleep(0.01)  # at this pace the other one keeps up
        growth = psutil.Process().memory_info().rss - before
        stalled.send_signal(signal.SIGCONT)
        time.sleep(0.5)
        outputs = []
        for subscriber in (stalled, awake):
            while subscriber.poll() is None:
                publisher.publish(end())
                time.sleep(0.05)
            outputs.append([int(word) for word in subscriber.communicate()[0].split()[-6:]])
    for first, got, _, count, missed, final in outputs:
        assert count + missed == final - min(first, got)
    assert outputs[0][4] > 0
    assert outputs[1][4] == 0
    # 12 MB went out; a queue holds one, and nothing waits for who does not read.
    assert growth < 6 << 20
    assert slowest < 0.5


@pytest.mark.fault
def test_a_subscriber_that_is_killed_with_a_full_queue_does_no_harm(endpoint: str) -> None:
    """A subscriber that is killed with a full queue: no harm."""
    with Publisher(endpoint, "s") as publisher:
        gone = peer("-c", SUBSCRIBER, endpoint)
        while not _has_line(gone):
            publisher.serve()
            time.sleep(0.01)
        gone.send_signal(signal.SIGSTOP)
        for number in range(3000):
            publisher.publish(stubs.gap(number))
        gone.kill()
        gone.communicate()
        until = time.monotonic() + 3.0  # longer than a silent peer is asked after
        while time.monotonic() < until:
            publisher.publish(stubs.gap(0))
            time.sleep(0.01)
        other = peer("-c", SUBSCRIBER, endpoint)
        while not _has_line(other):
            publisher.serve()
            time.sleep(0.01)
        publisher.publish(stubs.gap(0))
        publisher.publish(end())
        assert other.communicate(timeout=60)[0].split()[-2] == "0"


def test_numbers_go_on_without_an_endpoint() -> None:
    with Publisher(None, "s") as publisher:
        assert [publisher.publish(stubs.gap(0)).seq for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_loopback_needs_no_keys(host: str) -> None:
    if host == "[::1]" and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with Publisher(f"tcp://{host}:{free_port()}", "s") as publisher:
        assert publisher.serve() == 0


@pytest.mark.parametrize(
    "wrong",
    ["tcp://0.0.0.0:5560", "tcp://192.168.1.20:5560", "tcp://10.0.0.1:5560", "tcp://*:5560",
     "tcp://[::]:5560", "tcp://example.org:5560"],
)  # fmt: skip
def test_an_address_that_others_reach_needs_keys(wrong: str) -> None:
    with pytest.raises(InputError, match="CURVE keys") as raised:
        Publisher(wrong, "s")
    assert "gscon-live keys" in str(raised.value)


@pytest.mark.parametrize(
    "wrong",
    ["", "5560", "127.0.0.1:5560", "tcp://127.0.0.1", "tcp://:5560", "tcp://127.0.0.1:port",
     "tcp://127.0.0.1:70000", "tcp://127.0.0.1:5560/x", "udp://127.0.0.1:5560", "ipc://",
     "tcp://[::1:5560"],
)  # fmt: skip
def test_a_malformed_endpoint_is_refused(wrong: str) -> None:
    with pytest.raises(InputError, match=r"endpoint|publish on") as raised:
        Publisher(wrong, "s")
    assert "\n" not in str(raised.value)


def test_a_taken_port_is_refused_with_the_remedy(endpoint: str) -> None:
    with (
        Publisher(endpoint, "s"),
        pytest.raises(InputError, match="Address already in use; choose another with --publish"),
    ):
        Publisher(endpoint, "t")
    with Publisher(endpoint, "s"):
        pass  # it is free again at once


@pytest.mark.parametrize("part", ["secret", "clients"])
def test_missing_key_files_are_refused(part: str, endpoint: str, tmp_path: Path) -> None:
    keys.make(tmp_path / "keys", ["robot"])
    right = {"secret": tmp_path / "keys/server.key_secret", "clients": tmp_path / "keys/clients"}
    wrong = {name: str(path) for name, path in {**right, part: tmp_path / "nowhere"}.items()}
    with pytest.raises(InputError, match=rf"publish\.curve\.{part}"):
        Publisher(endpoint, "s", Curve(**wrong))
    with pytest.raises(InputError, match="no secret key"):
        Publisher(
            endpoint, "s", Curve(str(tmp_path / "keys/server.key"), str(tmp_path / "keys/clients"))
        )


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def hosts() -> Iterator[tuple[str, str, str]]:
    """Two network namespaces joined by a cable: the publisher's, another, and an address."""
    need("ip")
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    near, far = (f"gscon{side}{os.getpid()}" for side in "ab")
    made = []
    try:
        try:
            for name in (near, far):
                _ip("netns", "add", name)
                made.append(name)
            _ip(
                "link", "add", "cable", "netns", near, "type", "veth", "peer", "cable", "netns", far
            )
            for name, address in ((near, "10.91.7.1/24"), (far, "10.91.7.2/24")):
                _ip("-n", name, "addr", "add", address, "dev", "cable")
                _ip("-n", name, "link", "set", "cable", "up")
        except subprocess.CalledProcessError as error:
            lack(f"network namespaces: {error.stderr.strip()}")
        yield near, far, "10.91.7.1"
    finally:
        for name in made:
            _ip("netns", "del", name)


def test_between_hosts_only_who_holds_a_key_receives(
    hosts: tuple[str, str, str], tmp_path: Path
) -> None:
    here, there, address = hosts
    keys.make(tmp_path / "keys", ["robot"])
    keys.make(tmp_path / "other", ["eve"])
    stranger = tmp_path / "other/for-eve"
    shutil.copy(tmp_path / "keys/server.key", stranger / "server.key")
    endpoint = f"tcp://{address}:5560"
    script = str(HERE / "curve_peer.py")
    publisher = peer(
        script, "publish", endpoint,
        str(tmp_path / "keys/server.key_secret"), str(tmp_path / "keys/clients"),
        before=("ip", "netns", "exec", here),
    )  # fmt: skip
    try:
        assert publisher.stdout is not None
        assert publisher.stdout.readline() == "bound\n"

        def received(folder: str, seconds: str) -> dict[str, Any]:
            receiver = peer(script, "receive", endpoint, folder, seconds,
                       before=("ip", "netns", "exec", there))  # fmt: skip
            report: dict[str, Any] = json.loads(receiver.communicate(timeout=60)[0])
            return report

        assert received(str(tmp_path / "keys/for-robot"), "30") == {"got": 20, "error": ""}
        for folder in ("", str(stranger)):
            refused = received(folder, "2")
            assert refused["got"] == 0
            assert refused["error"]
        assert publisher.poll() is None
    finally:
        publisher.kill()
        publisher.communicate()


def test_faces_go_only_to_who_asks_and_are_counted_by_themselves(endpoint: str) -> None:
    faces = schema.FaceEvent(schema=schema.SCHEMA, session="s", seq=0, time=1.0, faces=[])
    with Publisher(endpoint, "s") as publisher:
        for _ in range(3):
            publisher.publish(faces)  # nobody has asked yet
        with (
            Subscriber(endpoint) as plain,
            Subscriber(endpoint, ("face", "health")) as asking,
        ):
            for subscriber in (plain, asking):
                _greet(publisher, subscriber)
            for _ in range(5):
                publisher.publish(faces)
                publisher.publish(end())
            seen = [asking.receive(20.0) for _ in range(10)]
            health = [plain.receive(20.0) for _ in range(5)]
            assert plain.receive(0.3) is None
    numbers: dict[str, list[int]] = {"face": [], "gap": []}
    for received in seen:
        assert received is not None
        numbers[received.event.type].append(received.event.seq)
    assert numbers == {"face": [0, 1, 2, 3, 4], "gap": [0, 1, 2, 3, 4]}
    assert [received.event.seq for received in health if received] == [0, 1, 2, 3, 4]
    assert plain.missed == asking.missed == 0


def _greet(publisher: Publisher, subscriber: Subscriber) -> None:
    """Lets the publisher answer while the subscriber waits."""
    done = threading.Event()

    def wait() -> None:
        subscriber.ready(20.0)
        done.set()

    thread = threading.Thread(target=wait)
    thread.start()
    while not done.is_set():
        publisher.serve()
        time.sleep(0.01)
    thread.join()
