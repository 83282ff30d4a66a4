"""The benchmark measures real sessions and says so in JSON."""

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from sessions import cut, settings
from whisper_models import whisper_model

from gscon_live.common.cli import run
from gscon_live.realtime.bench import busy_machine, measure, media, page_cost, random_whisper
from gscon_live.realtime.bench.__main__ import MEANING, main
from gscon_live.realtime.listen.whisper import Whisper
from gscon_live.realtime.pipeline.settings import Transcription
from gscon_live.realtime.sample import CONVERSATION


def test_json_has_the_figures_asked_for() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gscon_live.realtime.bench", "--only", "replay", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    figures = json.loads(done.stdout)
    assert figures["replay_realtime_factor"] > 0
    assert {"date", "machine", "seed"} <= set(figures)
    assert set(figures) - {"date", "machine", "seed"} <= set(MEANING)


def test_a_setting_may_come_after_the_measurements(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(main, ["--only", "replay", "transcription.no_such_setting=1"]) == 2
    assert "no_such_setting" in capsys.readouterr().err
    assert run(main, ["--only", "no_such_measurement"]) == 2
    assert "no_such_measurement" in capsys.readouterr().err


def test_the_page_is_measured_beside_a_replay_without_it(tmp_path: Path) -> None:
    figures = page_cost.page(settings(), cut(tmp_path / "clip.mkv", 4.0))
    assert set(figures) <= set(MEANING)
    assert figures["page_replay_ratio"] > 0


def test_words_are_measured_with_a_real_model(tmp_path: Path) -> None:
    model = whisper_model("tiny.en")
    figures = measure.words(
        settings(f"transcription.transcriber={model}"), cut(tmp_path / "clip.mkv", 9.0)
    )
    assert figures.pop("transcription_model") == model.name
    starts = ("answer_", "start_")
    names = {name for name in MEANING if "words" in name or name.startswith(starts)}
    assert names == set(figures)
    assert figures["replay_words_realtime_factor"] > 0
    assert figures["start_to_listening_s"] > 0
    # The hangover is not a part of it, however long it was.
    assert 0 <= figures["answer_after_hangover_p50_s"] <= figures["answer_after_hangover_p95_s"]


@pytest.mark.alone
def test_a_busy_machine_answers_all_and_is_left_as_it_was(tmp_path: Path) -> None:
    model = whisper_model("tiny.en")
    figures = busy_machine.load(
        settings(f"transcription.transcriber={model}"), cut(tmp_path / "clip.mkv", 9.0)
    )
    assert set(figures) == {name for name in MEANING if name.startswith("busy_")}
    assert figures["busy_answers"] > 0
    assert 0 <= figures["busy_left_out_share"] <= 1
    assert (
        0
        < figures["busy_end_of_speech_to_event_p50_s"]
        <= figures["busy_end_of_speech_to_event_max_s"]
    )
    before = {*psutil.Process().children()}
    with busy_machine.busy(3):
        programs = {*psutil.Process().children()} - before
        assert len(programs) == 3
    assert not any(program.is_running() for program in programs)


def test_an_archive_is_measured_beside_one_process() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gscon_live.realtime.bench", "--only", "archive", "--minutes", "0.5",
         "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    figures = json.loads(done.stdout)
    names = {name for name in MEANING if name.startswith("archive_")}
    assert names == set(figures) - {"date", "machine", "seed"}
    assert all(figures[name] > 0 for name in names)


def test_a_repeated_recording_has_all_copies_with_their_captions(tmp_path: Path) -> None:
    def packets(path: Path) -> dict[str, int]:
        counts: dict[str, int] = {}
        with av.open(str(path)) as container:
            for packet in container.demux():
                if packet.pts is not None:
                    counts[packet.stream.type] = counts.get(packet.stream.type, 0) + 1
        return counts

    once = packets(CONVERSATION)
    thrice = packets(media.repeated(tmp_path / "long.mkv", 3 * 45.2))
    assert thrice == {kind: 3 * count for kind, count in once.items()}
    without = packets(media.repeated(tmp_path / "voice.mkv", 3 * 45.2, video=False))
    assert set(without) == {"audio", "subtitle"}
    with av.open(str(media.repeated(tmp_path / "short.mkv", 4.0))) as short:
        assert short.duration / av.time_base == pytest.approx(4.0, abs=0.2)
    assert packets(tmp_path / "short.mkv")["subtitle"] == 1


@pytest.mark.parametrize("seconds", [1.0, 3.0])
def test_random_weights_load_as_a_whisper_model(
    seconds: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "whisper-tiny-random"
    if not folder.exists():
        folder.mkdir()
        random_whisper.make_tiny(folder)
    sound = np.random.default_rng(0).normal(0, 0.1, round(16_000 * seconds)).astype(np.float32)
    text, reason, *_ = Whisper(str(folder), Transcription(language="en"))(sound)
    # Nobody knows which words random weights write; the guards believe none of them.
    assert (text, reason is not None) == ("", True)
