"""Visitors give sound and pictures to a session; whatever else comes in is refused and counted."""

import json
import shutil
import struct
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from gateways import Page, Station, page
from hypothesis import given
from hypothesis import strategies as st
from sessions import ROOT, cut, run, start, wait_for
from sound import recorded
from test_admission import handshake, refused
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from gscon_live.realtime.gateway import jpeg_header
from gscon_live.realtime.gateway.losses import Losses
from gscon_live.realtime.pipeline import visitor
from gscon_live.realtime.pipeline.visitor import Inlet, Left, Missing, Outlet, Picture, Sound

SILENCE = bytes(640)


class Host:
    """The page of a session that wants visitors, and the session's ends of their sound and
    pictures."""

    def __init__(self, served: Page, wanted: visitor.Visitor) -> None:
        assert wanted.sound is not None
        assert wanted.pictures is not None
        self.served = served
        self.sound = Inlet(wanted.sound, visitor.SOUND_QUEUE)
        self.pictures = Inlet(wanted.pictures, visitor.PICTURE_QUEUE)

    def visit(self, **options: Any) -> ClientConnection:
        uri = f"ws://{self.served.host}:{self.served.port}/session?token={self.served.token}"
        return connect(uri, proxy=None, **options)

    def close(self) -> None:
        self.sound.close()
        self.pictures.close()


@pytest.fixture(scope="module")
def hosting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("visitors")
    wanted = visitor.Visitor(
        sound=f"ipc://{folder / 'sound'}", pictures=f"ipc://{folder / 'pictures'}", width=320
    )
    with (
        Station(f"ipc://{folder / 'events'}", "s") as station,
        page(station.endpoint, "--visitor", msgspec.json.encode(wanted).decode()) as served,
    ):
        made = Host(served, wanted)
        yield made
        made.close()


@pytest.fixture
def host(hosting: Host) -> Host:
    """Nobody is there, and nothing of earlier visitors is on its way."""
    wait_for(lambda: not hosting.served.state()["giving"])
    while hosting.sound.receive(0.1) or hosting.pictures.receive(0.1):
        pass
    return hosting


def begin(connection: ClientConnection, now: float = 0.0, **options: Any) -> dict[str, Any]:
    connection.send(json.dumps({"type": "start", "now": now, **options}))
    answer: dict[str, Any] = json.loads(connection.recv(timeout=20))
    return answer


def sent(connection: ClientConnection, inlet: Inlet, message: bytes) -> Any:
    """What arrives of a message that is repeated until the session takes it."""

    def tried() -> Any:
        connection.send(message)
        return inlet.receive(0.3)

    return wait_for(tried)[0]


def picture(width: int = 64, height: int = 48) -> bytes:
    encoded: bytes = cv2.imencode(".jpg", np.zeros((height, width, 3), np.uint8))[1].tobytes()
    return encoded


def test_a_visitor_is_told_what_is_wanted(host: Host) -> None:
    assert host.served.state()["wants"] == ["sound", "pictures"]
    assert not host.served.state()["giving"]
    with host.visit() as connection:
        assert begin(connection) == {
            "type": "ready",
            "wants": ["sound", "pictures"],
            "pictures": {"width": 320, "height": 480, "rate": 10.0},
        }
        wait_for(lambda: host.served.state()["giving"])
    wait_for(lambda: not host.served.state()["giving"])


def test_sound_and_pictures_arrive_with_the_times_of_one_clock(host: Host) -> None:
    """The visitor's clock has an origin of its own; what was at one time stays at one time."""
    with host.visit() as connection:
        ours = time.monotonic()
        begin(connection, now=77.0, rate=48_000)
        heard = sent(connection, host.sound, visitor.message("sound", 76.9, SILENCE))
        seen = sent(connection, host.pictures, visitor.message("picture", 76.9, picture()))
        assert isinstance(heard, Sound)
        assert isinstance(seen, Picture)
        assert heard.at == pytest.approx(seen.at, abs=1e-9)
        assert abs(heard.at - (ours - 0.1)) < 1.0
        assert heard.rate == 48_000
        assert heard.samples == SILENCE
        assert seen.jpeg == picture()
    wait_for(lambda: any(isinstance(given, Left) for given in host.sound.receive(0.1)))
    wait_for(lambda: any(isinstance(given, Left) for given in host.pictures.receive(0.1)))


