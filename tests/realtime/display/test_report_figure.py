"""The pictures of a session, and what stands out of it."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_events import conversation, utterances

from gscon_live.common import cli
from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime import report
from gscon_live.realtime.display import report_figure
from gscon_live.realtime.display.report_marks import KINDS, marks
from gscon_live.realtime.display.report_page import figure
from gscon_live.realtime.display.report_timeline import NAMES, fitting
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.schema import UtteranceEvent

SPACE = "{http://www.w3.org/2000/svg}"
replace = msgspec.structs.replace
SPOKEN = [event for event in conversation() if isinstance(event, UtteranceEvent)]
COMMON = Path(report_figure.__file__).with_name("common.css")


def of_one_session(spoken: list[UtteranceEvent]) -> list[UtteranceEvent]:
    return [replace(event, session="s") for event in spoken]


@given(st.lists(utterances, min_size=1, max_size=4).map(of_one_session))
@settings(max_examples=30, deadline=None)
def test_any_session_is_a_picture_that_programs_read(spoken: list[UtteranceEvent]) -> None:
    picture = ElementTree.fromstring(figure(spoken, "a").encode("utf-8", "replace"))
    width = float(picture.attrib["viewBox"].split()[2])
    for box in picture.iter(f"{SPACE}rect"):
        assert 0 <= float(box.attrib["x"]) <= width
        assert float(box.attrib["x"]) + float(box.attrib["width"]) <= width + 1
    assert len(list(picture.iter(f"{SPACE}polygon"))) == len(EMOTIONS)
    assert "script" not in {element.tag.removeprefix(SPACE) for element in picture.iter()}


def test_a_picture_has_all_utterances_in_the_colours_of_the_page(tmp_path: Path) -> None:
    events = tmp_path / "talk.jsonl"
    events.write_bytes(b"".join(schema.encode(event) + b"\n" for event in conversation()))
    words = [events, tmp_path / "talk.html", "--figure", tmp_path / "talk.svg"]
    assert cli.run(report.main, [*map(str, words)]) == 0
    assert cli.run(report.main, [*map(str, words)]) == 0  # our own picture may be written again
    picture = ElementTree.fromstring((tmp_path / "talk.svg").read_bytes())
    drawn = [box.attrib["fill"] for box in picture.iter(f"{SPACE}rect") if "rx" in box.attrib]
    assert drawn == [report_figure.COLOURS[event.emotion.label] for event in SPOKEN]
    light = COMMON.read_text(encoding="utf-8").partition("@media")[0]
    for name, colour in report_figure.COLOURS.items():
        assert f"--{name}: {colour};" in light


def test_what_cannot_be_drawn_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = tmp_path / "talk.jsonl"
    words = [str(events), str(tmp_path / "talk.html"), "--figure", str(tmp_path / "talk.svg")]
    for sessions, complaint in (
        ([conversation(0)], "nothing to draw"),
        ([conversation(1), conversation(1, seed=1)], "2 sessions"),
    ):
        lines = [schema.encode(event) + b"\n" for session in sessions for event in session]
        events.write_bytes(b"".join(lines))
        assert cli.run(report.main, words) == 2
        error = capsys.readouterr().err
        assert complaint in error
        assert error.count("\n") == 1
        assert not (tmp_path / "talk.html").exists()


def test_a_printed_timeline_has_every_utterance_in_its_minute() -> None:
    spoken = [event for event in conversation(80) if isinstance(event, UtteranceEvent)]
    duration = spoken[-1].utterance.end
    strips = report_figure.strips(spoken, duration)
    assert len(strips) == int(duration // 60) + 1
    across = sum(int(e.utterance.start // 60) != int(e.utterance.end // 60) for e in spoken)
    assert sum(strip.count('rx="3"') for strip in strips) == len(spoken) + across


def test_a_label_is_never_cut_in_between() -> None:
    for label in (*EMOTIONS, "neutral?"):
        for width in range(100):
            assert fitting(label, width, 8.1) in (label, label[:3], "")
    assert fitting("neutral", 100, 8.1) == "neutral"
    assert fitting("neutral", 60, 8.1) == "neu"


def alone(label: str, share: float) -> schema.Modality:
    rest = (1 - share) / (len(EMOTIONS) - 1)
    shares = {name: share if name == label else rest for name in EMOTIONS}
    return schema.Modality(present=True, probabilities=shares)


def test_disagreement_doubt_and_change_stand_out() -> None:
    agreeing = schema.Modalities(
        text=alone("joy", 0.8), audio=alone("joy", 0.6), visual=alone("anger", 0.4)
    )

    def answer(speaker: str, label: str, confidence: float, **more: object) -> UtteranceEvent:
        emotion = replace(
            SPOKEN[0].emotion, label=label, confidence=confidence, abstained=False, **more
        )
        utterance = replace(SPOKEN[0].utterance, speaker=speaker)
        return replace(SPOKEN[0], utterance=utterance, emotion=emotion, modalities=agreeing)

    divided = replace(agreeing, visual=alone("anger", 0.7))
    spoken = [
        answer("Ada", "joy", 0.9),
        answer("Ben", "anger", 0.9),
        replace(answer("Ada", "joy", 0.9), modalities=divided),
        answer("Ada", "joy", 0.4),
        answer("Ada", "sadness", 0.9),
        answer("Ben", "fear", 0.1, model_label="anger"),
    ]
    kinds = [[mark.kind for mark in own] for own in marks(spoken, NAMES)]
    assert kinds == [[], [], ["disagree"], ["unsure"], ["change"], ["corrected", "change"]]
    assert {kind for own in kinds for kind in own} == set(KINDS)
    assert marks(spoken, NAMES)[2][0].text == "Words joy, Voice joy, Face anger"
