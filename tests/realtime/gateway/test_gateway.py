"""The gateway hands on the events to any number of viewers, and is in nobody's way."""

import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psutil
import pytest
from browser import NO_BROWSER, opens_into
from gateways import Page, Station, lines, page, shown
from made_events import conversation
from sessions import ROOT, WAIT, Family, of, read, run, start, utterances, wait_for
from stubs import gap
from websockets.sync.client import connect

from gscon_live.realtime.events import schema, sinks
from gscon_live.realtime.gateway import own_browser

replace = msgspec.structs.replace


def test_a_viewer_gets_every_event_as_it_was_published(tmp_path: Path) -> None:
    events = list(conversation(4))
    with shown(tmp_path, events[0].session) as (station, served), served.watch() as viewer:
        station.send(events)
        got = [schema.decode(viewer.recv(timeout=40)) for _ in events]
    assert got == events


def test_who_comes_late_gets_what_went_before(tmp_path: Path) -> None:
    events = list(conversation(4))
    with shown(tmp_path, events[0].session) as (station, served):
        station.send(events[:7])
        wait_for(lambda: served.state()["events"] == 7)
        with served.watch() as late, served.watch("seq=5") as later:
            station.send(events[7:])
            assert [e["seq"] for e in lines(late, len(events))] == list(range(len(events)))
            assert [e["seq"] for e in lines(later, len(events) - 5)] == list(range(5, len(events)))
        with served.watch(f"session={events[0].session}&seq={len(events) - 1}") as again:
            assert lines(again, 1)[0]["type"] == "session.ended"


@pytest.mark.parametrize("ending", ["jsonl", "csv", "vtt"])
def test_a_download_is_the_file_that_the_session_itself_would_write(
    ending: str, tmp_path: Path
) -> None:
    events = list(conversation(4))
    name = f"gscon-live-{events[0].session}.{ending}"
    with closing(sinks.for_path(tmp_path / name)) as sink:
        for event in events:
            sink.write(event)
    with shown(tmp_path, events[0].session) as (station, served):
        path = f"/download?format={ending}&token={served.token}"
        assert served.get(path).status == 404
        station.send(events)
        wait_for(lambda: served.state()["events"] == len(events))
        assert served.state()["saved"] is None
        answer = served.get(path)
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert answer.read() == (tmp_path / name).read_bytes()
        assert served.state()["missing"] == 0
        assert served.state()["saved"] == events[0].session
        assert served.get(f"/download?format=exe&token={served.token}").status == 400


def test_a_download_from_a_page_that_started_late_says_what_is_missing(tmp_path: Path) -> None:
    events = list(conversation(4))
    with Station(f"ipc://{tmp_path / 'events'}", events[0].session) as station:
        station.send(events[:9])
        with page(station.endpoint) as served:
            wait_for(lambda: served.state()["events"])
            station.send(events[9:])
            wait_for(lambda: served.state()["events"] == 1 + len(events) - 9)
            assert served.state()["missing"] == 8
            content = served.get(f"/download?token={served.token}").read().decode()
    assert [schema.decode(line) for line in content.splitlines()] == [events[0], *events[9:]]


def test_viewers_end_a_session_only_where_they_may(tmp_path: Path) -> None:
    session = conversation(1).__next__().session
    with shown(tmp_path, session, "--can-stop") as (_, served):
        assert served.state()["stops"]
        path = f"/stop?token={served.token}"
        assert served.get("/stop", "POST").status == 403
        assert served.get(path, "POST", Origin="https://evil.example").status == 403
        assert served.get(path, "POST", Origin="http://127.0.0.1:1").status == 403
        assert served.get(path, "POST", b"x").status == 413
        assert served.get(path, "PUT").status == 405
        assert served.get(path).status == 405
        assert served.get(f"/state?token={served.token}", "POST").status == 405
        own = f"http://{served.host}:{served.port}"
        assert served.get(path, "POST", Origin=own).status == 202
        served.process.terminate()
        assert served.process.communicate(timeout=WAIT)[0] == "stop\n"
    with shown(tmp_path, session) as (_, served):
        assert not served.state()["stops"]
        assert served.get(f"/stop?token={served.token}", "POST").status == 405


