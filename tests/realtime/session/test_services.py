"""A stage is one record: from it follow its process, its links and its place in sessions."""

from pathlib import Path

import msgspec
import pytest
from sessions import Play, built_by, cut, plan_for, utterances

from gscon_live.common.errors import Failure
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.services import Input, Service, links
from gscon_live.realtime.session.service_table import SERVICES, running
from gscon_live.realtime.session.session_plan import Plan

#: All that a stage of one's own needs, besides its class.
COUNT: Service[Plan] = Service(
    name="count",
    build="stubs:counter",
    runs=lambda plan: plan.has_audio,
    takes=(Input("transcribe", (messages.Utterance, messages.Control)),),
)


def test_one_record_adds_a_stage_to_a_replay(tmp_path: Path) -> None:
    clip = cut(tmp_path / "clip.mkv", 9.0)
    plain, with_count = Play(plan_for(clip)), Play(plan_for(clip), services=(*SERVICES, COUNT))
    assert plain.go()
    assert with_count.go()
    said = [event.utterance.start for event in utterances(with_count.events)]
    # It is slower than the answers, and yet it gets everything and comes to its end.
    assert [float(word) for word in Path(f"{clip}.count").read_text().split()] == said
    assert len(said) == 2
    assert Path(f"{clip}.closed").exists()
    assert with_count.events == plain.events
    assert set(with_count.last_pids) == {*plain.last_pids, "count"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"recording": "x.mkv"}, {"recording"}),
        ({"recording": "x.mkv", "has_video": True}, {"recording", "watch"}),
        ({"microphone": True, "live": True}, {"microphone"}),
        (
            {"microphone": True, "camera": True, "has_video": True, "record": "x"},
            {"microphone", "camera", "watch", "record"},
        ),
    ],
)
def test_the_plan_says_which_services_run(
    changes: dict[str, object], expected: set[str], tmp_path: Path
) -> None:
    base = plan_for(cut(tmp_path / "clip.mkv", 1.0), recording=None, has_video=False)
    plan = msgspec.structs.replace(base, **changes)
    assert set(running(plan)) == {"segment", "transcribe", "recognise"} | expected


def test_links_are_those_between_services_that_run() -> None:
    table = {service.name: service for service in SERVICES}
    some = [table[name] for name in ("microphone", "segment", "record")]
    assert [(link.sender, link.receiver) for link in links(some)] == [
        ("microphone", "segment"),
        ("microphone", "record"),
    ]
    assert [service.name for service in SERVICES if service.source] == [
        "recording",
        "microphone",
        "camera",
    ]


def test_a_builder_that_makes_the_wrong_thing_is_named(tmp_path: Path) -> None:
    clip = cut(tmp_path / "clip.mkv", 1.0)
    for service, builder, word in (
        ("watch", "stubs:everything_once", "Stage"),
        ("recording", "stubs:broken", "Source"),
    ):
        play = Play(plan_for(clip), services=built_by(**{service: builder}))
        with pytest.raises(Failure, match=rf"{service}: stopped .*{builder} builds no {word}"):
            play.go()
