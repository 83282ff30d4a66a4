"""The pictures of the session's own camera, for viewers: the newest one, and none is kept."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator

from gscon_live.realtime.pipeline.visitor import PICTURE_QUEUE, Inlet, Picture

#: Seconds between two looks for a picture.
_INTERVAL = 0.02


class CameraFeed:
    """Takes pictures as long as somebody looks; so nobody has to encode them otherwise.

    Args:
        endpoint: where they come; None: the session has no camera of its own, or does not show it.
    """

    def __init__(self, endpoint: str | None) -> None:
        self._endpoint = endpoint
        self._viewers = 0
        self._inlet: Inlet | None = None
        self._newest: tuple[int, bytes] = (0, b"")

    @property
    def shows(self) -> bool:
        """Whether there are pictures to look at."""
        return self._endpoint is not None

    async def pictures(self) -> AsyncGenerator[bytes, None]:
        """The pictures as they come, as JPEG; a slow viewer gets fewer."""
        with self._looking() as inlet:
            seen = self._newest[0]
            while True:
                for given in inlet.receive(0.0):
                    if isinstance(given, Picture):
                        self._newest = self._newest[0] + 1, given.jpeg
                number, jpeg = self._newest
                if number == seen:
                    await asyncio.sleep(_INTERVAL)
                else:
                    seen = number
                    yield jpeg

    @contextlib.contextmanager
    def _looking(self) -> Iterator[Inlet]:
        """Opens the connection for the first viewer, and closes it after the last one."""
        assert self._endpoint is not None
        if self._inlet is None:
            self._inlet = Inlet(self._endpoint, PICTURE_QUEUE)
        self._viewers += 1
        try:
            yield self._inlet
        finally:
            self._viewers -= 1
            if not self._viewers:
                self._inlet.close()
                self._inlet = None