def test_a_page_that_starts_late_knows_how_the_session_began(tmp_path: Path) -> None:
    events = list(conversation(4))
    started = replace(events[0], kept=["sound", "events"])
    with Station(f"ipc://{tmp_path / 'events'}", started.session) as station:
        station.send([started, *events[1:9]])
        with page(station.endpoint) as served, served.watch() as viewer:
            first = lines(viewer, 1)[0]
            assert first["type"] == "session.started"
            assert first["kept"] == ["sound", "events"]
            station.send(events[9:])
            assert lines(viewer, 1)[0]["seq"] == 9
            assert served.state()["missed"] == 0


def test_a_viewer_that_does_not_read_stops_nobody_and_costs_no_memory(tmp_path: Path) -> None:
    """60 MB of events, of which the gateway keeps at most 32."""
    count = 30_000
    with shown(tmp_path, "s") as (station, served):
        process = psutil.Process(served.process.pid)
        station.send([gap(0)])
        before = process.memory_info().rss
        with socket.create_connection((served.host, served.port)) as stuck:
            # It gets all events and reads none of them.
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            request = (
                f"GET /events?token={served.token} HTTP/1.1\r\n"
                f"Host: {served.host}:{served.port}\r\n"
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
            stuck.sendall(request.encode())
            wait_for(lambda: served.state()["viewers"] == 1)
            with served.watch("seq=1", max_queue=None) as viewer:
                for first in range(1, count, 100):
                    station.send(map(gap, range(first, first + 100)))
                    assert lines(viewer, 100)[-1]["time"] == first + 99
            assert served.state()["viewers"] == 1
        grown = process.memory_info().rss - before
        assert served.state()["events"] == count + 1
        assert grown < 55e6
        wait_for(lambda: served.state()["viewers"] == 0)


def test_faces_come_only_to_viewers_that_ask_and_are_not_kept(tmp_path: Path) -> None:
    events = list(conversation(1))
    faces = schema.FaceEvent(schema=schema.SCHEMA, session="s", seq=0, time=1.0, faces=[])
    with shown(tmp_path, events[0].session) as (station, served):
        with served.watch("faces=on") as asking, served.watch() as plain:
            wait_for(lambda: served.state()["viewers"] == 2)
            station.send([faces])
            assert lines(asking, 1)[0]["type"] == "face"
            station.send(events)
            assert [event["type"] for event in lines(plain, len(events))] == [
                event.type for event in events
            ]
        with served.watch("faces=on") as late:
            assert [event["type"] for event in lines(late, len(events))] == [
                event.type for event in events
            ]
        assert served.state()["events"] == len(events)
        assert served.state()["missed"] == 0


def test_who_holds_all_connections_open_keeps_nobody_out_for_long(tmp_path: Path) -> None:
    with shown(tmp_path, "s") as (_, served), ExitStack() as held:
        for number in range(256):
            idle = held.enter_context(socket.create_connection((served.host, served.port)))
            idle.sendall(b"GET / HTTP/1.1\r\nX: " if number % 2 else b"")
        path = f"/state?token={served.token}"
        wait_for(lambda: served.get(path).status == 503)
        wait_for(lambda: served.get(path).status == 200)


def test_a_session_that_goes_and_comes_back_is_waited_for(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path / 'events'}"
    first, second = list(conversation(1, seed=1)), list(conversation(1, seed=2))
    with page(endpoint, "--wait") as served, served.watch() as viewer:
        with Station(endpoint, first[0].session) as station:
            wait_for(lambda: served.state()["connected"])
            station.send(first)
            lines(viewer, len(first))
        wait_for(lambda: not served.state()["connected"])
        with Station(endpoint, second[0].session) as station:
            wait_for(lambda: served.state()["connected"])
            time.sleep(0.2)  # its subscription has to arrive, too
            station.send(second)
            got = lines(viewer, len(second))
    assert {event["session"] for event in got} == {second[0].session}


def test_it_waits_for_a_session_if_it_is_told_to(tmp_path: Path) -> None:
    events = list(conversation(2))
    with page(f"ipc://{tmp_path / 'events'}", "--wait") as served:
        assert not served.state()["connected"]
        with Station(f"ipc://{tmp_path / 'events'}", events[0].session) as station:
            wait_for(lambda: served.state()["connected"])
            station.send(events)
            with served.watch() as viewer:
                assert len(lines(viewer, len(events))) == len(events)


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_once_and_tells_its_viewers(tmp_path: Path, signal_: signal.Signals) -> None:
    with shown(tmp_path, "s") as (_, served), served.watch() as viewer:
        served.process.send_signal(signal_)
        assert served.process.wait(timeout=20) == 128 + signal_
        with pytest.raises(Exception, match="1012"):
            viewer.recv(timeout=20)
        assert served.process.stderr is not None
        name = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}[signal_]
        assert served.process.stderr.read() == f"stopped by {name}\n"


