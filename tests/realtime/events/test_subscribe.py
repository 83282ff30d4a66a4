"""A subscriber misses nothing after the hello, says what it missed otherwise, and ends cleanly."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zmq
from made_events import conversation

from gscon_live.common import cli
from gscon_live.common.errors import Failure, InputError
from gscon_live.realtime import keys, subscribe
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.client import TOPICS, Subscriber
from gscon_live.realtime.events.connection import check_endpoint
from gscon_live.realtime.events.schema import AnyEvent
from gscon_live.realtime.pipeline.settings import Curve
from gscon_live.realtime.session.publisher import Publisher

HERE = Path(__file__).parents[1]
ROOT = HERE.parents[1]
SESSION = [msgspec.structs.replace(event, session="s") for event in conversation(3)]
ENVIRONMENT = {**os.environ, "PYTHONUNBUFFERED": "1"}


class Remote:
    """The publisher of `xpub.py` in a process of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "xpub.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.endpoint = self.line()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def until(self, *wanted: str) -> None:
        """Waits until the publisher has said all of these."""
        left = set(wanted)
        while left:
            line = self.line()
            assert line, "the publisher has ended"
            left.discard(line)

    def tell(self, *orders: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{order}\n" for order in orders))
        self.process.stdin.flush()

    def publish(self, *made: AnyEvent) -> None:
        self.tell(*(f"publish {schema.topic(e)} {schema.encode(e).decode()}" for e in made))

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


@pytest.fixture
def remote() -> Iterator[Remote]:
    made = Remote()
    yield made
    made.end()


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gscon_live.realtime.subscribe", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, cwd=HERE,
    )  # fmt: skip


def take(subscriber: Subscriber, count: int) -> list[AnyEvent]:
    received = [subscriber.receive(timeout=20) for _ in range(count)]
    assert None not in received
    return [item.event for item in received if item is not None]


def test_after_ready_every_event_arrives_in_order(remote: Remote) -> None:
    with Subscriber(remote.endpoint) as subscriber:
        assert subscriber.ready().seq == 0
        remote.publish(*SESSION)
        assert take(subscriber, len(SESSION)) == SESSION
        assert subscriber.missed == 0


def test_iterating_gives_the_events(remote: Remote) -> None:
    with Subscriber(remote.endpoint) as subscriber:
        subscriber.ready()
        remote.publish(*SESSION)
        for expected, event in zip(SESSION, subscriber, strict=False):
            assert event == expected


def test_lost_events_are_counted_whatever_the_topics(remote: Remote) -> None:
    with Subscriber(remote.endpoint, topics=("session",)) as subscriber:
        subscriber.ready()
        remote.publish(*SESSION[:2])
        remote.tell("skip 3")
        remote.publish(*SESSION[5:])
        assert take(subscriber, 2) == [SESSION[0], SESSION[-1]]
        assert subscriber.missed == 3


def test_events_lost_right_after_the_hello_are_counted(remote: Remote) -> None:
    with Subscriber(remote.endpoint) as subscriber:
        subscriber.ready()
        remote.publish(SESSION[2])
        take(subscriber, 1)
        assert subscriber.missed == 2


def test_events_lost_at_the_head_of_a_later_session_are_counted(remote: Remote) -> None:
    second = [msgspec.structs.replace(event, session="second") for event in SESSION]
    with Subscriber(remote.endpoint) as subscriber:
        subscriber.ready()
        remote.publish(*SESSION)
        take(subscriber, len(SESSION))
        assert subscriber.missed == 0
        remote.publish(*second[3:])
        assert take(subscriber, len(second) - 3) == second[3:]
        assert subscriber.missed == 3


def test_a_subscriber_needs_pyzmq_and_msgspec_alone() -> None:
    code = (
        "import sys, zmq, zmq.auth, zmq.utils.monitor, msgspec\nbefore = set(sys.modules)\n"
        "import gscon_live.realtime.events.client, gscon_live.realtime.subscribe\n"
        "print(*set(sys.modules) - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=HERE
    )
    loaded = done.stdout.split()
    roots = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names
    assert roots == {"gscon_live"}
    assert [name for name in loaded if name.startswith("gscon_live.model.")] == [
        "gscon_live.model.labels"
    ]


