"""What breaks in a live session: it is restarted, said, and nothing else is lost."""

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from devices import VirtualMicrophone, camera_server, microphone_of_workers
from sessions import (
    HERE,
    Play,
    built_by,
    check,
    cut,
    of,
    plan_for,
    settings,
    utterances,
)  # fmt: skip
from sound import recorded

from gscon_live.common.errors import Failure
from gscon_live.realtime.capture.caption_files import read_file
from gscon_live.realtime.events import schema
from gscon_live.realtime.listen.transcription_source import Words
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.services import MEBIBYTE, Input, Service
from gscon_live.realtime.sample import CONVERSATION
from gscon_live.realtime.session import processes
from gscon_live.realtime.session.service_table import SERVICES
from gscon_live.realtime.session.session_plan import Plan

#: Seconds from a failure to the new process being ready: promised, on a machine that is not busy.
BACK = 2.0


class Kills:
    """Kills services, one at a time, and knows the processes before and after."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self.before: dict[str, dict[str, int | None]] = {}

    def at(self, moment: float, service: str) -> None:
        self._play.at(moment, lambda: self._kill(service))

    def _kill(self, service: str) -> None:
        self.before[service] = self._play.pids
        self._play.kill(service)


def restarts(events: list[schema.AnyEvent]) -> dict[str, float]:
    """Seconds of media time from each failure to the restart, by stage, in order."""
    began: dict[str, float] = {}
    made: dict[str, float] = {}
    for health in of(schema.Health, events):
        if health.status == "failed":
            began[health.stage] = health.time
        elif health.status == "restarted":
            made[health.stage] = health.time - began[health.stage]
    return made


@pytest.fixture(scope="module")
def killed() -> tuple[Play, Kills]:
    """The sample at the pace of life, with one stage after the other killed while people talk."""
    play = Play(plan_for(CONVERSATION, live=True, speed=1.0))
    kills = Kills(play)
    for moment, service in (
        (6.0, "transcribe"),
        (10.5, "segment"),
        (14.5, "watch"),
        (23.0, "recognise"),
    ):
        kills.at(moment, service)
    assert play.go()
    return play, kills


@pytest.mark.fault
@pytest.mark.alone
def test_every_killed_stage_is_restarted_and_says_so(killed: tuple[Play, Kills]) -> None:
    """A stage that is killed: restarted, and said in `health` events."""
    play, kills = killed
    health = of(schema.Health, play.events)
    assert [(report.stage, report.status) for report in health] == [
        (stage, status)
        for stage in ("transcribe", "segment", "watch", "recognise")
        for status in ("failed", "restarted")
    ]
    for failed, restarted in zip(health[::2], health[1::2], strict=True):
        assert failed.detail == "killed by SIGKILL"
        assert restarted.detail == f"process {play.last_pids[failed.stage]}"
        assert play.last_pids[failed.stage] != kills.before[failed.stage][failed.stage]


@pytest.mark.alone
def test_a_restarted_stage_is_ready_within_two_seconds(killed: tuple[Play, Kills]) -> None:
    # The median, since other work on the machine may hold up one of them.
    took = restarts(killed[0].events)
    print("restarts:", {stage: round(seconds, 2) for stage, seconds in took.items()})
    assert len(took) == 4
    assert statistics.median(took.values()) < BACK


@pytest.mark.alone
def test_no_other_stage_is_lost(killed: tuple[Play, Kills]) -> None:
    play, kills = killed
    order = list(kills.before)
    for killed_, after in zip(
        order, [*(kills.before[name] for name in order[1:]), play.last_pids], strict=True
    ):
        changed = {name for name, pid in kills.before[killed_].items() if after[name] != pid}
        assert changed == {killed_}


@pytest.mark.fault
@pytest.mark.alone
def test_what_was_being_worked_on_is_said_to_be_lost(killed: tuple[Play, Kills]) -> None:
    """A stage that is killed at work: what it worked on is a `gap`."""
    lost = [gap for gap in of(schema.Gap, killed[0].events) if gap.what == "utterance"]
    assert any("transcribe failed" in gap.reason for gap in lost)


@pytest.mark.alone
def test_later_utterances_are_complete(killed: tuple[Play, Kills]) -> None:
    by_start = {round(event.utterance.start, 1): event for event in utterances(killed[0].events)}
    later = [by_start[start] for start in (27.8, 31.2, 35.2, 39.5)]
    for event in later:
        assert event.utterance.text
        assert event.modalities.text.present
        assert event.modalities.audio.present
        assert event.latency is not None
    assert [event.modalities.visual.present for event in later] == [False, True, False, True]
    assert by_start[1.0].modalities.visual.present
    between = [event for start, event in by_start.items() if 17 < start < 18]
    assert between[0].modalities.visual.present  # the watch is back


def test_a_stage_that_fails_again_and_again_is_given_up_where_it_can_be_missed(
    tmp_path: Path,
) -> None:
    plan = plan_for(cut(tmp_path / "clip.mkv", 17.0), live=True, speed=1.0)
    play = Play(plan, services=built_by(watch="stubs:broken"))
    assert play.go()
    watch = [health.status for health in of(schema.Health, play.events) if health.stage == "watch"]
    assert watch.count("failed") == 4
    assert watch[-1] == "lost"
    said = utterances(play.events)
    assert len(said) == 4
    for event in said:
        assert event.modalities.text.present
        assert event.modalities.audio.present
        assert not event.modalities.visual.present


def test_a_restarted_stage_does_not_wait_for_one_that_was_given_up(tmp_path: Path) -> None:
    clip = cut(tmp_path / "clip.mkv", 28.0)
    plan = plan_for(clip, live=True, speed=1.0, has_video=False)
    aside = Service(
        name="aside",
        build="stubs:broken",
        runs=lambda plan: True,
        # A queue of two: who goes on sending waits at the third message.
        takes=(
            Input("transcribe", (messages.SpeechStarted, messages.Control), message_bytes=MEBIBYTE),
        ),
        needed=False,
    )
    play = Play(plan, services=(aside, *SERVICES))
    killed: list[float] = []

    def health() -> dict[tuple[str, str], float]:
        return {
            (health.stage, health.status): health.time for health in of(schema.Health, play.events)
        }

    def kill() -> None:
        play.kill("transcribe")
        killed.append(time.monotonic())

    play.when(lambda: ("aside", "lost") in health(), kill)
    # A stage that waits for the one that is gone does so for ever.
    play.when(
        lambda: bool(killed) and time.monotonic() > killed[0] + 120, lambda: play.session.stop()
    )
    assert play.go()
    back = health()["transcribe", "restarted"]
    assert health()["aside", "lost"] < back
    assert [event for event in utterances(play.events) if event.utterance.start > back]


def test_a_stage_that_cannot_be_missed_ends_the_session_when_it_fails_again_and_again(
    tmp_path: Path,
) -> None:
    plan = plan_for(cut(tmp_path / "clip.mkv", 9.0), live=True, speed=1.0, has_video=False)
    play = Play(plan, services=built_by(segment="stubs:broken"))
    with pytest.raises(Failure, match=r"segment: failed 4 times in a minute .*broken for a test"):
        play.go()
    check(play.events)
    assert play.events[-1].complete is False  # type: ignore[union-attr]


def test_utterance_numbers_stay_unique_when_two_stages_fail_during_one(tmp_path: Path) -> None:
    play = Play(plan_for(cut(tmp_path / "clip.mkv", 9.0), live=True, speed=1.0, has_video=False))
    play.at(2.0, lambda: play.kill("transcribe"))
    play.when(
        lambda: any(event.utterance.end > 3.0 for event in utterances(play.events)),
        lambda: play.kill("recognise"),
    )
    assert play.go()
    assert len(utterances(play.events)) == 2


@pytest.mark.fault
def test_what_was_asked_of_the_stage_that_answers_is_counted(tmp_path: Path) -> None:
    """The stage that answers is killed while somebody speaks: a `gap` counts the utterance."""
    play = Play(plan_for(cut(tmp_path / "clip.mkv", 9.0), live=True, speed=1.0, has_video=False))
    play.when(lambda: bool(of(schema.SpeechStarted, play.events)), lambda: play.kill("recognise"))
    assert play.go()
    begun = {event.utterance for event in of(schema.SpeechStarted, play.events)}
    ended = {event.utterance.id for event in utterances(play.events)}
    lost = [gap for gap in of(schema.Gap, play.events) if gap.what == "utterance"]
    assert sum(gap.count for gap in lost) == len(begun - ended) == 1
    assert lost[0].reason == "they were being worked on when recognise failed"


@pytest.mark.fault
@pytest.mark.parametrize("stage", ["segment", "transcribe", "recognise"])
def test_sound_that_waited_for_a_killed_stage_is_counted(stage: str, tmp_path: Path) -> None:
    """A stage is killed while sound waits for it: what was lost is a `gap` with the seconds"""
    plan = plan_for(
        cut(tmp_path / "clip.mkv", 17.0), captions="off", live=True, speed=1.0, has_video=False
    )
    play = Play(plan)
    stopped: list[float] = []

    def stop() -> None:
        play.kill(stage, signal.SIGSTOP)
        stopped.append(time.monotonic())

    # Of an utterance that has begun before, a gap tells anyway.
    play.at(3.6, stop)
    play.when(
        lambda: bool(stopped) and time.monotonic() > stopped[0] + 4.0,
        lambda: play.kill(stage, signal.SIGKILL),
    )
    assert play.go()
    said = [(event.utterance.start, event.utterance.end) for event in utterances(play.events)]
    gaps = [gap for gap in of(schema.Gap, play.events) if gap.what in ("audio", "utterance")]
    counted = [(gap.time, gap.time + gap.seconds) for gap in gaps]
    for cue in read_file(CONVERSATION.with_suffix(".vtt")):
        if isinstance(cue, messages.Cue) and cue.end < 17.0:
            assert any(
                min(end, cue.end) - max(start, cue.start) > 0.5 for start, end in said
            ) or any(start < cue.end + 0.5 and end > cue.start - 0.5 for start, end in counted), cue
    assert any(start > 12.0 for start, _ in said)
    # What ZeroMQ had not handed over to the killed process, the next one gets.
    lost = [gap for gap in gaps if gap.what == "audio"]
    assert len(lost) == 1 if stage == "segment" else len(lost) <= 1
    for gap in lost:
        assert gap.time == pytest.approx(3.6, abs=1.5)
        assert 0.5 < gap.seconds < 9.0
        assert "when this stage failed" in gap.reason


@pytest.mark.fault
def test_what_a_stopped_session_has_not_worked_on_is_counted(tmp_path: Path) -> None:
    """A live session that is behind is stopped: a `gap` with the seconds of the rest."""
    plan = plan_for(
        cut(tmp_path / "clip.mkv", 9.0), captions="off", live=True, speed=1.0, has_video=False
    )
    play = Play(plan)
    play.at(2.0, lambda: play.kill("transcribe", signal.SIGSTOP))
    play.at(6.0, lambda: play.session.stop())
    play.go()
    ended = play.events[-1]
    assert isinstance(ended, schema.SessionEnded)
    assert not ended.complete
    lost = [gap for gap in of(schema.Gap, play.events) if "session was stopped" in gap.reason]
    (sound,) = [gap for gap in lost if gap.what == "audio"]
    assert sound.time == pytest.approx(2.0, abs=1.5)
    assert sound.time + sound.seconds == pytest.approx(ended.duration, abs=0.01)


def test_a_clock_that_jumps_costs_no_utterance(tmp_path: Path) -> None:
    plan = plan_for(
        cut(tmp_path / "clip.mkv", 13.0), captions="off", live=True, speed=2.0, has_video=False
    )
    play = Play(plan, services=built_by(recording="stubs:jumping"))
    assert play.go()
    events = utterances(play.events)
    starts = [event.utterance.start for event in events]
    assert starts == sorted(starts)
    assert all(event.utterance.end > event.utterance.start for event in events)
    # Forward, the sound is missing; back, times go on from the samples.
    assert [round(start) for start in starts] == [1, 6, 11]
    assert [gap for gap in of(schema.Gap, play.events) if gap.what == "audio"]
    assert any("jumped back" in gap.reason for gap in of(schema.Gap, play.events))


@pytest.mark.fault
def test_a_subscriber_that_stalls_holds_nothing_up(tmp_path: Path) -> None:
    """A subscriber stalls during a live session: every utterance is answered, with its face."""
    endpoint = f"ipc://{tmp_path}/events"
    script = (
        "import sys, time\nfrom gscon_live.realtime.events.client import Subscriber\n"
        "s = Subscriber(sys.argv[1], timeout=60)\ns.ready()\n"
        "print(1, flush=True)\ntime.sleep(600)\n"
    )
    stalled = subprocess.Popen(
        [sys.executable, "-c", script, endpoint],
        env={**os.environ, "PYTHONPATH": str(HERE)}, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        play = Play(plan_for(cut(tmp_path / "clip.mkv", 9.0), live=True, speed=1.0))
        play.at(0.5, lambda: stalled.send_signal(signal.SIGSTOP))
        assert play.go(endpoint=endpoint)
        said = utterances(play.events)
        assert [event.modalities.visual.present for event in said] == [True, False]
    finally:
        stalled.kill()
        stalled.communicate()


@pytest.fixture(scope="module")
def microphone() -> Iterator[VirtualMicrophone]:
    with microphone_of_workers() as made:
        yield made


def _devices(url: str) -> Plan:
    return Plan(
        session="s", settings=settings(f"camera.device={url}", "camera.retry=0.5"), live=True,
        words=Words(), has_audio=True, has_video=True, microphone=True, camera=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def disturbed(microphone: VirtualMicrophone) -> tuple[Play, Kills]:
    """A real microphone and camera: each of their processes is killed, then the camera is away."""
    with camera_server(CONVERSATION) as camera:
        play = Play(_devices(camera.url))
        kills = Kills(play)
        play.at(0.5, lambda: microphone.play(recorded(CONVERSATION)[: 28 * 16_000]))
        kills.at(3.0, "microphone")
        kills.at(7.0, "camera")
        play.at(13.0, camera.stop)
        play.at(17.0, camera.start)
        play.at(29.0, lambda: play.session.stop())
        assert play.go()
    return play, kills


@pytest.mark.alone
def test_capture_is_restarted_and_the_rest_stays(disturbed: tuple[Play, Kills]) -> None:
    play, kills = disturbed
    took = restarts(play.events)
    print("restarts:", {stage: round(seconds, 2) for stage, seconds in took.items()})
    assert list(took) == ["microphone", "camera"]
    assert min(took.values()) < BACK
    first, last = kills.before["microphone"], play.last_pids
    assert {name for name, pid in first.items() if last[name] != pid} == {"microphone", "camera"}


@pytest.mark.fault
@pytest.mark.alone
def test_a_source_that_hangs_is_started_again(
    microphone: VirtualMicrophone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A microphone's process that hangs, as in the sound system's library: it is killed, said and
    started again, and utterances go on."""
    monkeypatch.setattr(processes, "HANGS", 3.0)
    with camera_server(CONVERSATION) as camera:
        play = Play(_devices(camera.url))
        play.at(2.0, lambda: play.kill("microphone", signal.SIGSTOP))
        play.when(
            lambda: any(health.status == "restarted" for health in of(schema.Health, play.events)),
            lambda: microphone.play(recorded(CONVERSATION)[: 9 * 16_000]),
        )
        play.when(lambda: len(utterances(play.events)) >= 2, lambda: play.session.stop())
        play.at(60.0, lambda: play.session.stop())
        assert play.go()
    first, second = of(schema.Health, play.events)[:2]
    assert (first.stage, first.status) == ("microphone", "failed")
    assert first.detail == "it did not answer for 3 s"
    assert (second.stage, second.status) == ("microphone", "restarted")
    assert len(utterances(play.events)) >= 2
    assert any(gap.what == "audio" and gap.seconds > 2 for gap in of(schema.Gap, play.events))


