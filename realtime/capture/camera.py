"""A camera as a source: OpenCV grabs continuously, and only the pictures needed are decoded."""

import math
import time as system_time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

from gscon_live.common.errors import InputError
from gscon_live.realtime.capture.devices import camera_name, find_camera, silence_opencv
from gscon_live.realtime.pipeline.messages import Dropped, Mark, Message, VideoFrame
from gscon_live.realtime.pipeline.settings import Camera
from gscon_live.realtime.pipeline.stage import Source

_PATIENCE_MS = 1000  # a dead network stream must not hold up a stop for two seconds
_MARK = 0.5  # seconds


class CameraSource(Source):
    """Live pictures, stamped when they are grabbed, at most `settings.rate` a second.

    `state` is "open", "gone" (being waited for) or "ended" (a file used as a camera has come to
    its end: from then on there are only marks). `description` says which camera at which size and
    rate. A camera that goes is reported once, with a count of zero since nothing is known yet;
    when it is back, a second `Dropped` says how long it was away. A `Mark` comes at least every
    0.5 s in which no picture does, also while the camera is gone.

    Args:
        settings: which camera, the size and rate to ask for, and the time between attempts.
        t0: `time.monotonic()` at the session's start; times in messages count from it.
        clock: seconds, monotonic.
    """

    def __init__(
        self, settings: Camera, t0: float, *, clock: Callable[[], float] = system_time.monotonic
    ) -> None:
        self.state = "gone"
        self.description = "camera"
        self._settings = settings
        self._t0 = t0
        self._clock = clock
        self._device: int | str = 0
        self._name = ""
        self._is_file = False
        self._capture: Any = None
        self._due = 0
        self._said = 0.0
        self._gone_at = 0.0
        self._retry_at = 0.0
        self._began = 0.0
        self._held: float | None = None  # when to show the file's picture that was grabbed

    def open(self) -> None:
        """Opens the camera. Raises `InputError`: none configured, no such camera, or no answer."""
        if self._settings.device is None:
            raise InputError("camera: none is configured; set camera.device or leave it out")
        self._device = find_camera(self._settings.device)
        self._name = camera_name(self._device)
        self._is_file = isinstance(self._device, str) and Path(self._device).is_file()
        if not self._connect():
            raise InputError(
                f"camera {self._name}: cannot be opened; check that it is there and that no other "
                "program uses it, or see gscon-live doctor"
            )
        self._said = self._clock() - self._t0

    def read(self, timeout: float) -> list[Message]:
        """The next picture that is due, or a mark where none came for a while."""
        deadline = self._clock() + timeout
        if self._capture is None:
            return self._wait(deadline)
        while True:
            time = self._grab(deadline)
            if self._capture is None:
                return self._gone()
            if time is not None and time * self._settings.rate >= self._due:
                return self._picture(time)
            if self._clock() >= deadline:
                return self._marks()

    def close(self) -> None:
        """Lets go of the camera."""
        capture, self._capture = self._capture, None
        if self.state == "open":
            self.state = "gone"
        if capture is not None:
            capture.release()

    def _connect(self) -> bool:
        silence_opencv()
        asked = self._settings
        if isinstance(self._device, int):
            capture = cv2.VideoCapture(self._device)
            for key, value in (
                (cv2.CAP_PROP_FRAME_WIDTH, asked.width),
                (cv2.CAP_PROP_FRAME_HEIGHT, asked.height),
                (cv2.CAP_PROP_FPS, 30),
                (cv2.CAP_PROP_BUFFERSIZE, 1),
            ):
                capture.set(key, value)
        else:
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _PATIENCE_MS]
            limits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, _PATIENCE_MS]
            capture = cv2.VideoCapture(self._device, cv2.CAP_FFMPEG, limits)
        if not capture.isOpened():
            capture.release()
            return False
        width, height = (
            round(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        rate = capture.get(cv2.CAP_PROP_FPS)
        self.description = f"camera {self._name}, {width}x{height} at {rate:g} frames/s"
        self._capture = capture
        self._began = self._clock()
        self._held = None
        self.state = "open"
        return True

    def _grab(self, deadline: float) -> float | None:
        """Time of the picture that was grabbed; None where a file's next one is not due yet, or,
        with the capture closed, where there are no more."""
        if self._held is None:
            if not self._capture.grab():
                self.close()
                return None
            if not self._is_file:
                return self._clock() - self._t0
            self._held = self._began + self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        wait = self._held - self._clock()
        if wait > 0:
            system_time.sleep(max(0.0, min(wait, deadline - self._clock())))
            if self._held > self._clock():
                return None
        time, self._held = self._held - self._t0, None
        return time

    def _picture(self, time: float) -> list[Message]:
        self._due = math.floor(time * self._settings.rate) + 1
        self._said = time
        got, pixels = self._capture.retrieve()
        if not got or pixels is None:
            return [Dropped(time, "frames", 1, 0.0, "a picture of the camera cannot be decoded")]
        height, width = pixels.shape[:2]
        if width > self._settings.width:
            height = max(1, round(height * self._settings.width / width))
            width = self._settings.width
            pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        return [VideoFrame(max(time, 0.0), width, height, pixels.tobytes())]

    def _marks(self) -> list[Message]:
        now = self._clock() - self._t0
        if self._held is not None:
            now = min(now, self._held - self._t0)
        if now - self._said < _MARK:
            return []
        self._said = now
        return [Mark(now, "camera")]

    def _gone(self) -> list[Message]:
        now = self._clock()
        if self._is_file:
            self.state = "ended"
            return self._marks()
        self._gone_at, self._retry_at = now, now + self._settings.retry
        retry = self._settings.retry
        reason = f"camera {self._name} gone; trying again every {retry:g} s"
        return [Dropped(max(now - self._t0, 0.0), "frames", 0, 0.0, reason)]

    def _wait(self, deadline: float) -> list[Message]:
        """While there is no camera: tries again when it is time to, and marks."""
        now = self._clock()
        until = deadline if self.state == "ended" else min(deadline, self._retry_at)
        if until > now:
            system_time.sleep(until - now)
        elif self.state == "gone":
            if self._connect():
                now = self._clock()
                seconds = now - self._gone_at
                count = round(seconds * self._settings.rate)
                reason = f"camera {self._name} back after {seconds:.1f} s"
                return [Dropped(max(now - self._t0, 0.0), "frames", count, seconds, reason)]
            self._retry_at = self._clock() + self._settings.retry
        return self._marks()