def test_coming_late_is_no_loss(remote: Remote) -> None:
    remote.publish(*SESSION[:4])
    remote.tell("say done")
    remote.until("done")
    with Subscriber(remote.endpoint) as subscriber:
        assert subscriber.ready().seq == 4
        remote.publish(*SESSION[4:])
        assert take(subscriber, len(SESSION) - 4) == SESSION[4:]
        assert subscriber.missed == 0


def test_it_reconnects_and_counts_what_it_lost_meanwhile(remote: Remote) -> None:
    with Subscriber(remote.endpoint) as subscriber:
        subscriber.ready()
        remote.publish(*SESSION[:2])
        take(subscriber, 2)
        remote.tell("hang up", "skip 2", "bind")
        remote.until("bound")
        subscriber.ready(timeout=30)
        remote.publish(*SESSION[4:])
        assert take(subscriber, len(SESSION) - 4) == SESSION[4:]
        assert subscriber.missed == 2


def test_unknown_fields_survive_and_unreadable_messages_are_counted(remote: Remote) -> None:
    line = '{"type":"speech.started","schema":"gscon.events/1","session":"s","seq":0,'
    line += '"utterance":1,"start":0.5,"later":true}'
    with Subscriber(remote.endpoint) as subscriber:
        subscriber.ready()
        remote.tell(f"publish speech {line}", "publish speech {]")
        remote.tell('publish health {"type":"new","session":"s","seq":2}')
        remote.publish(msgspec.structs.replace(SESSION[0], seq=3))
        first = subscriber.receive(20)
        assert first is not None
        assert first.raw == line
        take(subscriber, 1)
        assert (subscriber.unreadable, subscriber.missed) == (2, 1)


def _line(**changes: object) -> str:
    event = json.loads(schema.encode(next(e for e in SESSION if e.type == "utterance")))
    for path, value in changes.items():
        *parents, last = path.split("__")
        node = event
        for parent in parents:
            node = node[parent]
        node[last] = value
    return json.dumps(event)


JUNK = {
    "nested": '{"type":"gap","session":"s","seq":1,"x":' + "[" * 5000 + "]" * 5000 + "}",
    "nested objects": '{"x":' * 3000 + "1" + "}" * 3000,
    "a time without end": _line(utterance__end=1e308),
    "a negative time": _line(utterance__start=-5.0),
    "no number": _line(utterance__start=0).replace('"start": 0', '"start": NaN'),
    "a number of 5,000 digits": _line(seq=0).replace('"seq": 0', '"seq": ' + "9" * 5000),
    "a probability above one": _line(emotion__confidence=1e300),
    "text for a number": _line(utterance__id="7"),
    "a list for words": _line(utterance__text=["a"]),
    "half a character": _line(utterance__text="x").replace('"x"', r'"\ud800"'),
    "nothing": "",
    "a million": "9" * 1_000_000,
}


@pytest.mark.fault
@pytest.mark.parametrize("name", JUNK)
def test_messages_that_are_no_events(name: str, tmp_path: Path) -> None:
    """A publisher sends junk: it is counted as unreadable, and the subscriber goes on."""
    endpoint = f"ipc://{tmp_path}/events"
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with context.socket(zmq.PUB) as publisher, Subscriber(endpoint) as subscriber:
        publisher.bind(endpoint)
        until = time.monotonic() + 30
        while subscriber.receive(0.02) is None and time.monotonic() < until:
            publisher.send(b"speech " + schema.encode(SESSION[1]))  # until it is connected
        publisher.send(b"emotion " + JUNK[name].encode())
        publisher.send(b"session " + schema.encode(SESSION[-1]))
        received = subscriber.receive(30)
        while received is not None and received.event != SESSION[-1]:
            received = subscriber.receive(30)
        assert received is not None
        assert subscriber.unreadable == 1
    context.destroy(0)


