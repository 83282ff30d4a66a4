"""Sound and pictures of a visitor become messages of the pipeline, and every loss is told once."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from sessions import wait_for

from gscon_live.realtime.capture.visitor_camera import VisitorCamera
from gscon_live.realtime.capture.visitor_microphone import VisitorMicrophone
from gscon_live.realtime.pipeline.messages import AudioChunk, Dropped, Mark, Message, VideoFrame
from gscon_live.realtime.pipeline.settings import Camera
from gscon_live.realtime.pipeline.stage import Source
from gscon_live.realtime.pipeline.visitor import (
    PICTURE_QUEUE,
    SOUND_QUEUE,
    Given,
    Left,
    Missing,
    Outlet,
    Picture,
    Sound,
)

T0 = 1000.0
BLOCK = 0.02


class Station:
    """A source, the page's end of its connection, and a clock that a test moves."""

    def __init__(self, source: type[Source], folder: Path) -> None:
        self.now = T0
        endpoint = f"ipc://{folder / 'visitor'}"
        if source is VisitorMicrophone:
            self.source: Source = VisitorMicrophone(endpoint, T0, BLOCK, clock=lambda: self.now)
            self.outlet = Outlet(endpoint, SOUND_QUEUE)
        else:
            settings = Camera(width=320, rate=10.0)
            self.source = VisitorCamera(endpoint, settings, T0, clock=lambda: self.now)
            self.outlet = Outlet(endpoint, PICTURE_QUEUE)
        self.source.open()

    def give(self, given: Given) -> list[Message]:
        """What the source makes of it; the clock stands."""
        wait_for(lambda: self.outlet.send(given))
        return wait_for(lambda: list(self.source.read(0.2)) or [None])

    def speak(self, begin: float, seconds: float, visitor: int = 1, rate: int = 16_000,
              level: int = 1000) -> list[Message]:  # fmt: skip
        """Gives sound in blocks of 20 ms, each when it has been spoken."""
        out: list[Message] = []
        count = round(BLOCK * rate)
        samples = np.full(count, level, "<i2").tobytes()
        for number in range(round(seconds / BLOCK)):
            at = begin + number * BLOCK
            self.now = T0 + at + BLOCK
            out += [m for m in self.give(Sound(visitor, T0 + at, rate, samples)) if m is not None]
        return out

    def pass_time(self, seconds: float) -> list[Message]:
        """What the source says while nothing comes."""
        out: list[Message] = []
        for _ in range(round(seconds / 0.1)):
            self.now += 0.1
            out += list(self.source.read(0.0))
        return out


@pytest.fixture
def microphone(tmp_path: Path) -> Iterator[Station]:
    station = Station(VisitorMicrophone, tmp_path)
    yield station
    station.source.close()
    station.outlet.close()


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[Station]:
    station = Station(VisitorCamera, tmp_path)
    yield station
    station.source.close()
    station.outlet.close()


def of(kind: type[Message], out: list[Message]) -> list[Message]:
    return [message for message in out if isinstance(message, kind)]


def losses(out: list[Message]) -> list[tuple[str, int, float]]:
    return [(m.reason, m.count, round(m.seconds, 3)) for m in out if isinstance(m, Dropped)]


def test_before_the_first_visitor_nothing_is_lost(microphone: Station) -> None:
    out = microphone.pass_time(5.0)
    assert microphone.source.state == "gone"
    assert losses(out) == []
    times = [message.time for message in of(Mark, out)]
    assert len(times) == 10
    assert times == sorted(times)


def test_sound_comes_at_its_time_without_a_hole(microphone: Station) -> None:
    microphone.pass_time(1.0)
    out = microphone.speak(1.5, 1.0)
    assert microphone.source.state == "open"
    chunks = of(AudioChunk, out)
    assert [round(chunk.time, 3) for chunk in chunks] == [
        round(1.5 + number * BLOCK, 3) for number in range(50)
    ]
    samples = np.frombuffer(b"".join(chunk.samples for chunk in chunks), np.float32)
    assert len(samples) == 16_000
    assert np.allclose(samples, 1000 / 32768)
    assert losses(out) == []


