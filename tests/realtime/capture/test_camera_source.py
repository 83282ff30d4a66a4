"""What is promised of a camera: pictures with their time, and that it may go and come back."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from devices import camera_server
from made_media import make, number_of, only

from gscon_live.common.errors import InputError
from gscon_live.realtime.capture.camera import CameraSource
from gscon_live.realtime.capture.devices import _linux_cameras, camera_name, find_camera
from gscon_live.realtime.pipeline.messages import Dropped, Mark, Message, VideoFrame
from gscon_live.realtime.pipeline.settings import Camera


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("camera")
    return make(folder / "camera.mkv", video=[n / 25 for n in range(50)], size=(320, 240))


def read_until(
    source: CameraSource, enough: Callable[[list[Message]], bool], patience: float = 20.0
) -> list[Message]:
    found: list[Message] = []
    end = time.monotonic() + patience
    while not enough(found):
        assert time.monotonic() < end, f"only {len(found)} messages came"
        found += source.read(0.2)
    return found


def frames(count: int) -> Callable[[list[Message]], bool]:
    return lambda messages: len(only(messages, VideoFrame)) >= count


def test_pictures_come_at_the_wanted_rate_with_the_time_of_their_capture(video: Path) -> None:
    with camera_server(video) as camera:
        t0 = time.monotonic()
        source = CameraSource(Camera(device=camera.url, rate=5), t0)
        source.open()
        found = only(read_until(source, frames(10)), VideoFrame)
        now = time.monotonic() - t0
        source.close()
        source.close()
    assert "320x240" in source.description
    times = [frame.time for frame in found]
    assert len({int(at * 5 + 1e-9) for at in times}) == len(times)  # one in each fifth of a second
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= now
    assert {(frame.width, frame.height, len(frame.pixels)) for frame in found} == {
        (320, 240, 320 * 240 * 3)
    }


def test_a_wide_picture_is_made_as_small_as_asked_for(video: Path) -> None:
    source = CameraSource(Camera(device=str(video), width=160, rate=25), time.monotonic())
    source.open()
    (frame,) = only(read_until(source, frames(1)), VideoFrame)
    assert (frame.width, frame.height) == (160, 120)
    source.close()


def test_a_camera_that_goes_is_reported_once_and_taken_up_again(video: Path) -> None:
    with camera_server(video) as camera:
        source = CameraSource(Camera(device=camera.url, retry=0.3), time.monotonic())
        source.open()
        read_until(source, frames(2))
        assert source.state == "open"
        camera.stop()
        gone = read_until(source, lambda m: len(only(m, Mark)) >= 3)
        assert source.state == "gone"
        (drop,) = only(gone, Dropped)
        assert drop.what == "frames"
        assert "gone" in drop.reason
        marks = [mark.time for mark in only(gone, Mark)]
        assert marks == sorted(marks)
        camera.start()
        back = read_until(source, frames(3))
        assert source.state == "open"
        (drop,) = only(back, Dropped)
        assert "back" in drop.reason
        assert drop.seconds > 1.0
        assert only(back, VideoFrame)[0].time >= marks[-1]
        source.close()


def test_a_camera_that_stalls_does_not_hold_up_a_stop(video: Path) -> None:
    with camera_server(video) as camera:
        source = CameraSource(Camera(device=camera.url, retry=0.3), time.monotonic())
        source.open()
        read_until(source, frames(2))
        camera.stalled.set()
        longest, end = 0.0, time.monotonic() + 4
        while time.monotonic() < end:
            began = time.monotonic()
            source.read(0.2)
            longest = max(longest, time.monotonic() - began)
        assert longest < 2.0
        camera.stalled.clear()
        read_until(source, frames(2))
        source.close()


def test_a_file_used_as_a_camera_has_its_own_pace_and_then_only_marks(video: Path) -> None:
    t0 = time.monotonic()
    source = CameraSource(Camera(device=str(video), rate=5), t0)
    source.open()
    found = read_until(source, lambda _: source.state == "ended")
    assert time.monotonic() - t0 > 1.9
    seen = only(found, VideoFrame)
    assert [frame.time for frame in seen] == pytest.approx(
        [seen[0].time + n / 5 for n in range(10)], abs=0.21
    )
    assert [number_of(frame, range(0, 50, 5)) % 10 for frame in seen[:2]] == [0, 5]
    after = read_until(source, lambda m: len(m) >= 2)
    assert all(isinstance(message, Mark) for message in after)
    source.close()


@pytest.mark.parametrize(
    "device", [97, "97", "no such camera", "missing.mp4", "http://127.0.0.1:9/x"]
)
def test_a_camera_that_is_not_there_is_an_error_in_one_line(
    device: str | int, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match=r"^camera .*") as caught:
        CameraSource(Camera(device=device), 0.0).open()
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_no_camera_configured_is_an_error() -> None:
    with pytest.raises(InputError, match=r"camera\.device"):
        CameraSource(Camera(device=None), 0.0).open()


def test_a_camera_is_named_without_what_is_private() -> None:
    assert camera_name("rtsp://me:secret@host:554/live?token=x") == "rtsp://host:554/live"
    assert camera_name("/home/someone/film.mp4") == "film.mp4"
    assert camera_name(0) == "0"


def test_the_kernel_lists_cameras_with_their_names(tmp_path: Path) -> None:
    for number, index, name in [(0, 0, "Front"), (1, 1, "Front"), (10, 0, "USB Camera")]:
        entry = tmp_path / "sys" / f"video{number}"
        entry.mkdir(parents=True)
        (entry / "index").write_text(f"{index}\n")
        (entry / "name").write_text(f"{name}\n")
        (tmp_path / "dev").mkdir(exist_ok=True)
        (tmp_path / "dev" / f"video{number}").touch()
    found = _linux_cameras(tmp_path / "sys", tmp_path / "dev")
    assert [(info.index, info.name) for info in found] == [(0, "Front"), (10, "USB Camera")]


def test_a_camera_is_found_by_part_of_its_name_or_its_node(monkeypatch: pytest.MonkeyPatch) -> None:
    from gscon_live.realtime.capture import devices

    there = [devices.CameraInfo(0, "Front"), devices.CameraInfo(10, "USB Camera")]
    monkeypatch.setattr(devices, "cameras", lambda: there)
    monkeypatch.setattr(devices.platform, "system", lambda: "Linux")
    assert [find_camera(d) for d in ("usb", 10, "0", "/dev/video10")] == [10, 10, 0, 10]
    with pytest.raises(InputError, match=r"10 \(USB Camera\)"):
        find_camera(3)
