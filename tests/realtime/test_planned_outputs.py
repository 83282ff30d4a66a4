"""A live session and keys destroy nothing, and say so before a device is opened."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gscon_live.common import cli
from gscon_live.realtime import keys, live
from gscon_live.realtime.events.endpoint import socket_path
from gscon_live.realtime.session.planned_outputs import check_outputs
from gscon_live.realtime.session.publisher import Publisher


@pytest.fixture(autouse=True)
def _handler() -> Iterator[None]:
    """A command changes what SIGTERM does."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


DESTROYS = {
    "somebody's table": ["--events", "mine.csv"],
    "the camera": ["--camera", "camera.jsonl", "--events", "camera.jsonl"],
    "the configuration": ["--config", "own.yaml", "--events", "link.csv"],
    "a folder that is not empty": ["--record", "full"],
    "a file instead of a folder": ["--record", "mine.csv/kept"],
    "events in the recording": ["--record", "new", "--events", "new/events.jsonl"],
    "one path twice": ["--record", "new.csv", "--events", "new.csv"],
    "a socket over a file": ["--publish", "ipc://mine.csv"],
    "a socket over a recording": ["--record", "new", "--publish", "ipc://new"],
    "another kind": ["--events", "out.xlsx"],
}


@pytest.mark.fault
@pytest.mark.parametrize("words", DESTROYS.values(), ids=DESTROYS.keys())
def test_a_live_session_that_would_destroy_something_is_refused_before_all_else(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A live session with an output that would destroy something: refused first."""
    monkeypatch.chdir(tmp_path)
    Path("mine.csv").write_text("mine", encoding="utf-8")
    Path("camera.jsonl").write_text("", encoding="utf-8")
    Path("own.yaml").write_text("{}", encoding="utf-8")
    Path("link.csv").symlink_to("own.yaml")
    Path("full").mkdir()
    Path("full/notes").write_text("mine", encoding="utf-8")
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    # With a microphone and a checkpoint that do not exist: nobody looks for them.
    missing = ["--microphone", "none of that name", "recognition.checkpoint=nowhere"]
    assert cli.run(live.main, [*words, *missing]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "checkpoint" not in printed
    assert "microphone" not in printed
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.fault
def test_a_missing_model_is_found_before_a_device_is_opened(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A missing model in a live session: found before a device is opened."""
    for setting, name in (
        ("recognition.checkpoint=nowhere", "checkpoint"),
        ("features.face_detector=nowhere.onnx", "face detector"),
        ("transcription.transcriber=nowhere", "transcriber"),
    ):
        words = ["--microphone", "none of that name", "--publish", "off", setting]
        assert cli.run(live.main, words) == 2
        assert capsys.readouterr().err.startswith(f"error: {name}")


def test_a_set_up_by_name_is_no_file_that_an_output_could_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(live.main, ["--record", "live", "recognition.checkpoint=nowhere"]) == 2
    assert "checkpoint" in capsys.readouterr().err
    check_outputs(record="live", events="live.csv")


@pytest.mark.fault
@pytest.mark.parametrize("folder", ["/proc/keys", "file/keys"])
def test_keys_that_cannot_be_written_are_one_line(
    folder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Keys that cannot be written: one line, exit code 2."""
    if folder.startswith("/proc") and not Path("/proc/self").exists():
        pytest.skip("needs /proc")
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("mine", encoding="utf-8")
    assert cli.run(keys.main, [folder]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.fault
def test_a_publisher_removes_its_socket_and_nobody_elses(tmp_path: Path) -> None:
    """The socket file of `--publish ipc://FILE`: gone after the session."""
    endpoint = f"ipc://{tmp_path}/stream"
    with Publisher(endpoint, "s"):
        assert (tmp_path / "stream").is_socket()
        with pytest.raises(Exception, match="another program publishes there"):
            Publisher(endpoint, "t")
    assert not (tmp_path / "stream").exists()
    assert socket_path("tcp://127.0.0.1:5560") is None
    assert socket_path("ipc://*") is socket_path("ipc://@name") is None
