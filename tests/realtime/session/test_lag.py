"""A session that falls behind names the stage that is slow, with a remedy, and does not flap."""

import random
from pathlib import Path

import pytest
import sessions

from gscon_live.realtime.events import schema
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.control import Status
from gscon_live.realtime.session.lag import BEHIND, GRACE, QUIET, RECOVERED, Lags, known_at


def status(service: str, lag: float | None = None, work: float = 0.0) -> Status:
    gauges: dict[str, float | str | bool] = {"work": work}
    return Status(service, 1, "running", gauges=gauges if lag is None else {**gauges, "lag": lag})


def changes(readings: list[tuple[float, Status]]) -> list[tuple[str, str]]:
    """What is reported after readings at their times in seconds."""
    lags = Lags()
    return [(c.stage, c.status) for now, read in readings for c in lags.report(read, now)]


@pytest.mark.fault
def test_the_stage_that_works_is_named_and_not_the_one_that_waits_for_it() -> None:
    """Transcription is slow: `transcribe` is named, not `recognise`, with what is faster."""
    lags, seen = Lags(), []
    for second in range(5):
        now = float(second)
        # What comes late out of `transcribe` reaches `recognise` late, which does little with it.
        for read in (
            status("recognise", lag=BEHIND + 3, work=0.01),
            status("segment", lag=0.1, work=0.05),
            status("watch", lag=0.1, work=0.95),  # busier, but its pictures are in time
            status("transcribe", lag=0.2, work=0.9),
        ):
            seen += list(lags.report(read, now))
    (change,) = seen
    assert (change.stage, change.status) == ("transcribe", "behind")
    assert "--transcriber" in change.detail
    assert f"{BEHIND + 3:.1f} s behind" in change.detail


@pytest.mark.fault
def test_a_stage_that_is_late_at_each_utterance_is_reported_once() -> None:
    """Late at each utterance, in time between them: one `behind`, and no `recovered` for each."""
    readings = []
    for number in range(20):
        readings += [
            (10.0 * number, status("transcribe", lag=BEHIND + 1, work=5.0)),
            (10.0 * number + 1, status("transcribe")),
            (10.0 * number + 5, status("transcribe", lag=0.0)),
        ]
    assert changes(readings) == [("transcribe", "behind")]


def test_after_a_while_without_lag_the_session_has_recovered_and_may_fall_behind_again() -> None:
    late = status("watch", lag=BEHIND, work=1.0)
    good = status("watch", lag=RECOVERED)
    times = [(0.0, late), (GRACE, late), (QUIET, good), (2 * QUIET, good), (100.0, late)]
    expected = [("watch", "behind"), ("watch", "recovered"), ("watch", "behind")]
    assert changes([*times, (100.0 + GRACE, late)]) == expected


def test_between_the_limits_nothing_changes() -> None:
    generator = random.Random(0)
    between = [generator.uniform(RECOVERED + 0.01, BEHIND - 0.01) for _ in range(100)]
    assert changes([(n, status("watch", lag=lag, work=1)) for n, lag in enumerate(between)]) == []


def test_the_time_of_a_message_is_when_it_could_be_known() -> None:
    assert known_at(messages.Segment(1, 2.0, 3.0, 3.5, True, None)) == 3.5
    assert known_at(messages.AudioChunk(4.0, b"")) == 4.0
    assert known_at(messages.Mark(5.0, "recording")) is None


def test_a_slow_stage_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    recording = sessions.cut(tmp_path / "part.mkv", 17.0)
    # Without pictures: on a busy machine, these may be late first.
    plan = sessions.plan_for(recording, captions="off", live=True, speed=1.0, has_video=False)
    play = sessions.Play(plan, services=sessions.built_by(transcribe="stubs:sleepy"))
    assert play.go()
    reported = [(health.stage, health.status) for health in sessions.of(schema.Health, play.events)]
    assert reported == [("transcribe", "behind")]
    assert len(sessions.utterances(play.events)) == 4