def test_a_clock_that_is_ahead_makes_no_future(host: Host) -> None:
    with host.visit() as connection:
        begin(connection, now=10.0)
        heard = sent(connection, host.sound, visitor.message("sound", 5000.0, SILENCE))
        assert heard.at <= time.monotonic() - 0.02


def test_the_newest_visitor_gives_and_the_one_before_is_told(host: Host) -> None:
    with host.visit() as first, host.visit() as second:
        begin(first)
        begin(second)
        with pytest.raises(ConnectionClosed):
            first.recv(timeout=20)
        assert first.close_code == 4001
        heard = sent(second, host.sound, visitor.message("sound", 0.0, SILENCE))
        assert heard.visitor >= 1
        assert host.served.state()["giving"]


def closed_with(host: Host, *words: str | bytes) -> int | None:
    with host.visit() as connection:
        with suppress(ConnectionClosed):
            for word in words:
                connection.send(word)
            while True:
                connection.recv(timeout=20)
        return connection.close_code


START = '{"type": "start", "now": 0}'


@pytest.mark.parametrize(
    ("words", "reason", "code"),
    [
        (["{"], "message", 1008),
        (["[" * 900], "message", 1008),
        (['{"type": "clock", "now": 0}'], "message", 1008),
        (['{"type": "start"}'], "message", 1008),
        (['{"type": "start", "now": NaN}'], "message", 1008),
        (['{"type": "start", "now": 0, "rate": 1}'], "message", 1008),
        ([START, START], "message", 1008),
        ([START, '{"type": "lost", "sound": -1}'], "message", 1008),
        ([START, '{"type": "lost", "sound": 1e300}'], "message", 1008),
        ([visitor.message("sound", 0.0, SILENCE)], "message", 1008),
        ([START, b""], "message", 1008),
        ([START, b"pcm "], "message", 1008),
        ([START, b"mp3 " + bytes(12)], "message", 1008),
        ([START, struct.pack("<4s4xd", b"pcm ", float("nan"))], "message", 1008),
        ([START, visitor.message("sound", 0.0, bytes(641))], "message", 1008),
        ([START, visitor.message("sound", 0.0, bytes(40_000))], "size", 1009),
        (["x" * 2000], "size", 1009),
        ([START, visitor.message("picture", 0.0, bytes(600_000))], "size", 1009),
        ([START, b"x" * 3_000_000], "size", 1009),
        ([START, *[visitor.message("sound", 0.0, b"")] * 3000], "rate", 1008),
    ],
    ids=lambda value: None if isinstance(value, list) else str(value),
)
def test_a_visitor_that_breaks_the_rules_is_closed_and_counted(
    host: Host, words: list[str | bytes], reason: str, code: int
) -> None:
    before = refused(host.served, reason)
    assert closed_with(host, *words) in (code, *([1006] if len(words[-1]) > 1_000_000 else []))
    wait_for(lambda: refused(host.served, reason) == before + 1)
    with host.visit() as connection:  # the others do not notice
        assert begin(connection)["type"] == "ready"


def test_foreign_origins_names_and_tokens_are_refused(host: Host) -> None:
    served = host.served
    before = served.state()["refused"]
    wrong = served.token[:-1] + ("a" if served.token[-1] != "a" else "b")
    path = f"/session?token={served.token}"
    assert handshake(served, path) == 101
    assert handshake(served, path, Origin="https://evil.example") == 403
    assert handshake(served, path, Host="evil.example") == 421
    assert handshake(served, f"/session?token={wrong}") == 403
    assert handshake(served, "/session") == 403
    after = served.state()["refused"]
    counts = {name: after[name] - before.get(name, 0) for name in ("origin", "host", "token")}
    assert counts == {"origin": 1, "host": 1, "token": 2}


