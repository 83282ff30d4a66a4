"""The gateway lets nobody in without the token, from another site, or with too much."""

import base64
import http.client
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from gateways import Page, Station, lines, shown
from made_events import conversation
from sessions import wait_for
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gscon_live.realtime.gateway.admission import Rates

EVENTS = list(conversation(3))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with shown(tmp_path_factory.mktemp("admission"), EVENTS[0].session) as (station, page):
        station.send(EVENTS)
        wait_for(lambda: page.state()["events"] == len(EVENTS))
        yield page


def refused(page: Page, reason: str) -> int:
    count: int = page.state()["refused"].get(reason, 0)
    return count


def handshake(page: Page, path: str, **headers: str) -> int:
    """The status with which the gateway answers a WebSocket's first request."""
    connection = http.client.HTTPConnection(page.host, page.port, timeout=20)
    connection.putrequest("GET", path, skip_host=True)
    given = {
        "Host": f"{page.host}:{page.port}",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        **headers,
    }
    for name, value in given.items():
        connection.putheader(name, value)
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("path", ["/", "/overlay", "/state", "/static/page.js", "/events", "/x"])
def test_without_the_token_there_is_nothing(served: Page, path: str) -> None:
    before = refused(served, "token")
    wrong = served.token[:-1] + ("a" if served.token[-1] != "a" else "b")
    for query in ("", "?token=", f"?token={wrong}", "?token=%ff%00"):
        answer = served.get(path + query)
        assert answer.status == 403
        assert served.token not in answer.read().decode()
        assert "set-cookie" not in answer.headers
    assert handshake(served, path) == 403
    assert served.get(path, Cookie=f"gscon-page-{served.port}={wrong}").status == 403
    assert served.get(path, Authorization=f"Bearer {wrong}").status == 403
    assert refused(served, "token") == before + 7


def test_the_token_is_taken_from_address_cookie_or_header(served: Page) -> None:
    page = served.get(f"/?token={served.token}")
    assert page.status == 200
    cookie = page.headers["set-cookie"]
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Strict")
    assert served.get("/state", Cookie=cookie.split(";")[0]).status == 200
    assert served.get("/state", Authorization=f"Bearer {served.token}").status == 200
    assert handshake(served, "/events", Cookie=cookie.split(";")[0]) == 101


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil", ""])
def test_a_foreign_host_is_refused_and_counted(served: Page, host: str) -> None:
    """As a page of another site would send it, whose name leads to this machine."""
    before = refused(served, "host")
    assert served.get(f"/?token={served.token}", Host=host).status == 421
    assert handshake(served, f"/events?token={served.token}", Host=host) == 421
    assert refused(served, "host") == before + 2


def test_the_machine_has_several_names(served: Page) -> None:
    for host in (f"127.0.0.1:{served.port}", f"LOCALHOST:{served.port}", f"[::1]:{served.port}"):
        assert served.get(f"/state?token={served.token}", Host=host).status == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "file://"]
)
def test_a_foreign_origin_is_refused_and_counted(served: Page, origin: str) -> None:
    before = refused(served, "origin")
    assert handshake(served, f"/events?token={served.token}", Origin=origin) == 403
    assert served.get(f"/state?token={served.token}", Origin=origin).status == 403
    assert refused(served, "origin") == before + 2


def test_its_own_page_may_read_the_events(served: Page) -> None:
    origin = f"http://127.0.0.1:{served.port}"
    assert handshake(served, f"/events?token={served.token}", Origin=origin) == 101


def test_nothing_can_be_sent_to_it(served: Page) -> None:
    path = f"/state?token={served.token}"
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        assert served.get(path, method).status == 405
    assert served.get(path, body=b"x").status == 413
    assert served.get(path, Transfer_Encoding="chunked").status == 413
    assert served.get(f"{path}&x={'x' * 3000}").status == 414
    assert served.get(path, X="x" * 20_000).status == 431
    assert served.get(path, X="x" * 200_000).status == 400
    counts = served.state()["refused"]
    assert counts["method"] >= 5
    assert counts["size"] >= 4


@pytest.mark.parametrize(
    ("message", "reason", "code"),
    [
        ("{", "message", 1008),
        ('{"type": "utterance"}', "message", 1008),
        (b"\xff\x00", "message", 1008),
        ("x" * 5_000, "size", 1009),
        (b"x" * 3_000_000, "size", 1009),
    ],
    ids=["malformed", "an event", "bytes", "long", "huge"],
)
def test_a_viewer_that_says_anything_is_closed_and_counted(
    served: Page, message: str | bytes, reason: str, code: int
) -> None:
    before = refused(served, reason)
    with served.watch() as other, served.watch() as viewer:
        with suppress(ConnectionClosed):
            viewer.send(message)
            while True:
                viewer.recv(timeout=20)
        # Who is still sending a huge message may not come to read why it was closed.
        assert viewer.close_code == code or (len(message) > 1e6 and viewer.close_code == 1006)
        assert [event["seq"] for event in lines(other, 3)] == [0, 1, 2]
    wait_for(lambda: refused(served, reason) == before + 1)


def test_a_number_that_is_none_is_refused(served: Page) -> None:
    for query in ("seq=-1", "seq=x", "seq=", "seq=1e3", "seq=99999999999999999999", "seq=٣"):
        with pytest.raises(InvalidStatus) as error, served.watch(query):
            pass
        assert error.value.response.status_code == 400


def test_every_answer_forbids_what_the_page_does_not_need(served: Page) -> None:
    for path in (f"/?token={served.token}", f"/nothing?token={served.token}", "/"):
        headers = served.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


def test_files_are_served_from_one_list(served: Page) -> None:
    for name in ("..%2fpage.py", "%2e%2e/server.py", "__init__.py", "page.html%00", "/etc/passwd"):
        assert served.get(f"/static/{name}?token={served.token}").status == 404


def test_viewers_are_limited_and_make_room_when_they_go(served: Page) -> None:
    with ExitStack() as viewers:
        for _ in range(32):
            viewers.enter_context(served.watch())
        with pytest.raises(InvalidStatus) as error, served.watch():
            pass
        assert error.value.response.status_code == 503
        assert refused(served, "viewers") == 1
    wait_for(lambda: served.state()["viewers"] == 0)
    with served.watch() as viewer:
        assert lines(viewer, 1)[0]["type"] == "session.started"


def test_strangers_cannot_use_up_what_viewers_may_ask_for() -> None:
    now = 0.0
    rates = Rates(lambda: now)
    allowed = sum(rates.allow("127.0.0.1", False) for _ in range(1000))
    assert allowed == 100
    assert all(rates.allow("127.0.0.1", True) for _ in range(200))
    assert not rates.allow("127.0.0.1", True)
    assert rates.allow("10.0.0.1", False)
    now = 1.0
    assert sum(rates.allow("127.0.0.1", False) for _ in range(1000)) == 10
    for number in range(10_000):
        rates.allow(f"10.0.{number // 256}.{number % 256}", False)
    assert len(rates._buckets) <= 256


def test_too_many_requests_are_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    with shown(tmp_path_factory.mktemp("rates"), "s") as (station, page):
        assert isinstance(station, Station)
        answers = [page.get("/").status for _ in range(300)]
        assert set(answers) == {403, 429}
        assert answers.index(429) >= 100
        state = json.load(page.get(f"/state?token={page.token}"))
        assert state["refused"]["rate"] == answers.count(429)