@pytest.mark.fault
def test_a_message_of_many_megabytes(tmp_path: Path) -> None:
    """A publisher sends 50 MB as one message: it is not taken, and the subscriber connects anew."""
    endpoint = f"ipc://{tmp_path}/events"
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with context.socket(zmq.PUB) as publisher, Subscriber(endpoint) as subscriber:
        publisher.bind(endpoint)
        until = time.monotonic() + 30
        while subscriber.receive(0.02) is None and time.monotonic() < until:
            publisher.send(b"speech " + schema.encode(SESSION[1]))
        publisher.send(b"emotion " + b"x" * 50_000_000)
        while subscriber.receive(0.1) is not None:
            pass
        received, until = None, time.monotonic() + 60
        while received is None and time.monotonic() < until:
            publisher.send(b"session " + schema.encode(SESSION[-1]))
            received = subscriber.receive(0.1)
        assert received is not None
        assert subscriber.unreadable == 0
    context.destroy(0)


def test_it_may_start_before_the_publisher(remote: Remote) -> None:
    remote.tell("hang up")
    remote.until("hung up")
    with Subscriber(remote.endpoint) as subscriber:
        with pytest.raises(Failure):
            subscriber.ready(timeout=0.3)
        remote.tell("bind")
        subscriber.ready(timeout=30)
        remote.publish(*SESSION)
        assert take(subscriber, len(SESSION)) == SESSION
        assert subscriber.missed == 0


def test_no_publisher_is_a_failure_that_names_the_endpoint() -> None:
    with Subscriber("tcp://127.0.0.1:1", timeout=0.2) as subscriber:
        with pytest.raises(Failure, match=r"tcp://127\.0\.0\.1:1: no publisher") as raised:
            subscriber.ready()
        assert "\n" not in str(raised.value)
        assert subscriber.receive(timeout=0) is None


