"""A short run of `make soak`, and that what it looks for would be found."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import soak
from devices import need
from memory import growth
from sessions import ROOT
from soak_ledger import Span, lost, of_device, uncounted, unexplained

from gscon_live.realtime.events import schema

HERE = Path(__file__).parent
MIB = float(soak.MEBIBYTE)
HEADER: dict[str, Any] = {"schema": schema.SCHEMA, "session": "s", "seq": 0}
ABSENT = schema.Modality(present=False, reason="none")


def gap(time: float, seconds: float, what: Any = "audio", reason: str = "x", count: int = 1) -> Any:
    return schema.Gap(**HEADER, time=time, what=what, count=count, seconds=seconds, reason=reason)


def answer(start: float, end: float, number: int = 1) -> schema.UtteranceEvent:
    return schema.UtteranceEvent(
        **HEADER,
        utterance=schema.UtteranceInfo(
            id=number, start=start, end=end, speaker="S1", text="", text_source="none"
        ),
        emotion=schema.Emotion(label="joy", confidence=1.0, probabilities={}, abstained=False),
        modalities=schema.Modalities(text=ABSENT, audio=ABSENT, visual=ABSENT),
        model=schema.ModelInfo(name="m", version="1"),
    )


def test_an_utterance_that_no_event_accounts_for_is_found() -> None:
    spoken = [Span("a", 10.0, 12.0), Span("b", 20.0, 22.0), Span("c", 40.0, 42.0)]
    events = [answer(10.4, 12.4), gap(24.0, 4.0)]
    assert lost(spoken, events) == [spoken[2]]
    assert lost(spoken, [*events, gap(41.0, 0.0, "utterance")]) == []
    assert lost(spoken, [*events, gap(41.0, 0.0, "frames")]) == [spoken[2]]


def test_an_utterance_without_an_end_is_found_unless_a_gap_counts_it() -> None:
    begun = [schema.SpeechStarted(**HEADER, utterance=n, start=float(n)) for n in (1, 2, 3)]
    assert uncounted([*begun, answer(1.0, 2.0, 1)]) == [2, 3]
    assert uncounted([*begun, answer(1.0, 2.0, 1), gap(3.0, 0.0, "utterance")]) == [2]
    assert uncounted([*begun, gap(3.0, 0.0, "utterance", count=3)]) == []


def test_a_gap_needs_a_disturbance_or_a_cause_of_its_own() -> None:
    away = Span("the microphone goes", 50.0, 55.0)
    events = [gap(53.0, 2.0), gap(100.0, 1.0), gap(110.0, 1.0, reason="the computer is busy, and")]
    assert unexplained([away], events) == [events[1]]
    device = gap(200.0, 0.3, reason="sound is missing")
    assert unexplained([away], [device]) == []
    assert of_device([away], [device, gap(52.0, 0.3, reason="sound is missing")]) == [device]


def test_memory_that_grows_after_the_warm_up_is_found() -> None:
    flat = [(float(t), 500 * MIB + t % 7 * MIB) for t in range(0, 1000, 2)]
    assert abs(growth(flat, 100.0) or 0.0) < 8 * MIB
    leaking = [(t, used + t * MIB / 10) for t, used in flat]
    assert (growth(leaking, 100.0) or 0.0) > soak.BREATH
    assert growth(flat[:8], 0.0) is None


@pytest.mark.fault
@pytest.mark.alone
def test_a_session_that_everything_happens_to_accounts_for_all_that_was_said() -> None:
    """`make soak`: every utterance is answered or counted in a `gap`, and nothing is left"""
    need("pulseaudio", "pactl", "pacat", "ffmpeg")
    done = subprocess.run(
        [sys.executable, HERE / "soak.py", "--minutes", "1", "--seed", "4"],
        cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=540,
        env=soak.environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "utterances spoken" in done.stdout
    assert "│ wrong " in done.stdout
