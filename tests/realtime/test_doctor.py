"""What is promised of the doctor: everything looked for, remedies, and that it never crashes."""

import json
from pathlib import Path

import pytest

from gscon_live.common import cli
from gscon_live.realtime import doctor, doctor_checks
from gscon_live.realtime.pipeline.settings import Settings, Transcription


def test_everything_is_looked_for_and_the_exit_code_says_whether_it_works(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = cli.run(doctor.main, ["--json"])
    found = json.loads(capsys.readouterr().out)
    names = {finding["name"] for finding in found["findings"]}
    assert names >= {
        "PortAudio", "microphones", "cameras", "FFmpeg libraries", "OpenCV", "PyTorch", "GPU",
        "ZeroMQ", "CURVE", "publishing", "voice activity", "speech recognition", "text encoder",
        "voice encoder", "speakers", "face detector", "face encoder", "emotion model",
    }  # fmt: skip
    for finding in found["findings"]:
        assert finding["detail"]
        assert "\n" not in finding["detail"]
        assert finding["found"] or finding["remedy"]
    needed = [finding["found"] for finding in found["findings"] if finding["needed"]]
    assert found["works"] == all(needed)
    assert code == (0 if all(needed) else 1)


def test_a_part_that_breaks_in_any_way_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(settings: Settings) -> str:
        raise OSError("no\nlibrary")

    broken = tuple((name, needed, "get it", breaks) for name, needed, _, _ in doctor_checks.CHECKS)
    monkeypatch.setattr(doctor, "CHECKS", broken)
    assert cli.run(doctor.main, []) == 1
    shown = capsys.readouterr().out
    assert "Nothing works without" in shown
    assert "OSError: no library" in shown
    assert "get it" in shown


def test_only_what_is_needed_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(settings: Settings) -> str:
        raise RuntimeError("broken")

    broken = (("one", False, "remedy", breaks), ("two", True, "remedy", lambda settings: "there"))
    monkeypatch.setattr(doctor, "CHECKS", broken)
    assert cli.run(doctor.main, []) == 0


def test_a_whisper_model_in_the_configured_directory_or_the_cache_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(doctor_checks.Missing):
        doctor_checks._whisper(Settings())
    snapshot = tmp_path / "cache" / "models--Systran--faster-whisper-tiny.en" / "snapshots" / "1"
    snapshot.mkdir(parents=True)
    (snapshot / "model.bin").touch()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.bin").touch()
    settings = Settings(transcription=Transcription(transcriber=f"auto:{tmp_path / 'mine'}"))
    assert doctor_checks._whisper(settings) == f"{tmp_path / 'mine'}, tiny.en"