@pytest.mark.fault
@pytest.mark.alone
def test_a_camera_that_was_away_is_said_and_faces_come_back(disturbed: tuple[Play, Kills]) -> None:
    """A camera that goes and comes back: a `gap`, then faces again."""
    play, _ = disturbed
    gaps = [gap for gap in of(schema.Gap, play.events) if gap.what == "frames"]
    assert any("gone" in gap.reason for gap in gaps)
    back = [gap for gap in gaps if "back after" in gap.reason]
    assert len(back) == 1
    assert 2.0 < back[0].seconds < 12.0
    assert back[0].count == pytest.approx(back[0].seconds * 10, abs=2)
    later = [event for event in utterances(play.events) if event.utterance.start > back[0].time]
    assert later
    assert all(event.modalities.audio.present for event in later)
    assert later[-1].modalities.visual.present


@pytest.mark.fault
@pytest.mark.alone
def test_utterances_go_on_after_the_microphone_failed(disturbed: tuple[Play, Kills]) -> None:
    """A microphone that fails: restarted; utterances go on."""
    play, _ = disturbed
    failed = next(
        health for health in of(schema.Health, play.events) if health.stage == "microphone"
    )
    later = [event for event in utterances(play.events) if event.utterance.start > failed.time + 3]
    # Utterances 2 to 6 of the sample begin after that.
    assert len(later) >= 4