def refused(*words: object) -> str:
    """The error line of a request that is refused."""
    done = run("gscon_live", "page", *words)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_where_there_is_no_session_the_error_says_so(tmp_path: Path) -> None:
    error = refused(f"ipc://{tmp_path / 'events'}", "--port", 0)
    assert "no publisher answered" in error
    assert "--wait" in error


def test_what_cannot_be_served_is_refused_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        assert f"port {port}: Address already in use" in refused("--port", port)
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        assert "needs TLS; give --certificate" in refused("--host", host)
    assert "both --certificate and --key" in refused("--certificate", "a.pem")
    assert "cannot be used for TLS" in refused("--certificate", "a.pem", "--key", "a.pem")
    assert "endpoint 'nonsense'" in refused("nonsense", "--port", 0)
    (tmp_path / "token").write_text("short\n")
    assert "at least 22" in refused("--token-file", tmp_path / "token")
    (tmp_path / "token").write_bytes(b"\xff" * 30)
    for path in ("token", "no folder/token", "."):
        assert "--token-file" in refused("--token-file", tmp_path / path)
    assert "--port" in refused("--port", 70_000)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `cert.pem` for 127.0.0.1 and its `key.pem`."""
    folder = tmp_path_factory.mktemp("tls")
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-days", "2",
             "-subj", "/CN=gscon", "-addext", "subjectAltName=IP:127.0.0.1"],
            check=True, capture_output=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("openssl is not installed, which makes the certificate")
    return folder


def test_beyond_this_machine_it_speaks_tls_and_still_wants_the_token(
    tmp_path: Path, certificate: Path
) -> None:
    files = ("--certificate", certificate / "cert.pem", "--key", certificate / "key.pem")
    assert "give --name" in refused("--host", "0.0.0.0", *files)
    events = list(conversation(2))
    trusted = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    with (
        Station(f"ipc://{tmp_path / 'events'}", events[0].session) as station,
        page(station.endpoint, "--host", "0.0.0.0", "--name", "127.0.0.1", *files) as served,
    ):
        assert served.address.startswith("https://127.0.0.1:")
        station.send(events)

        def get(path: str, **headers: str) -> http.client.HTTPResponse:
            connection = http.client.HTTPSConnection(
                served.host, served.port, timeout=20, context=trusted
            )
            connection.request("GET", path, headers=headers)
            return connection.getresponse()

        answer = get(f"/?token={served.token}")
        assert answer.status == 200
        assert answer.headers["set-cookie"].endswith("; Secure")
        assert f"wss://127.0.0.1:{served.port}" in answer.headers["content-security-policy"]
        assert get("/").status == 403
        assert get(f"/?token={served.token}", Host=f"localhost:{served.port}").status == 421
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            served.get(f"/?token={served.token}")


def test_a_token_of_ones_own_stays_the_same(tmp_path: Path) -> None:
    file = tmp_path / "token"
    tokens = []
    with Station(f"ipc://{tmp_path / 'events'}", "s") as station:
        for _ in range(2):
            with page(station.endpoint, "--token-file", file) as served:
                assert served.get(f"/overlay?token={served.token}").status == 200
                tokens.append(served.token)
    assert tokens == [file.read_text().strip()] * 2
    assert file.stat().st_mode & 0o777 == 0o600


def told(process: "subprocess.Popen[str]", beginning: str) -> str:
    """The next line on standard error with this beginning; gives the rest of it."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(beginning):
            return line.removeprefix(beginning).strip()
    raise AssertionError(f"no line begins with {beginning}")


def replayed(
    recording: Path, events: Path, *words: object, **options: Any
) -> "subprocess.Popen[str]":
    return start("gscon_live", "replay", recording, "--events", events, "--page", "page.port=0",
                 *words, **options)  # fmt: skip


