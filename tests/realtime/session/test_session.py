"""The supervisor's small parts: counting drops, hearing Ctrl-C, and what the screen shows."""

import os
import signal
import threading

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_events import conversation
from rich.console import Console

from gscon_live.common import signals
from gscon_live.realtime.display.live_view import LiveView
from gscon_live.realtime.events import schema
from gscon_live.realtime.pipeline.control import Status
from gscon_live.realtime.session.drops import INTERVAL, Drops


def status(service: str, pid: int, **dropped: int) -> Status:
    return Status(service, pid, "running", dropped=dropped)


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 50), st.booleans()), max_size=40))
def test_every_drop_is_told_exactly_once(steps: list[tuple[int, int, bool]]) -> None:
    drops = Drops()
    counts = dict.fromkeys((1, 2, 3), 0)
    told, now = 0, 0.0
    for pid, more, later in steps:
        counts[pid] += more
        drops.report(status("camera", pid, watch=counts[pid]))
        now += INTERVAL if later else 0.1
        told += sum(count for _, count in drops.due(now))
    told += sum(count for _, count in drops.due(now, last=True))
    assert told == sum(counts.values())
    assert drops.due(now, last=True) == []


def test_drops_are_told_now_and_then_and_by_who_did_not_keep_up() -> None:
    drops = Drops()
    drops.report(status("camera", 1, watch=3, show=2))
    drops.report(status("watch", 2, watch=4))
    assert drops.due(INTERVAL) == [("show", 2), ("watch", 7)]
    drops.report(status("camera", 1, watch=5))
    assert drops.due(INTERVAL + 1) == []
    assert drops.due(2 * INTERVAL) == [("watch", 2)]


def test_the_first_ctrl_c_asks_and_those_soon_after_change_nothing() -> None:
    asked: list[str] = []
    before = signal.getsignal(signal.SIGINT)
    with signals.restored():
        outer = signals.note(lambda: asked.append("outer"))
        with signals.restored():
            inner = signals.note(lambda: asked.append("inner"))
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        assert signals.note(lambda: asked.append("later")).number == signal.SIGINT
    assert asked == ["outer", "inner", "later"]
    assert outer.number == inner.number == signal.SIGINT
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_long_after_the_first_one_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "PATIENCE", -1.0)
    with signals.restored():
        noted = signals.note()
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(signals.Interrupted) as caught:
            os.kill(os.getpid(), signal.SIGINT)
    assert caught.value.number == noted.number == signal.SIGTERM


def test_a_program_that_embeds_a_session_keeps_what_it_does_not_handle() -> None:
    with signals.restored():
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        signals.note(handled=True)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
        assert isinstance(signal.getsignal(signal.SIGINT), signals.Noted)


def test_in_another_thread_signals_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def run() -> None:
        with signals.restored():
            signals.note()
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]


def screen(view: LiveView) -> str:
    console = Console(width=160, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(view.render())
    return console.export_text()


@pytest.fixture
def view() -> LiveView:
    return LiveView("microphone pulse, camera 0", Console(quiet=True))


def test_the_screen_shows_words_emotions_delay_and_the_past(view: LiveView) -> None:
    said = [event for event in conversation(3) if isinstance(event, schema.UtteranceEvent)]
    assert "say something" in screen(view)
    for event in conversation(3):
        view.write(event)
    shown = screen(view)
    for event in said:
        assert event.utterance.text in shown
    for name, value in said[-1].emotion.probabilities.items():
        assert name in shown
        assert f"{value:.0%}" in shown


def test_the_screen_shows_level_speech_and_faces(view: LiveView) -> None:
    view.status(Status("segment", 1, "running", gauges={"level": -60.0, "speaking": False}))
    assert "█" not in screen(view)
    view.status(Status("segment", 1, "running", gauges={"level": -30.0, "speaking": True}))
    assert screen(view).count("█") == 10
    assert "speaking" in screen(view)
    view.status(Status("watch", 2, "running", gauges={"faces": 0.0}))
    assert "no faces in view" in screen(view)
    view.status(Status("watch", 2, "running", gauges={"faces": 1.0}))
    assert "1 face in view" in screen(view)
    view.status(Status("camera", 3, "running", gauges={"state": "gone"}))
    assert "camera gone" in screen(view)


def test_the_screen_counts_what_is_lost_and_says_what_failed(view: LiveView) -> None:
    assert "nothing" in screen(view)
    for count in (3, 4):
        view.write(
            schema.Gap(
                schema=schema.SCHEMA, session="s", seq=0,
                time=1.0, what="frames", count=count, seconds=0.0, reason="busy",
            )
        )  # fmt: skip
    view.write(
        schema.Health(
            schema=schema.SCHEMA, session="s", seq=0,
            time=2.0, stage="watch", status="failed", detail="killed by SIGKILL",
        )
    )  # fmt: skip
    shown = screen(view)
    assert "7 frames" in shown
    assert "watch failed (killed by SIGKILL)" in shown


def test_the_screen_stays_bounded(view: LiveView) -> None:
    for _ in range(200):
        for event in conversation(5):
            view.write(event)
    assert len(screen(view).splitlines()) < 40


def test_words_cannot_command_the_terminal_or_be_taken_for_markup(view: LiveView) -> None:
    made = next(event for event in conversation(1) if isinstance(event, schema.UtteranceEvent))
    said = msgspec.structs.replace(made.utterance, text="[bold]all[/bold] \x1b[2J gone")
    view.write(msgspec.structs.replace(made, utterance=said))
    shown = screen(view)
    assert "[bold]all[/bold]" in shown
    assert "\x1b" not in shown