@pytest.mark.parametrize(
    "endpoint",
    ["", "localhost:5560", "http://localhost:5560", "tcp://localhost", "tcp://localhost:no",
     "tcp://:5560", "tcp://*:5560", "tcp://localhost:65536", "tcp://localhost:0",
     "tcp://localhost:5560/x", "tcp://[::1", "ipc://"],
)  # fmt: skip
def test_a_wrong_endpoint_is_refused_in_one_line(
    endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError):
        check_endpoint(endpoint)
    assert cli.run(subscribe.main, [endpoint]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["--topics", "joy"], ["--keys", "missing"], ["--format", "x"]]
)
def test_wrong_options_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(subscribe.main, arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_only_holders_of_a_key_are_served(tmp_path: Path) -> None:
    keys.make(tmp_path / "keys", ["ada"])
    keys.make(tmp_path / "others", ["eve"])
    (tmp_path / "others/for-eve/server.key").write_bytes(
        (tmp_path / "keys/server.key").read_bytes()
    )
    keys.make(tmp_path / "elsewhere", ["eve"])
    endpoint = f"ipc://{tmp_path}/events"
    curve = Curve(str(tmp_path / "keys/server.key_secret"), str(tmp_path / "keys/clients"))
    done = threading.Event()
    with Publisher(endpoint, "s", curve) as publisher:

        def serve() -> None:
            while not done.wait(0.02):
                publisher.serve()

        server = threading.Thread(target=serve)
        server.start()
        try:
            with Subscriber(endpoint, keys=tmp_path / "keys/for-ada") as subscriber:
                assert subscriber.ready().session == "s"
            for refused, why in (
                (tmp_path / "others/for-eve", "does not accept this key"),
                (None, "uses keys"),
                (tmp_path / "elsewhere/for-eve", "server.key is not its public key"),
            ):
                with (
                    Subscriber(endpoint, keys=refused, timeout=20) as subscriber,
                    pytest.raises(InputError, match=why),
                ):
                    subscriber.ready()
        finally:
            done.set()
            server.join()


def test_the_real_publisher_and_the_client_agree(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/events"
    with Publisher(endpoint, "s") as publisher:
        process = start(endpoint, "--format", "jsonl", "--once")
        while not publisher.serve():
            assert process.poll() is None
        for event in SESSION:
            publisher.publish(event)
        output, errors = process.communicate(timeout=30)
    assert [schema.decode(line) for line in output.splitlines()] == SESSION
    assert (process.returncode, "missed" in errors) == (0, False)


def test_the_command_prints_a_session_and_ends_with_it(remote: Remote) -> None:
    process = start(remote.endpoint, "--once", "--topics", "emotion")
    remote.until("hello")
    remote.publish(*SESSION[:3])
    remote.tell("skip 1")
    remote.publish(*SESSION[4:])
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "missed 1 events" in errors
    assert [line.split()[1] for line in output.splitlines()] == ["Ada", "Ada"]


def test_the_command_says_when_the_publisher_goes_and_comes_back(remote: Remote) -> None:
    process = start(remote.endpoint, "--once")
    remote.until("hello")
    remote.publish(*SESSION[:2])
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    remote.tell("hang up")
    assert "the publisher has gone; waiting\n" in iter(process.stderr.readline, "")
    remote.tell("bind")
    remote.until("bound", *(f"+{topic}" for topic in TOPICS))
    remote.publish(*SESSION[2:])
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "the publisher is back\n" in errors
    assert output.splitlines()[-1].startswith("session ended")


def test_the_command_waits_for_a_publisher_and_stops_on_ctrl_c() -> None:
    process = start("tcp://127.0.0.1:1")
    assert process.stderr is not None
    assert "waiting for a publisher at tcp://127.0.0.1:1" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (130, "", "stopped by Ctrl-C\n")


def test_javascript_receives_the_same_utterances(
    remote: Remote, node_modules: Path, tmp_path: Path
) -> None:
    code = (ROOT / "realtime/examples/subscribe.mjs").read_text(encoding="utf-8")
    output, errors = _javascript(code, remote, node_modules, tmp_path)
    assert errors == "connected\n"
    said = [event for event in SESSION if isinstance(event, schema.UtteranceEvent)]
    assert len(output.splitlines()) == len(said)
    for line, event in zip(output.splitlines(), said, strict=True):
        assert event.utterance.speaker in line
        assert event.utterance.text in line
        assert event.emotion.label in line


def test_the_ten_lines_of_the_documentation_receive_them_too(
    remote: Remote, node_modules: Path, tmp_path: Path
) -> None:
    page = (ROOT / "docs/events.md").read_text(encoding="utf-8")
    code = page.split("```js\n")[1].split("```")[0]
    assert len(code.splitlines()) == 10
    code = code.replace("tcp://127.0.0.1:5560", remote.endpoint)
    output, errors = _javascript(code, remote, node_modules, tmp_path)
    assert errors == ""
    said = [event for event in SESSION if isinstance(event, schema.UtteranceEvent)]
    assert output.splitlines() == [
        f"{event.utterance.text} {event.emotion.label}" for event in said
    ]


def _javascript(code: str, remote: Remote, node_modules: Path, folder: Path) -> tuple[str, str]:
    """What a script prints, on both streams, when the session is published once it has said hello;
    it is to end by itself."""
    (folder / "node_modules").symlink_to(node_modules)
    (folder / "subscribe.mjs").write_text(code, encoding="utf-8")
    process = subprocess.Popen(
        ["node", "subscribe.mjs", remote.endpoint],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        remote.until("hello")
        remote.publish(*SESSION)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0
    return output, errors


@pytest.fixture(scope="module")
def node_modules(pytestconfig: pytest.Config) -> Path:
    """npm's zeromq, installed once into the folder that pytest keeps."""
    required = os.environ.get("CI") == "true"
    if shutil.which("node") is None or shutil.which("npm") is None:
        if required:
            pytest.fail("node and npm are needed to run the JavaScript example")
        pytest.skip("needs node and npm")
    cache = pytestconfig.cache.mkdir("node") / "zeromq"
    package = ROOT / "realtime/examples/package.json"
    installed = cache / "package.json"
    if not (cache / "done").exists() or installed.read_bytes() != package.read_bytes():
        shutil.rmtree(cache, ignore_errors=True)
        cache.mkdir(parents=True)
        shutil.copy(package, installed)
        done = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--omit=dev"],
            cwd=cache, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        if done.returncode:
            (pytest.fail if required else pytest.skip)(f"npm install: {done.stderr[-300:]}")
        (cache / "done").touch()
    return cache / "node_modules"