def test_a_session_with_devices_of_its_own_takes_nothing(tmp_path: Path) -> None:
    with Station(f"ipc://{tmp_path / 'events'}", "s") as station, page(station.endpoint) as served:
        assert served.state()["wants"] == []
        uri = f"ws://{served.host}:{served.port}/session?token={served.token}"
        with pytest.raises(InvalidStatus) as error, connect(uri, proxy=None):
            pass
        assert error.value.response.status_code == 409
        policy = served.get(f"/?token={served.token}").headers["permissions-policy"]
        assert "camera=(), microphone=()" in policy


def test_only_the_page_itself_may_ask_for_the_devices(host: Host) -> None:
    policy = host.served.get(f"/?token={host.served.token}").headers["permissions-policy"]
    assert "camera=(self), microphone=(self)" in policy


def bomb(width: int, height: int) -> bytes:
    """A small file that says it is a large picture."""
    data = bytearray(picture())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def progressive() -> bytes:
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    encoded: bytes = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8), options)[1].tobytes()
    return encoded


BAD = [bomb(65_500, 65_500), bomb(4096, 4096), bomb(0, 100), progressive(), b"", b"\x89PNG" * 50,
       picture()[:40], picture() [:-2].replace(b"\xff\xda", b"\xff\xd9"),
       b"\xff\xd8" + b"\xff" * 100_000]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_a_bomb_or_a_damaged_picture_is_refused_before_it_is_decoded(bad: bytes) -> None:
    with pytest.raises(ValueError, match=r"JPEG|picture"):
        jpeg_header.size(bad)


@given(st.binary(max_size=300), st.integers(0, 600), st.integers(0, 255))
def test_any_bytes_are_a_picture_of_bounded_size_or_refused(
    tail: bytes, place: int, value: int
) -> None:
    data = bytearray(picture())
    data[place % len(data)] = value
    for tried in (bytes(data), bytes(data[:place]) + tail, tail):
        with suppress(ValueError):
            width, height = jpeg_header.size(tried)
            assert 0 < width * height <= jpeg_header.MOST_PIXELS


def test_what_browsers_cameras_and_programs_write_is_taken() -> None:
    for width, height in ((64, 48), (640, 480), (1920, 1080), (1, 1)):
        assert jpeg_header.size(picture(width, height)) == (width, height)
    grey = cv2.imencode(".jpg", np.zeros((30, 20), np.uint8))[1].tobytes()
    assert jpeg_header.size(grey) == (20, 30)


def test_refused_pictures_are_counted_in_the_events_and_the_visit_goes_on(host: Host) -> None:
    with host.visit() as connection:
        begin(connection)
        sent(connection, host.pictures, visitor.message("picture", 0.0, picture()))
        before = refused(host.served, "picture")
        for _ in range(3):
            connection.send(visitor.message("picture", 0.0, bomb(65_500, 65_500)))
        wait_for(lambda: refused(host.served, "picture") == before + 3)
        heard = sent(connection, host.sound, visitor.message("sound", 0.0, SILENCE))
        assert isinstance(heard, Sound)
    told: list[Any] = []
    wait_for(lambda: told.extend(host.pictures.receive(0.1)) or isinstance(told[-1], Left))
    missing = [given for given in told if isinstance(given, Missing)]
    assert sum(given.count for given in missing) == 3
    assert {given.reason for given in missing} == {
        "a picture of the visitor was refused: a picture of 65500x65500 pixels is too large"
    }