def test_a_replay_stays_on_the_page_until_ctrl_c(four_utterances: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    process = replayed(four_utterances, out)
    with Family(process.pid) as family:
        address = told(process, "page: ")
        assert address.startswith("http://127.0.0.1:")
        told(process, "the page stays until Ctrl-C")
        with connect(address.replace("http:", "ws:").replace("/?", "/events?")) as viewer:
            seen = [viewer.recv(timeout=40) for _ in read(out)]
        family.look()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        process.communicate(timeout=WAIT)
    assert family.left() == []
    assert process.returncode == 0
    assert "".join(f"{line}\n" for line in seen) == out.read_text(encoding="utf-8")


def test_preview_opens_the_page_once_in_the_users_browser(
    four_utterances: Path, tmp_path: Path
) -> None:
    """The address that everybody can read from the list of processes works once, for the page."""
    given = tmp_path / "addresses"
    process = replayed(
        four_utterances, tmp_path / "out.jsonl", "--preview", environment=opens_into(given)
    )
    with Family(process.pid) as family:
        served = Page(process, told(process, "page: "))
        opened = urlsplit(wait_for(lambda: given.exists() and given.read_text()).strip())
        assert opened.netloc == f"{served.host}:{served.port}"
        assert served.token not in opened.query
        for path in ("/state", "/overlay", "/static/page.js"):
            assert served.get(f"{path}?{opened.query}").status == 403
        page = served.get(f"/?{opened.query}")
        assert page.status == 200
        cookie = page.headers["set-cookie"].split(";")[0]
        assert served.get("/state", Cookie=cookie).status == 200
        assert served.get(f"/?{opened.query}").status == 403
        told(process, "the page stays until Ctrl-C")
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=WAIT)
    assert process.returncode == 0
    assert family.left() == []
    assert given.read_text().count("ticket=") == 1


def test_a_page_that_opens_no_browser_says_so_and_goes_on(tmp_path: Path) -> None:
    events = list(conversation(2))
    with (
        Station(f"ipc://{tmp_path / 'events'}", events[0].session) as station,
        page(station.endpoint, "--open", environment=NO_BROWSER) as served,
    ):
        assert served.state()["connected"]
        served.process.terminate()
        assert served.process.communicate(timeout=WAIT)[1].splitlines()[0] == own_browser.NONE


def test_a_replay_goes_on_if_the_page_is_killed(four_utterances: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    process = replayed(four_utterances, out)
    with Family(process.pid) as family:
        told(process, "page: ")
        (served,) = (child for child in family.look() if "page" in child.cmdline())
        served.kill()
        told(process, "the page has ended")
        errors = process.communicate(timeout=WAIT)[1]
    assert process.returncode == 0, errors
    assert family.left() == []
    events = read(out)
    assert len(utterances(events)) == 4
    assert of(schema.Gap, events) == []


def test_a_page_that_cannot_be_served_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = f"page.port={busy.getsockname()[1]}"
        for words in (("replay", tmp_path / "nothing.mkv"), ("live", "--camera", "off")):
            done = run("gscon_live", *words, "--page", port)
            assert done.returncode == 2
            assert done.stderr.count("\n") == 1
            assert "choose another with page.port=N" in done.stderr


def test_what_a_killed_session_leaves_behind_ends_too(
    four_utterances: Path, tmp_path: Path
) -> None:
    process = replayed(four_utterances, tmp_path / "out.jsonl", "--speed", "1")
    with Family(process.pid) as family:
        told(process, "page: ")
        family.look()
        process.kill()
        process.communicate(timeout=30)
    assert family.left(20.0) == []


def example(language: str, folder: Path) -> Path:
    """The program that the documentation shows, as a file."""
    page_ = (ROOT / "docs/page.md").read_text(encoding="utf-8")
    code = page_.partition(f"```{language}\n")[2].partition("```")[0]
    path = folder / ("example.py" if language == "python" else "example.mjs")
    path.write_text(code, encoding="utf-8")
    return path


@pytest.mark.parametrize("language", ["python", "js"])
def test_the_documented_programs_read_the_events(language: str, tmp_path: Path) -> None:
    command = [sys.executable]
    if language == "js":
        node = shutil.which("node")
        if node is None:
            pytest.skip("Node is not installed")
        command = [node, "--experimental-websocket"]  # without the option from Node 22 on
    events = list(conversation(3))
    with shown(tmp_path, events[0].session) as (station, served):
        station.send(events)
        done = subprocess.run(
            [*command, example(language, tmp_path), served.address],
            capture_output=True, text=True, check=False, timeout=WAIT,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{event.utterance.text} {event.emotion.label}" for event in utterances(events)
    ]
