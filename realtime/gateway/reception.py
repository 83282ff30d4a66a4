"""Receives visitors, at `/session`: one at a time gives its sound and pictures."""

import contextlib

from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from gscon_live.realtime.gateway.admission import Refusals
from gscon_live.realtime.gateway.close_codes import MALFORMED, NOT_ALLOWED, REPLACED, TOO_BIG
from gscon_live.realtime.gateway.losses import Losses
from gscon_live.realtime.gateway.visit import Refused, Visit
from gscon_live.realtime.pipeline.visitor import PICTURE_QUEUE, SOUND_QUEUE, Outlet, Visitor


class Reception:
    """Lets visitors in. The newest one gives; the one before is asked to leave.

    Args:
        wanted: where sound and pictures go; None: the session has its own devices.
        refusals: counts what was refused.
    """

    def __init__(self, wanted: Visitor | None, refusals: Refusals) -> None:
        self._wanted = wanted or Visitor()
        self._refusals = refusals
        self._sound = _outlet(self._wanted.sound, SOUND_QUEUE)
        self._pictures = _outlet(self._wanted.pictures, PICTURE_QUEUE)
        self._losses = (Losses(), Losses())
        self._count = 0
        self._present: WebSocket | None = None

    @property
    def state(self) -> dict[str, object]:
        """What is wanted of visitors, and whether there is one."""
        return {"wants": self._wanted.wants, "giving": self._present is not None}

    async def receive(self, connection: WebSocket) -> None:
        """Takes what a visitor gives until it leaves."""
        if not self._wanted.wants:
            words = "this session has devices of its own; see gscon-live live --microphone browser"
            await connection.send_denial_response(PlainTextResponse(f"{words}\n", 409))
            return
        await connection.accept()
        self._count += 1
        visit = Visit(self._count, self._sound, self._pictures, self._losses, self._refusals.add)
        try:
            await self._take(connection, visit)
        except Refused as refused:
            self._refusals.add(refused.reason)
            code = TOO_BIG if refused.reason == "size" else NOT_ALLOWED
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await connection.close(code, str(refused))
        except (WebSocketDisconnect, RuntimeError):
            pass  # it has gone while it was answered
        finally:
            visit.end()
            if self._present is connection:
                self._present = None

    async def _take(self, connection: WebSocket, visit: Visit) -> None:
        started = False
        while not started or self._present is connection:
            message = await connection.receive()
            if message["type"] == "websocket.disconnect":
                self._count_end(message.get("code"))
                return
            content = message.get("text")
            if visit.take(message["bytes"] if content is None else content):
                started = True
                await self._replace(connection)
                wanted = self._wanted
                size = {"width": wanted.width, "height": wanted.height, "rate": wanted.rate}
                await connection.send_json(
                    {"type": "ready", "wants": wanted.wants, "pictures": size}
                )

    async def _replace(self, connection: WebSocket) -> None:
        before, self._present = self._present, connection
        if before is not None:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await before.close(REPLACED, "another visitor gives now")

    def _count_end(self, code: int | None) -> None:
        if code == TOO_BIG:
            self._refusals.add("size")
        elif code in MALFORMED:
            self._refusals.add("message")

    def close(self) -> None:
        """Closes the connections to the session."""
        for outlet in (self._sound, self._pictures):
            if outlet is not None:
                outlet.close()


def _outlet(endpoint: str | None, queue: int) -> Outlet | None:
    return None if endpoint is None else Outlet(endpoint, queue)
