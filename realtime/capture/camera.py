"""A camera as a source: OpenCV grabs all pictures, and decodes only those that are due."""

import time as system_time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

from gscon_live.common.errors import InputError
from gscon_live.realtime.capture.devices import camera_name, find_camera, silence_opencv
from gscon_live.realtime.pipeline.messages import Dropped, Mark, Message, VideoFrame
from gscon_live.realtime.pipeline.picture_rate import PictureRate
from gscon_live.realtime.pipeline.settings import Camera
from gscon_live.realtime.pipeline.stage import Source

#: Timeout of a network stream in ms, so that a dead one does not delay the end of a session.
_TIMEOUT_MS = 1000
#: Seconds between two marks while no picture comes.
_MARK_INTERVAL = 0.5


class CameraSource(Source):
    """Live pictures, timed when they are grabbed, at most `settings.rate` per second.

    `state` is "open", "gone" (the source tries to reopen the camera) or "ended" (a file used as a
    camera is over: only marks follow). `description` names the camera, its size and its rate. When
    the camera goes, a `Dropped` with count 0 reports it, as the number of lost pictures is not
    known yet. When it is back, a second `Dropped` has the number and the time. While no picture
    comes, also without a camera, a `Mark` comes every 0.5 s.

    Args:
        settings: the camera, the requested size and rate, and the time between attempts.
        t0: `time.monotonic()` at the session's start; times in messages count from there.
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
        self._rate = PictureRate(settings.rate)
        self._last_sent = 0.0
        self._gone_at = 0.0
        self._retry_at = 0.0
        self._opened_at = 0.0
        self._pending: float | None = None  # when the grabbed picture of a file is due

    def open(self) -> None:
        """Opens the camera. Raises `InputError`: none is configured, or it cannot be opened."""
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
        self._last_sent = self._clock() - self._t0

    def read(self, timeout: float) -> list[Message]:
        """The next picture that is due, or a mark if no picture came for a while."""
        deadline = self._clock() + timeout
        if self._capture is None:
            return self._wait(deadline)
        while True:
            time = self._grab(deadline)
            if self._capture is None:
                return self._gone()
            if time is not None and self._rate.takes(time):
                return self._picture(time)
            if self._clock() >= deadline:
                return self._marks()

    def close(self) -> None:
        """Releases the camera."""
        capture, self._capture = self._capture, None
        if self.state == "open":
            self.state = "gone"
        if capture is not None:
            capture.release()

    def _connect(self) -> bool:
        silence_opencv()
        settings = self._settings
        if isinstance(self._device, int):
            capture = cv2.VideoCapture(self._device)
            for key, value in (
                (cv2.CAP_PROP_FRAME_WIDTH, settings.width),
                (cv2.CAP_PROP_FRAME_HEIGHT, settings.height),
                (cv2.CAP_PROP_FPS, 30),
                (cv2.CAP_PROP_BUFFERSIZE, 1),
            ):
                capture.set(key, value)
        else:
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS]
            limits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS]
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
        self._opened_at = self._clock()
        self._pending = None
        self.state = "open"
        return True

    def _grab(self, deadline: float) -> float | None:
        """Grabs a picture and gives its time. None if a file's next picture is not due yet; None
        and a closed capture if there are no more pictures."""
        if self._pending is None:
            if not self._capture.grab():
                self.close()
                return None
            if not self._is_file:
                return self._clock() - self._t0
            position = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            self._pending = self._opened_at + position
        wait = self._pending - self._clock()
        if wait > 0:
            system_time.sleep(max(0.0, min(wait, deadline - self._clock())))
            if self._pending > self._clock():
                return None
        time, self._pending = self._pending - self._t0, None
        return time

    def _picture(self, time: float) -> list[Message]:
        self._last_sent = time
        decoded, pixels = self._capture.retrieve()
        if not decoded or pixels is None:
            return [Dropped(time, "frames", 1, 0.0, "a picture of the camera cannot be decoded")]
        height, width = pixels.shape[:2]
        full_width = width
        if width > self._settings.width:
            height = max(1, round(height * self._settings.width / width))
            width = self._settings.width
            pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        return [VideoFrame(max(time, 0.0), width, height, pixels.tobytes(), full_width)]

    def _marks(self) -> list[Message]:
        now = self._clock() - self._t0
        if self._pending is not None:
            now = min(now, self._pending - self._t0)
        if now - self._last_sent < _MARK_INTERVAL:
            return []
        self._last_sent = now
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
        """Without a camera: tries to open it when the next attempt is due, and gives marks."""
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