def test_what_the_visitor_could_not_send_is_passed_on_before_what_follows(host: Host) -> None:
    with host.visit() as connection:
        begin(connection)
        sent(connection, host.sound, visitor.message("sound", 0.0, SILENCE))
        connection.send(json.dumps({"type": "lost", "sound": 0.4, "pictures": 3}))
        connection.send(visitor.message("sound", 0.5, SILENCE))
        told: list[Any] = []
        wait_for(lambda: told.extend(host.sound.receive(0.1)) or len(told) >= 2)
        missing = next(given for given in told if isinstance(given, Missing))
        assert missing.seconds == pytest.approx(0.4)
        assert told.index(missing) < len(told) - 1


def test_a_session_that_does_not_take_anything_costs_no_memory_and_losses_are_told_once(
    tmp_path: Path,
) -> None:
    endpoint = f"ipc://{tmp_path / 'sound'}"
    outlet, inlet = Outlet(endpoint, 8), Inlet(endpoint, 8)
    losses = Losses()
    sound = Sound(1, 0.0, 16_000, SILENCE)
    losses.add(0, 9.0, "before the session took anything")
    wait_for(lambda: outlet.send(sound))
    losses.begun = True
    refused_ = 0
    for _ in range(1000):
        if not outlet.send(sound):
            refused_ += 1
            losses.add(0, 0.02, "too slow")
    assert refused_ > 900
    told: list[Any] = []
    wait_for(lambda: told.extend(inlet.receive(0.1)) or len(told) == 1001 - refused_)

    def passed_on() -> list[Any]:
        losses.pass_on(outlet)
        return list(inlet.receive(0.2))

    (missing,) = wait_for(passed_on)
    assert missing.reason == "too slow"
    assert missing.seconds == pytest.approx(refused_ * 0.02)
    assert passed_on() == []
    outlet.close()
    inlet.close()


def collected(host: Host, process: "subprocess.Popen[str]") -> tuple[list[Sound], list[Picture]]:
    """What the session gets until the program has ended."""
    heard: list[Any] = []
    seen: list[Any] = []
    ended = False
    while not (ended and isinstance(heard[-1], Left) and isinstance(seen[-1], Left)):
        ended = process.poll() is not None
        assert not ended or process.returncode == 0, process.communicate()
        heard += host.sound.receive(0.05)
        seen += host.pictures.receive(0.05)
    assert not [given for given in heard + seen if isinstance(given, Missing)]
    return (
        [given for given in heard if isinstance(given, Sound)],
        [given for given in seen if isinstance(given, Picture)],
    )


def documented(language: str, part: str, folder: Path) -> Path:
    """A program of the page of documentation that holds these words, as a file."""
    text = (ROOT / "docs/page.md").read_text(encoding="utf-8")
    codes = [block.partition("```")[0] for block in text.split(f"```{language}\n")[1:]]
    (code,) = [code for code in codes if part in code]
    path = folder / ("example.py" if language == "python" else "example.mjs")
    path.write_text(code, encoding="utf-8")
    return path


@pytest.fixture
def spoken_file(tmp_path: Path) -> tuple[Path, bytes]:
    """A second of noise as a WAV file, and its samples."""
    samples = np.random.default_rng(3).integers(-9000, 9000, 22_050).astype("<i2").tobytes()
    path = tmp_path / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(22_050)
        file.writeframes(samples)
    return path, samples


