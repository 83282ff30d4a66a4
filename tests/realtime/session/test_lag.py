"""A stage that falls behind the conversation is named once, and again when it has caught up."""

import random
from pathlib import Path

import sessions

from gscon_live.realtime.events import schema
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.control import Status
from gscon_live.realtime.session.lag import BEHIND, RECOVERED, Lags, known_at


def _status(lag: float | None) -> Status:
    return Status("watch", 1, "running", gauges={} if lag is None else {"lag": lag})


def test_each_change_is_told_once() -> None:
    lags = Lags()
    readings = [0.0, BEHIND - 0.1, BEHIND, 9.0, RECOVERED + 0.1, None, RECOVERED, 0.0, BEHIND + 1]
    told = [late for lag in readings for late, _ in lags.report(_status(lag))]
    assert told == ["behind", "recovered", "behind"]


def test_between_the_limits_nothing_changes() -> None:
    lags, generator = Lags(), random.Random(0)
    for _ in range(100):
        between = generator.uniform(RECOVERED + 0.01, BEHIND - 0.01)
        assert not list(lags.report(_status(between)))


def test_the_time_of_a_message_is_when_it_could_be_known() -> None:
    assert known_at(messages.Segment(1, 2.0, 3.0, 3.5, True, None)) == 3.5
    assert known_at(messages.AudioChunk(4.0, b"")) == 4.0
    assert known_at(messages.Mark(5.0, "recording")) is None


def test_a_slow_stage_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    recording = sessions.cut(tmp_path / "part.mkv", 17.0)
    plan = sessions.plan_for(recording, captions="off", live=True, speed=1.0)
    play = sessions.Play(plan, services=sessions.built_by(transcribe="stubs:sleepy"))
    assert play.go()
    told = [(health.stage, health.status) for health in sessions.of(schema.Health, play.events)]
    assert ("transcribe", "behind") in told
    assert told.index(("transcribe", "behind")) < told.index(("transcribe", "recovered"))
    assert len(sessions.utterances(play.events)) == 4
