"""Links between processes: what is lossless loses nothing, what is latest counts every drop."""

import json
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bus_peer
import psutil
import pytest
import stubs
import zmq
from hypothesis import given
from hypothesis import strategies as st
from sessions import HERE, built_by, cut, plan_for

from gscon_live.realtime.events import schema
from gscon_live.realtime.pipeline import bus, messages, services
from gscon_live.realtime.pipeline.services import MEBIBYTE
from gscon_live.realtime.session.publisher import Publisher
from gscon_live.realtime.session.service_table import SERVICES
from gscon_live.realtime.session.session import Session
from gscon_live.realtime.session.session_plan import Plan


class Peer:
    """A sending process; `reached` is how many pictures it has got rid of."""

    def __init__(self, address: str, policy: str, count: int, name: str = "sender") -> None:
        self.reached = 0
        self.report: dict[str, int] = {}
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "bus_peer.py"), "send", address, policy, name, str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            made = json.loads(line)
            if isinstance(made, int):
                self.reached = made
            else:
                self.report = made

    def settle(self) -> int:
        """Waits until it gets no further; gives how far it has come."""
        last, since = 0, time.monotonic()
        until = since + 60
        while last == 0 or time.monotonic() - since < 1.0:
            assert time.monotonic() < until
            if self.reached != last:
                last, since = self.reached, time.monotonic()
            time.sleep(0.02)
        return last

    def end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._reader.join()
        self._process.stdout.close()


class Receiver:
    """The test's end: one inbox for some senders."""

    def __init__(self, address: str, policy: str, names: tuple[str, ...] = ("sender",)) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        links = [bus_peer.link(policy, name) for name in names]
        self.inbox = bus.Inbox(self._context, address, links, live=True)

    def take(self, until: Callable[[list[Any]], bool], pause: float = 0.0) -> list[Any]:
        """Receives until `until` holds for all that has come."""
        found: list[Any] = []
        give_up = time.monotonic() + 60
        while not until(found):
            assert time.monotonic() < give_up
            message = self.inbox.receive()
            if message is None:
                self.inbox.socket.poll(50)
            else:
                found.append(message)
                time.sleep(pause)
        return found

    def close(self) -> None:
        self.inbox.close()
        self._context.term()


@pytest.fixture
def address() -> Iterator[str]:
    with bus.private_endpoints(["test"]) as endpoints:
        yield endpoints.of("test")


def ends(count: int) -> Callable[[list[Any]], bool]:
    return lambda found: sum(isinstance(message, messages.End) for message in found) == count


def test_a_lossless_link_holds_up_its_sender_and_loses_nothing(address: str) -> None:
    count = 200
    receiver, peer = Receiver(address, "lossless"), Peer(address, "lossless", count)
    try:
        before = psutil.Process().memory_info().rss
        held = peer.settle()
        # Each side holds one queue; the system's socket buffer holds some more.
        assert held * bus_peer.SIZE < 2 * bus_peer.QUEUE + 2 * MEBIBYTE
        assert psutil.Process().memory_info().rss - before < bus_peer.QUEUE + 8 * MEBIBYTE
        found = receiver.take(ends(1))
        assert [message.time for message in found[:-1]] == list(range(count))
    finally:
        receiver.close()
        peer.end()
    assert peer.report["dropped"] == 0
    assert peer.report["growth"] < bus_peer.QUEUE + 8 * MEBIBYTE


def test_a_latest_link_never_holds_up_its_sender_and_counts_every_drop(address: str) -> None:
    count = 400
    receiver, peer = Receiver(address, "latest"), Peer(address, "latest", count)
    try:
        found = receiver.take(lambda found: len(found) >= 1)
        while peer.reached < count:  # stalled, and yet the sender comes to its end
            time.sleep(0.02)
        found += receiver.take(ends(1))
    finally:
        receiver.close()
        peer.end()
    times = [message.time for message in found[:-1]]
    assert times == sorted(set(times))
    assert len(times) + peer.report["dropped"] + receiver.inbox.dropped == count
    assert peer.report["dropped"] > count / 2
    assert peer.report["growth"] < 8 * MEBIBYTE


