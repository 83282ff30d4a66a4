"""What the gateway serves: the page, the overlay, the events, its own state; and what it takes."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from gscon_live.realtime import display
from gscon_live.realtime.gateway import download
from gscon_live.realtime.gateway.admission import Admission, Door, Refusals
from gscon_live.realtime.gateway.camera_feed import CameraFeed
from gscon_live.realtime.gateway.close_codes import MALFORMED, NOT_ALLOWED, TOO_BIG
from gscon_live.realtime.gateway.event_feed import EventFeed
from gscon_live.realtime.gateway.reception import Reception
from gscon_live.realtime.pipeline.visitor import Visitor

#: Number of viewers at the same time, and of events that are sent before others get their turn.
MOST_VIEWERS, _TURN = 32, 64
#: Longest message that a viewer may send, in bytes.
_MOST_SAID = 4096

_STATIC = Path(__file__).parent / "static"
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


class Gateway:
    """The application.

    Args:
        feed: the events.
        door: what a request must have.
        visitor: where the sound and pictures of visitors go; None: none are wanted.
        stop: called when a viewer ends the session; None: viewers may not.
    """

    def __init__(
        self,
        feed: EventFeed,
        door: Door,
        visitor: Visitor | None = None,
        stop: Callable[[], None] | None = None,
    ) -> None:
        self._feed = feed
        self._stop = stop
        self._saved: str | None = None
        self._downloading = threading.Lock()
        self._viewers = 0
        self._refusals = Refusals()
        self.reception = Reception(visitor, self._refusals)
        self._camera = CameraFeed(visitor.camera if visitor is not None else None)
        files = {path.name: path for path in _STATIC.iterdir() if path.suffix in _TYPES}
        files["common.css"] = Path(display.__file__).parent / "common.css"
        self._files = {name: path.read_bytes() for name, path in files.items()}
        routes = [
            Route("/", lambda request: self._file("page.html")),
            Route("/overlay", lambda request: self._file("overlay.html")),
            Route("/state", self._state),
            Route("/download", self._download),
            Route("/stop", self._end, methods=["POST"]),
            Route("/static/{name}", lambda request: self._file(request.path_params["name"])),
            WebSocketRoute("/events", self._events),
            WebSocketRoute("/session", self.reception.receive),
            WebSocketRoute("/camera", self._pictures),
        ]
        self.app: ASGIApp = Admission(
            Starlette(routes=routes),
            door,
            self._refusals,
            devices=visitor is not None and bool(visitor.wants),
            posts=() if stop is None else ("/stop",),
        )

    def _file(self, name: str) -> Response:
        content = self._files.get(name)
        if content is None:
            return PlainTextResponse("there is no such file\n", 404)
        return Response(content, media_type=_TYPES[Path(name).suffix])

    def _state(self, request: Request) -> Response:
        """The gateway's own state, as JSON."""
        return JSONResponse(
            {
                "connected": self._feed.connected,
                "events": self._feed.ring.end,
                "missed": self._feed.missed,
                "viewers": self._viewers,
                "refused": dict(self._refusals.counts),
                "missing": self._feed.ring.newest().missing,
                "saved": self._saved,
                "shows": self._camera.shows,
                "stops": self._stop is not None,
                **self.reception.state,
            }
        )

    def _download(self, request: Request) -> Response:
        """The newest session as a file, as far as its events are still there."""
        ending = request.query_params.get("format", "jsonl")
        if ending not in download.FORMATS:
            self._refusals.add("message")
            return PlainTextResponse(f"format: expected {', '.join(download.FORMATS)}\n", 400)
        session, lines, _ = self._feed.ring.newest()
        if session is None:
            return PlainTextResponse("no session has been seen yet\n", 404)
        self._saved = session  # before the first byte leaves
        with self._downloading:  # each takes as much memory as the ring
            content = download.content(lines, ending)
        name = download.file_name(session, ending)
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(content, media_type=download.FORMATS[ending], headers=headers)

    def _end(self, request: Request) -> Response:
        """Asks the session to end."""
        assert self._stop is not None
        self._stop()
        return Response(status_code=202)

    async def _events(self, viewer: WebSocket) -> None:
        """Sends the events from `seq` of `session` on, one a message; with `faces=on` also those of
        faces, as they come."""
        seq = viewer.query_params.get("seq")
        if seq is not None and not (seq.isascii() and seq.isdecimal() and len(seq) < 16):
            self._refusals.add("message")
            await viewer.send_denial_response(PlainTextResponse("seq: expected a number\n", 400))
            return
        session = viewer.query_params.get("session")
        start = self._feed.ring.position(session, None if seq is None else int(seq))
        faces = viewer.query_params.get("faces") == "on"
        await self._serve(viewer, self._send(viewer, start, faces))

    async def _pictures(self, viewer: WebSocket) -> None:
        """Sends the pictures of the session's own camera, one JPEG a message."""
        if not self._camera.shows:
            words = "this session shows no pictures of its own\n"
            await viewer.send_denial_response(PlainTextResponse(words, 409))
            return
        await self._serve(viewer, self._send_pictures(viewer))

    async def _serve(self, viewer: WebSocket, sends: Coroutine[None, None, None]) -> None:
        """Sends to a viewer until it goes."""
        if self._viewers >= MOST_VIEWERS:
            sends.close()
            self._refusals.add("viewers")
            await viewer.send_denial_response(PlainTextResponse("too many viewers\n", 503))
            return
        with self._counted():
            await viewer.accept()
            sending = asyncio.create_task(sends)
            listening = asyncio.create_task(self._listen(viewer))
            try:
                await asyncio.wait({sending, listening}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (sending, listening):
                    task.cancel()
                await asyncio.gather(sending, listening, return_exceptions=True)

    async def _send(self, viewer: WebSocket, position: int, faces: bool) -> None:
        seen = self._feed.faces[0]
        # A viewer that has gone; its other task sees that, too.
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while True:
                changed = self._feed.changed()
                lines, position = self._feed.ring.read(position, _TURN)
                for line in lines:
                    await viewer.send_text(line)
                number, newest = self._feed.faces
                if faces and number != seen and not lines:
                    seen = number
                    await viewer.send_text(newest)
                if lines:
                    await asyncio.sleep(0)
                else:
                    await changed.wait()

    async def _send_pictures(self, viewer: WebSocket) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            async with contextlib.aclosing(self._camera.pictures()) as pictures:
                async for picture in pictures:
                    await viewer.send_bytes(picture)

    async def _listen(self, viewer: WebSocket) -> None:
        """Waits for the end of the connection. Viewers have nothing to say: the first message ends
        it."""
        message = await viewer.receive()
        if message["type"] == "websocket.receive":
            content = message.get("bytes") or (message.get("text") or "").encode()
            code, words = NOT_ALLOWED, "this address only sends"
            if len(content) > _MOST_SAID:
                code, words = TOO_BIG, "the message is too long"
            self._refusals.add("size" if code == TOO_BIG else "message")
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await viewer.close(code, words)
        elif message.get("code") == TOO_BIG:
            self._refusals.add("size")
        elif message.get("code") in MALFORMED:
            self._refusals.add("message")

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        self._viewers += 1
        try:
            yield
        finally:
            self._viewers -= 1
