"""What is wrong in a request is named as the user wrote it, with what may have been meant."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gscon_live import commands
from gscon_live.common import cli
from gscon_live.realtime import replay
from gscon_live.realtime.sample import CONVERSATION


@pytest.fixture(autouse=True)
def _handler() -> Iterator[None]:
    """A command changes what SIGTERM does."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


def refusal(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.run(replay.main, [*words, "--quiet"]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    return printed


@pytest.mark.fault
@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("hangover=0.4", "did you mean segmentation.hangover?"),
        ("segmentation.hangovr=1", "did you mean segmentation.hangover?"),
        ("recording.audiotrack=1", "did you mean recording.audio_track?"),
        ("recognition.checkpoint=liv", "did you mean 'live'?"),
        ("transcription.transcriber=smal", "did you mean 'small'?"),
    ],
)
def test_a_typo_in_a_setting_is_answered_with_the_nearest(
    word: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typo such as `hangover=0.4`: the word of the command line, and the nearest that exists."""
    printed = refusal([str(CONVERSATION), word], capsys)
    assert hint in printed
    assert "live.yaml" not in printed


@pytest.mark.fault
def test_a_wrong_value_is_shown_as_it_was_typed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong value on the command line: that word is named, not the configuration's file."""
    printed = refusal([str(CONVERSATION), "segmentation.hangover=soon"], capsys)
    assert printed.startswith("error: segmentation.hangover=soon: ")
    path = tmp_path / "own.yaml"
    path.write_text("segmentation: {hangovr: 1}", encoding="utf-8")
    printed = refusal([str(CONVERSATION), "--config", str(path), "camera.rate=5"], capsys)
    assert str(path) in printed
    assert "did you mean 'hangover'?" in printed


@pytest.mark.fault
def test_a_typo_in_a_command_or_a_set_up_is_answered_with_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A typo in a command, a configuration or a recipe: the nearest that exists."""
    assert "did you mean 'live'?" in refusal([str(CONVERSATION), "--config", "lvie"], capsys)
    for words, name in ((["replai"], "replay"), (["fit", "iemocp"], "iemocap")):
        assert cli.run(commands.main, words) == 2
        assert f"did you mean {name!r}?" in capsys.readouterr().err


@pytest.mark.fault
@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--report", "x.pdf"], "x.pdf"),
        (["--events", "x.xlsx"], "x.xlsx"),
        (["--report", "nowhere/x.html"], "nowhere/x.html"),
        (["nowhere.mkv"], "nowhere.mkv"),
        (["recognition.checkpoint=nowhere"], "checkpoint"),
        (["features.face_detector=nowhere.onnx"], "face detector"),
    ],
)
def test_everything_is_checked_before_anything_is_downloaded(
    words: list[str],
    part: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A wrong output, a missing file or model: refused before a download and before the work."""

    def download(*_: object, **__: object) -> None:
        raise AssertionError("a model was asked for")

    monkeypatch.setattr("gscon_live.realtime.listen.transcription_source.download_model", download)
    words = [str(CONVERSATION), "--captions", "off", *words]
    assert part in refusal(words, capsys)
