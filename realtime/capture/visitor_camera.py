"""The camera of a visitor as a source: pictures that the page hands on."""

import time as system_time
from collections.abc import Callable

import cv2
import numpy as np

from gscon_live.realtime.pipeline.messages import Dropped, Mark, Message, VideoFrame
from gscon_live.realtime.pipeline.picture_rate import PictureRate
from gscon_live.realtime.pipeline.settings import Camera
from gscon_live.realtime.pipeline.stage import Source
from gscon_live.realtime.pipeline.visitor import PICTURE_QUEUE, Inlet, Left, Missing, Picture

#: The name in messages.
NAME = "the visitor's camera"
#: Seconds without pictures after which the camera counts as gone.
_TIMEOUT = 2.0
#: Seconds between two marks while no picture comes.
_MARK_INTERVAL = 0.5
#: Seconds that a picture may be on its way; those that come later are left out.
_DELAY = 0.5


class VisitorCamera(Source):
    """Live pictures of a visitor, timed by the camera, at most `settings.rate` per second.

    `state` is "gone" until pictures come, "open" as long as they come. A `Dropped` reports that the
    camera is gone (with count 0, as their number is not known yet), that it is back, and what was
    lost on the way or cannot be decoded. While no picture comes, a `Mark` comes every 0.5 s.

    Args:
        endpoint: where the page sends pictures to.
        settings: the largest width, and the rate.
        t0: `time.monotonic()` at the session's start; times in messages count from there.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        endpoint: str,
        settings: Camera,
        t0: float,
        *,
        clock: Callable[[], float] = system_time.monotonic,
    ) -> None:
        self.state = "gone"
        self.description = NAME
        self._endpoint = endpoint
        self._settings = settings
        self._t0 = t0
        self._clock = clock
        self._inlet: Inlet | None = None
        self._visitor: int | None = None
        self._rate = PictureRate(settings.rate)
        self._until = 0.0  # nothing earlier may follow
        self._gone_at: float | None = None
        self._came_at = 0.0
        self._marked_at = 0.0

    def open(self) -> None:
        """Waits for pictures from now on."""
        self._inlet = Inlet(self._endpoint, PICTURE_QUEUE)

    def read(self, timeout: float) -> list[Message]:
        """The pictures that have come and are due, or a mark if none came for a while."""
        assert self._inlet is not None
        out: list[Message] = []
        for given in self._inlet.receive(timeout):
            match given:
                case Picture():
                    out += self._picture(given)
                case Missing(count=count, reason=reason):
                    out.append(self._lost(self._until, count, reason))
                case Left(visitor=visitor):
                    if visitor == self._visitor:
                        out += self._gone()
        return out + self._look_after()

    def close(self) -> None:
        """Ends the connection to the page."""
        inlet, self._inlet = self._inlet, None
        self.state = "gone"
        if inlet is not None:
            inlet.close()

    def _picture(self, given: Picture) -> list[Message]:
        time = given.at - self._t0
        if time < 0:
            return []
        out: list[Message] = []
        self._visitor, self._came_at = given.visitor, self._clock()
        if self.state == "gone":
            out += self._back(time)
        if time < self._until:
            return [*out, self._lost(self._until, 1, "a picture of the visitor came too late")]
        if not self._rate.takes(time):
            return out
        self._until = time
        pixels = cv2.imdecode(np.frombuffer(given.jpeg, np.uint8), cv2.IMREAD_COLOR)
        if pixels is None:
            return [*out, self._lost(time, 1, "a picture of the visitor cannot be decoded")]
        height, width = pixels.shape[:2]
        full_width = width
        if width > self._settings.width:
            height = max(1, round(height * self._settings.width / width))
            width = self._settings.width
            pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        return [*out, VideoFrame(time, width, height, pixels.tobytes(), full_width)]

    def _back(self, time: float) -> list[Message]:
        self.state = "open"
        if self._gone_at is None:
            return []
        seconds = max(0.0, time - self._gone_at)
        count = round(seconds * self._settings.rate)
        reason = f"{NAME} is back after {seconds:.1f} s"
        return [Dropped(max(time, self._until), "frames", count, seconds, reason)]

    def _gone(self) -> list[Message]:
        if self.state != "open":
            return []
        self.state = "gone"
        self._gone_at = self._until
        return [self._lost(self._until, 0, f"{NAME} is gone; it is waited for")]

    def _look_after(self) -> list[Message]:
        out: list[Message] = []
        if self.state == "open" and self._clock() - self._came_at > _TIMEOUT:
            out += self._gone()
        now = self._clock() - self._t0
        if now - max(self._until, self._marked_at) >= _MARK_INTERVAL:
            self._marked_at = now
            self._until = max(self._until, now - _DELAY)
            out.append(Mark(self._until, "camera"))
        return out

    def _lost(self, time: float, count: int, reason: str) -> Dropped:
        return Dropped(time, "frames", count, 0.0, reason)
