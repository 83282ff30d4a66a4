"""A replay in one process gives the events of a session with many, byte for byte."""

from pathlib import Path

import pytest
from sessions import CONVERSATION, cut, plan_for, run
from whisper_models import whisper_model

from gscon_live.common.errors import InputError
from gscon_live.realtime.events import schema
from gscon_live.realtime.session.inline import replay_inline
from gscon_live.realtime.session.model_info import model_info
from gscon_live.realtime.session.models import Models


class Lines:
    """A sink that keeps what a file would hold."""

    def __init__(self) -> None:
        self.raw = b""

    def write(self, event: schema.AnyEvent) -> None:
        self.raw += schema.encode(event) + b"\n"

    def close(self) -> None: ...


def inline(path: Path, models: Models, *overrides: str, captions: str = "auto") -> bytes:
    plan = plan_for(path, *overrides, captions=captions)
    lines = Lines()
    replay_inline(
        plan,
        [lines],  # type: ignore[list-item]
        models,
        model=model_info(plan.settings.recognition),
        source=path.name,
    )
    return lines.raw


def test_the_events_are_those_of_replay(tmp_path: Path) -> None:
    """With captions, by voice activity, with a transcriber, and with models that have worked."""
    clip = cut(tmp_path / "clip.mkv", 9.0)
    models = Models()
    words = f"transcription.transcriber={whisper_model('tiny.en')}"
    cases: list[tuple[list[str], list[str], str]] = [
        ([], [], "auto"),
        (["transcription.transcriber=off"], ["--captions", "off"], "off"),
        ([words], [], "auto"),
    ]
    for overrides, options, captions in [*cases, cases[0]]:
        out = tmp_path / "events.jsonl"
        done = run("gscon_live.realtime.replay", clip, "--events", out, "--quiet",
                   *options, *overrides)  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert inline(clip, models, *overrides, captions=captions) == out.read_bytes()


def test_models_are_loaded_once() -> None:
    models = Models()
    assert models.text_encoder(None) is models.text_encoder(None)
    assert models.checkpoint("live") is models.checkpoint("live")
    assert models.face_detector("cascade") is not models.face_detector("auto")


def test_a_tick_can_stop_it() -> None:
    plan = plan_for(CONVERSATION)
    reached = []

    def tick(time: float) -> None:
        reached.append(time)
        if time > 5:
            raise InterruptedError

    lines = Lines()
    with pytest.raises(InterruptedError):
        replay_inline(
            plan,
            [lines],
            Models(),  # type: ignore[list-item]
            model=model_info(plan.settings.recognition),
            source="x",
            on_tick=tick,
        )
    assert reached == sorted(reached)
    assert b"session.ended" not in lines.raw


def test_a_recording_that_is_gone_is_refused(tmp_path: Path) -> None:
    clip = cut(tmp_path / "clip.mkv", 2.0)
    plan = plan_for(clip)
    model = model_info(plan.settings.recognition)
    clip.unlink()
    with pytest.raises(InputError, match="clip"):
        replay_inline(plan, [], Models(), model=model, source="clip.mkv")