def test_a_receiver_that_is_behind_gets_the_newest_picture_that_has_come(address: str) -> None:
    receiver = Receiver(address, "lossless")
    receiver.close()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    inbox = bus.Inbox(context, address, [bus_peer.link("latest")], live=True)
    socket = context.socket(zmq.PUSH)
    socket.connect(address)
    sent = [bus_peer.picture(1), messages.Mark(1.0, "x"), bus_peer.picture(2), bus_peer.picture(3)]
    for message in sent:
        socket.send(bus.encode(message))
    found: list[Any] = []
    while not found or found[-1] != sent[-1]:
        inbox.socket.poll(1000)
        time.sleep(0.05)
        found += [message for message in (inbox.receive() for _ in range(4)) if message is not None]
    assert sent[1] in found
    assert len(found) + inbox.dropped == len(sent)
    socket.close(0)
    inbox.close()
    context.term()


def test_two_senders_keep_their_own_order(address: str) -> None:
    names = ("one", "two")
    receiver = Receiver(address, "lossless", names)
    peers = [Peer(address, "lossless", 60, name) for name in names]
    try:
        found = receiver.take(ends(2))
    finally:
        receiver.close()
        for peer in peers:
            peer.end()
    times = [message.time for message in found if isinstance(message, messages.VideoFrame)]
    assert sorted(times) == sorted([*range(60), *range(60)])
    left = [iter(range(60)), iter(range(60))]
    heads = [next(stream) for stream in left]
    for time_ in times:  # a merge of two ordered rows, which are equal here
        which = heads.index(time_)
        heads[which] = next(left[which], -1)


def test_nothing_waits_for_a_receiver_that_was_given_up(address: str) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    calls = []

    def check() -> None:
        calls.append(None)
        if len(calls) > 2:
            sender.abandon()

    sender = bus.Sender(context, bus_peer.link("latest"), True, address, check)
    for number in range(20):  # nobody listens there, and a mark is nothing to be dropped
        sender.send(mark := messages.Mark(float(number), "sender"), bus.encode(mark))
    assert len(calls) == 3
    sender.close()
    context.destroy(0)


def test_a_private_folder_is_ours_alone_and_gone_afterwards() -> None:
    with bus.private_endpoints(["a", "b"]) as endpoints:
        folder = Path(endpoints.of("a").removeprefix("ipc://")).parent
        assert Path(endpoints.of("b").removeprefix("ipc://")).parent == folder
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        socket = context.socket(zmq.PULL)
        socket.bind(endpoints.of("a"))
        assert list(folder.iterdir())
        socket.close()
        context.term()
    assert not folder.exists()


def test_every_link_leads_from_a_service_to_one_that_takes_and_is_bounded() -> None:
    names = [service.name for service in SERVICES]
    assert len(set(names)) == len(names)
    assert [service.name for service in SERVICES if service.answers] == ["recognise"]
    assert sum(len(service.takes) for service in SERVICES) == len(services.links(SERVICES))
    for link in services.links(SERVICES):
        for live in (True, False):
            assert link.high_water_mark(live) * link.message_bytes <= max(
                link.queue_bytes, 2 * link.message_bytes
            )
        # What is recorded as an utterance's sound must never be thrown away.
        if messages.AudioChunk in link.carries or messages.Segment in link.carries:
            assert {link.policy(True), link.policy(False)} == {"lossless"}


def test_links_carry_only_what_the_table_says(tmp_path: Path) -> None:
    source = cut(tmp_path / "clip.mkv", 1.0)
    plan: Plan = plan_for(source)
    stages = ("segment", "transcribe", "watch", "recognise")
    builders = {**dict.fromkeys(stages, "stubs:chatty"), "recording": "stubs:everything_once"}
    table = built_by(**builders)
    with Publisher(None, "s") as publisher:
        model = schema.ModelInfo(name="none", version="0")
        assert Session(plan, publisher, [], model=model, source="stub", services=table).run()
    links = services.links([service for service in table if service.runs(plan)])
    for stage in stages:
        got = set(Path(f"{source}.{stage}").read_text(encoding="utf-8").split())
        carried = tuple(kind for link in links if link.receiver == stage for kind in link.carries)
        sent = [*stubs.everything("x"), messages.End("x", 1.0)]
        assert got == {type(message).__name__ for message in sent if isinstance(message, carried)}


messages_of_all_kinds = st.sampled_from(
    [*stubs.everything("x"), messages.End("x", 1.5), stubs.gap(1)]
)


@given(messages_of_all_kinds)
def test_a_message_survives_the_way(message: Any) -> None:
    assert bus.decode(bus.encode(message)) == message
