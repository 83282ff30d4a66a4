"""Runs the gateway until it is told to end."""

import asyncio
import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from gscon_live.realtime.gateway.address import Listening
from gscon_live.realtime.gateway.application import MOST_VIEWERS, Gateway
from gscon_live.realtime.gateway.event_feed import EventFeed
from gscon_live.realtime.gateway.visit import MOST_MESSAGE
from gscon_live.realtime.pipeline.visitor import Visitor

#: Longest head of a request in bytes.
_MOST_HEAD = 16_384
#: Connections at the same time: a viewer has one, and a browser that loads the page up to six more.
#: Beyond them, the answer is 503 and the page lacks a part.
_MOST_CONNECTIONS = 8 * MOST_VIEWERS
#: Seconds that viewers have to close their connections, and that the last events have to arrive.
_PATIENCE, _LAST_EVENTS = 1, 0.5
#: Seconds after which a connection without a whole request is closed: who holds all connections
#: open would keep the viewers out.
_MOST_IDLE = 10.0


class _Server(uvicorn.Server):
    """A server that leaves the signals alone if another process ends it."""

    def __init__(self, config: uvicorn.Config, *, beside: bool) -> None:
        super().__init__(config)
        self._beside = beside

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if self._beside:
            yield
            return
        with super().capture_signals():
            yield


def serve(
    feed: EventFeed,
    listening: Listening,
    *,
    beside: bool,
    visitor: Visitor | None = None,
    stop: Callable[[], None] | None = None,
) -> None:
    """Serves until Ctrl-C; beside a session, until standard input is closed. `visitor` says where
    the sound and pictures of visitors go; `stop` ends the session, where viewers may.

    Raises:
        InputError: the publisher refuses the keys.
    """
    gateway = Gateway(feed, listening.door, visitor, stop)
    config = uvicorn.Config(
        gateway.app,
        access_log=False,  # it would hold the token
        log_config=None,
        log_level="critical",
        http="h11",
        ws="websockets-sansio",
        loop="asyncio",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        ws_max_size=MOST_MESSAGE,
        ws_per_message_deflate=False,
        h11_max_incomplete_event_size=_MOST_HEAD,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_PATIENCE,
    )
    if listening.tls is not None:
        config.load()
        config.ssl = listening.tls
    server = _Server(config, beside=beside)
    if beside:
        # Ctrl-C goes to all processes of a terminal. The session ends first, and its last event
        # still has to reach the viewers.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_end_with_input, args=[server], daemon=True).start()
    try:
        asyncio.run(_run(server, feed, listening))
    finally:
        gateway.reception.close()
        feed.stop()
    if feed.error is not None:
        raise feed.error


async def _run(server: uvicorn.Server, feed: EventFeed, listening: Listening) -> None:
    feed.start(asyncio.get_running_loop())
    tasks = [
        asyncio.create_task(_end_with_feed(server, feed)),
        asyncio.create_task(_close_idle(server)),
    ]
    await server.serve([listening.socket])
    for task in tasks:
        task.cancel()


async def _end_with_feed(server: uvicorn.Server, feed: EventFeed) -> None:
    while feed.error is None:
        await feed.changed().wait()
    server.should_exit = True


async def _close_idle(server: uvicorn.Server) -> None:
    """Closes connections that send no whole request. Those of WebSockets have pings instead."""
    since: dict[H11Protocol, tuple[object, float]] = {}
    while True:
        await asyncio.sleep(_MOST_IDLE / 4)
        now = time.monotonic()
        before, since = since, {}
        for connection in list(server.server_state.connections):
            if not isinstance(connection, H11Protocol):
                continue
            request = connection.cycle
            if request is not None and not request.response_complete:
                continue
            last, begin = before.get(connection, (request, now))
            since[connection] = (request, begin if last is request else now)
            if now - since[connection][1] > _MOST_IDLE:
                connection.transport.close()


def _end_with_input(server: uvicorn.Server) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    threading.Event().wait(_LAST_EVENTS)
    server.should_exit = True
