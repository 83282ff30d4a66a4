"""The pictures of the session's own camera for the page, as JPEG."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.stage import Gauges, Incoming, Stage
from gscon_live.realtime.pipeline.visitor import Picture

_QUALITY = 80


class PagePictures(Stage):
    """Stage: gives frames to the page; it costs nothing while nobody looks.

    Args:
        awaited: whether the page would take a picture now.
        give: gives it one.
    """

    def __init__(self, awaited: Callable[[], bool], give: Callable[[Picture], object]) -> None:
        self._awaited = awaited
        self._give = give
        self.reset()

    def reset(self) -> None:
        """Sets the count to zero."""
        self._given = 0

    def gauges(self) -> Gauges:
        """Number of pictures that were given."""
        return {"given": float(self._given)}

    def process(self, message: Incoming) -> Iterator[messages.Message]:
        """Takes `VideoFrame`; gives nothing to the pipeline."""
        if isinstance(message, messages.VideoFrame) and self._awaited():
            shape = message.height, message.width, 3
            pixels = np.frombuffer(message.pixels, np.uint8).reshape(shape)
            encoded, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
            if encoded:
                self._give(Picture(0, message.time, jpeg.tobytes()))
                self._given += 1
        yield from ()