def test_the_documented_python_program_gives_sound(
    host: Host, tmp_path: Path, spoken_file: tuple[Path, bytes]
) -> None:
    path, samples = spoken_file
    process = subprocess.Popen(
        [sys.executable, documented("python", "wave.open", tmp_path), host.served.address, path],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    heard, _ = collected(host, process)
    assert b"".join(given.samples for given in heard) == samples
    assert {given.rate for given in heard} == {22_050}
    steps = np.diff([given.at for given in heard])
    assert np.allclose(steps, 0.02, atol=1e-3)


def test_the_documented_javascript_program_gives_pictures(host: Host, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed")
    path = tmp_path / "picture.jpg"
    path.write_bytes(picture())
    process = subprocess.Popen(
        [node, "--experimental-websocket", documented("js", "jpeg", tmp_path), host.served.address,
         path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    _, seen = collected(host, process)
    assert len(seen) >= 10
    assert {given.jpeg for given in seen} == {picture()}


def test_push_gives_a_recording_as_if_it_happened_now(host: Host, tmp_path: Path) -> None:
    recording = cut(tmp_path / "short.mkv", 3.0)
    process = start("gscon_live", "push", recording, host.served.address)
    heard, seen = collected(host, process)
    assert "3." in process.communicate()[0]
    samples = np.concatenate([np.frombuffer(given.samples, "<i2") for given in heard])
    expected = np.rint(recorded(recording) * 32768)[: len(samples)]
    assert len(samples) > 2.9 * 16_000
    assert np.abs(samples - expected).max() <= 2
    assert np.allclose(np.diff([given.at for given in heard]), 0.02, atol=5e-3)
    assert 28 <= len(seen) <= 31
    assert {jpeg_header.size(given.jpeg)[0] for given in seen} == {320}
    # Both tracks begin at 0.
    assert seen[0].at - heard[0].at == pytest.approx(0.0, abs=0.05)


def test_push_gives_standard_input(host: Host, spoken_file: tuple[Path, bytes]) -> None:
    path, _ = spoken_file
    with path.open("rb") as file:
        process = start("gscon_live", "push", "-", host.served.address, stdin=file)
    heard, seen = collected(host, process)
    length = sum(len(given.samples) for given in heard) / 2 / 16_000
    assert length == pytest.approx(1.0, abs=0.05)
    assert seen == []


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["nothing.mp4", "http://127.0.0.1:1/?token=x"], "no such file"),
        ([__file__, "http://127.0.0.1:1/?token=x"], "start it with gscon-live live"),
        ([__file__, "127.0.0.1:1"], "copy the whole line"),
        (["-", "http://127.0.0.1:1/?token=x"], "start it with gscon-live live"),
    ],
)
def test_push_says_in_one_line_what_is_wrong(words: list[str], remedy: str) -> None:
    done = run("gscon_live", "push", *words)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert remedy in done.stderr


def test_push_refuses_what_is_no_recording(host: Host) -> None:
    done = run("gscon_live", "push", __file__, host.served.address)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "give a file with sound" in done.stderr


def test_pictures_of_the_sessions_camera_go_to_who_looks(tmp_path: Path) -> None:
    camera = f"ipc://{tmp_path / 'camera'}"
    wanted = msgspec.json.encode(visitor.Visitor(camera=camera)).decode()
    outlet = Outlet(camera, visitor.PICTURE_QUEUE)
    with (
        Station(f"ipc://{tmp_path / 'events'}", "s") as station,
        page(station.endpoint, "--visitor", wanted) as served,
    ):
        assert served.state()["shows"]
        assert served.state()["wants"] == []
        assert handshake(served, "/camera") == 403
        assert handshake(served, f"/camera?token={served.token}", Origin="https://evil") == 403
        assert not outlet.awaited
        uri = f"ws://{served.host}:{served.port}/camera?token={served.token}"
        with connect(uri, proxy=None) as first, connect(uri, proxy=None) as second:
            for number in range(3):
                shown_ = picture(64 + number)
                wait_for(lambda: outlet.awaited)
                outlet.send(Picture(0, 1.0, shown_))
                assert first.recv(timeout=20) == shown_
                assert second.recv(timeout=20) == shown_
        wait_for(lambda: not outlet.awaited)
    outlet.close()


def test_a_session_without_a_camera_of_its_own_shows_none(host: Host) -> None:
    assert not host.served.state()["shows"]
    assert handshake(host.served, f"/camera?token={host.served.token}") == 409
