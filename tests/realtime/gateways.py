"""A publisher for tests, and the page beside it as a user starts it."""

import http.client
import json
import queue
import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sessions import start, wait_for
from websockets.sync.client import ClientConnection, connect

from gscon_live.realtime.events import schema
from gscon_live.realtime.session.publisher import Publisher


class Station:
    """Publishes events on an address, from a thread of its own, as a session does."""

    def __init__(self, endpoint: str, session: str) -> None:
        self.endpoint = endpoint
        self._session = session
        self._events: queue.Queue[schema.AnyEvent] = queue.Queue()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def send(self, events: Iterable[schema.AnyEvent]) -> None:
        """Publishes events; returns when they are on their way."""
        for event in events:
            self._events.put(event)
        self._events.join()

    def _run(self) -> None:
        with Publisher(self.endpoint, self._session) as publisher:
            while not self._ended.is_set():
                publisher.serve()
                try:
                    event = self._events.get(timeout=0.01)
                except queue.Empty:
                    continue
                publisher.publish(event)
                self._events.task_done()

    def __enter__(self) -> "Station":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()


class Page:
    """The running page, and requests to it."""

    def __init__(self, process: "subprocess.Popen[str]", address: str) -> None:
        self.process = process
        self.address = address
        parts = urlsplit(address)
        assert parts.hostname is not None
        assert parts.port is not None
        self.host, self.port = parts.hostname, parts.port
        self.token = parse_qs(parts.query)["token"][0]

    def get(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> http.client.HTTPResponse:
        """The answer to a request without a token, unless one is given."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        own = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, own)
        return connection.getresponse()

    def state(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.load(self.get(f"/state?token={self.token}"))
        return answer

    def watch(self, query: str = "", **options: Any) -> ClientConnection:
        """A viewer of the events."""
        uri = f"ws://{self.host}:{self.port}/events?token={self.token}&{query}"
        return connect(uri, proxy=None, **options)


@contextmanager
def page(endpoint: str, *words: object, **options: Any) -> Iterator[Page]:
    """The page of a publisher, on a free port."""
    process = start("gscon_live", "page", endpoint, "--port", 0, *words, **options)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, process.communicate()[1]
        yield Page(process, address)
    finally:
        process.terminate()
        process.communicate(timeout=30)


@contextmanager
def shown(folder: Path, session: str, *words: object) -> Iterator[tuple[Station, Page]]:
    """A publisher with its page, both ready."""
    with (
        Station(f"ipc://{folder / 'events'}", session) as station,
        page(station.endpoint, *words) as served,
    ):
        wait_for(lambda: served.state()["connected"])
        yield station, served


def lines(viewer: ClientConnection, count: int) -> list[dict[str, Any]]:
    """The next events that a viewer gets."""
    return [json.loads(viewer.recv(timeout=40)) for _ in range(count)]