def test_sound_of_another_rate_is_resampled(microphone: Station) -> None:
    chunks = of(AudioChunk, microphone.speak(0.5, 2.0, rate=48_000))
    count = sum(len(chunk.samples) // 4 for chunk in chunks)
    assert abs(count - 32_000) <= 64
    assert round(chunks[0].time, 3) == 0.5
    assert abs(chunks[-1].time - 2.48) < 0.02


def test_a_visitor_that_goes_is_reported_and_so_is_its_return(microphone: Station) -> None:
    microphone.speak(0.5, 0.5)
    gone = microphone.give(Left(1))
    assert losses(gone) == [("the visitor's microphone is gone; it is waited for", 0, 0.0)]
    assert microphone.source.state == "gone"
    assert of(Mark, microphone.pass_time(3.0))
    out = microphone.speak(4.5, 0.2, visitor=2)
    assert losses(out) == [("the visitor's microphone is back after 3.5 s", 56_000, 3.5)]
    # A late word of the first one changes nothing.
    assert microphone.give(Left(1)) == [None]
    assert microphone.source.state == "open"


def test_a_visitor_that_falls_silent_counts_as_gone(microphone: Station) -> None:
    microphone.speak(0.5, 0.5)
    out = microphone.pass_time(2.2)
    assert [count for _, count, _ in losses(out)] == [0]
    assert "is gone" in losses(out)[0][0]


def test_what_is_lost_on_the_way_is_told_once_and_times_stay_right(microphone: Station) -> None:
    microphone.speak(0.5, 1.0)
    microphone.now += 0.6
    out = microphone.give(Missing(0, 0.5, "too slow"))
    assert losses(out) == [("too slow", 8_000, 0.5)]
    out = microphone.speak(2.0, 2.0)
    assert losses(out) == []
    assert round(of(AudioChunk, out)[0].time, 3) == 2.0


def test_what_was_lost_while_the_service_was_started_again_is_told(microphone: Station) -> None:
    assert losses(microphone.give(Missing(0, 0.5, "too slow"))) == [("too slow", 8_000, 0.5)]


def test_what_is_lost_while_the_visitor_is_gone_is_told_when_it_is_back(
    microphone: Station,
) -> None:
    microphone.speak(0.5, 0.5)
    microphone.pass_time(3.0)
    assert microphone.give(Missing(0, 0.5, "too slow")) == [None]
    out = microphone.speak(4.5, 0.2)
    assert losses(out) == [("the visitor's microphone is back after 3.5 s", 56_000, 3.5)]


def test_sound_that_was_lost_without_a_word_is_told_too(microphone: Station) -> None:
    microphone.speak(0.5, 1.0)
    out = microphone.speak(2.0, 2.0)
    ((reason, _, seconds),) = losses(out)
    assert reason == "sound of the visitor is missing"
    assert seconds == pytest.approx(0.5, abs=0.01)


def test_sound_that_was_never_spoken_in_this_time_is_left_out(microphone: Station) -> None:
    """Ten times as fast as speech: media time stays with the clock."""
    samples = np.full(320, 1000, "<i2").tobytes()
    out: list[Message] = []
    for number in range(500):
        microphone.now = T0 + 1.0 + number * BLOCK / 10
        out += [m for m in microphone.give(Sound(1, microphone.now - BLOCK, 16_000, samples)) if m]
    microphone.now += 5.0
    out += list(microphone.source.read(0.0))
    end = max(chunk.time for chunk in of(AudioChunk, out)) + BLOCK
    assert end < 2.0 + 0.6
    lost = sum(seconds for reason, _, seconds in losses(out) if "faster" in reason)
    heard = len(of(AudioChunk, out)) * BLOCK
    assert lost + heard == pytest.approx(500 * BLOCK)


def test_a_muted_microphone_is_told_once(microphone: Station) -> None:
    out = microphone.speak(0.5, 12.0, level=0)
    assert [reason for reason, _, _ in losses(out) if "only zeros" in reason] == [
        "the visitor's microphone has given only zeros for 5 s; unmute it, or allow its use in the "
        "settings of the browser and of the system"
    ]


def jpeg(width: int = 640, height: int = 480) -> bytes:
    encoded: bytes = cv2.imencode(".jpg", np.full((height, width, 3), 90, np.uint8))[1].tobytes()
    return encoded


def test_pictures_come_at_the_time_of_the_camera_and_not_more_than_the_rate(
    camera: Station,
) -> None:
    out: list[Message] = []
    for number in range(50):  # 25 a second
        at = 1.0 + number / 25
        camera.now = T0 + at + 0.1
        out += camera.give(Picture(1, T0 + at, jpeg()))
    frames = of(VideoFrame, out)
    assert len(frames) == 20
    assert frames[0].time == pytest.approx(1.0)
    assert {(frame.width, frame.height, frame.full_width) for frame in frames} == {(320, 240, 640)}
    assert abs(int(frames[0].pixels[0]) - 90) < 3
    assert losses(out) == []


def test_a_camera_that_goes_comes_back_and_marks_pass_meanwhile(camera: Station) -> None:
    camera.now = T0 + 1.1
    camera.give(Picture(1, T0 + 1.0, jpeg()))
    assert losses(camera.give(Left(1))) == [
        ("the visitor's camera is gone; it is waited for", 0, 0)
    ]
    marks = [mark.time for mark in of(Mark, camera.pass_time(3.0))]
    assert marks == sorted(marks)
    assert len(marks) >= 5
    camera.now = T0 + 5.0
    out = camera.give(Picture(2, T0 + 4.9, jpeg()))
    assert "camera is back" in next(reason for reason, _, _ in losses(out))
    assert [frame.time for frame in of(VideoFrame, out)] == [pytest.approx(4.9)]


def test_pictures_that_are_late_or_damaged_are_counted(camera: Station) -> None:
    camera.now = T0 + 1.1
    camera.give(Picture(1, T0 + 1.0, jpeg()))
    camera.now = T0 + 1.4
    damaged = jpeg()[:20]
    assert losses(camera.give(Picture(1, T0 + 1.3, damaged))) == [
        ("a picture of the visitor cannot be decoded", 1, 0)
    ]
    assert losses(camera.give(Picture(1, T0 + 0.5, jpeg()))) == [
        ("a picture of the visitor came too late", 1, 0)
    ]
    assert losses(camera.give(Missing(7, 0.0, "too slow"))) == [("too slow", 7, 0)]
