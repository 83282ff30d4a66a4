"""Corrections: what people say of names and labels is used by pages and tables, and kept apart."""

import csv
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from made_events import any_event, conversation

import gscon_live
from gscon_live.common import cli
from gscon_live.common.errors import InputError
from gscon_live.realtime import report
from gscon_live.realtime.convert import __main__ as convert
from gscon_live.realtime.events import corrections, schema
from gscon_live.realtime.events.corrections import Corrections, Session, Utterance
from gscon_live.realtime.events.schema import AnyEvent, UtteranceEvent

SESSION = next(conversation()).session
GIVEN = Corrections(
    sessions={
        SESSION: Session(
            speakers={"Ben": "Benjamin"},
            utterances={
                1: Utterance(label="fear"),
                2: Utterance(speaker="Cleo"),
                4: Utterance(label="joy"),
            },
        )
    }
)


def spoken(events: list[AnyEvent]) -> dict[int, UtteranceEvent]:
    return {e.utterance.id: e for e in events if isinstance(e, UtteranceEvent)}


def test_names_and_labels_are_those_that_people_gave() -> None:
    before = spoken(list(conversation()))
    after = spoken(list(corrections.corrected(conversation(), GIVEN)))
    assert {e.utterance.speaker for e in after.values()} == {"Benjamin", "Ada", "Cleo"}
    assert after[2].utterance.speaker == "Cleo"
    assert after[1].emotion.label == "fear"
    assert after[1].emotion.model_label == before[1].emotion.label == "surprise"
    assert after[1].emotion.confidence == before[1].emotion.probabilities["fear"]
    assert not after[1].emotion.abstained
    # A label that a person confirmed is known to be confirmed.
    assert after[4].emotion.model_label == after[4].emotion.label == before[4].emotion.label
    assert after[3].emotion == before[3].emotion


@given(any_event)
def test_events_of_other_sessions_stay_as_they_are(event: AnyEvent) -> None:
    other = Corrections(sessions={event.session + "x": GIVEN.sessions[SESSION]})
    assert list(corrections.corrected([event], other)) == [event]


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "talk.corrections.json"
    path.write_bytes(corrections.encode(GIVEN))
    assert corrections.read(path) == GIVEN
    assert corrections.path_for(tmp_path / "talk.jsonl") == path
    assert corrections.beside(tmp_path / "talk.jsonl") == GIVEN
    assert corrections.beside(tmp_path / "other.jsonl") == Corrections()


def test_the_documented_file_is_one(tmp_path: Path) -> None:
    assert corrections.__doc__ is not None
    text = corrections.__doc__.partition("```json\n")[2].partition("```")[0]
    path = tmp_path / "a.corrections.json"
    path.write_text(text)
    (session,) = corrections.read(path).sessions.values()
    assert session.speakers == {"S1": "Ada"}


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"schema": "gscon.events/1"}', '{"schema":"gscon.corrections/1","sessions":3}',
     '{"schema":"gscon.corrections/1","sessions":{"s":{"utterances":{"x":{}}}}}',
     '{"schema":"gscon.corrections/1","sessions":{"s":{"speakers":{"S1":""}}}}',
     '{"schema":"gscon.corrections/1","sessions":{"s":{"utterances":{"1":{"label":"glad"}}}}}',
     "[" * 100_000],
)  # fmt: skip
def test_anything_else_is_refused_in_one_line(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = tmp_path / "talk.jsonl"
    events.write_bytes(b"".join(schema.encode(e) + b"\n" for e in conversation(1)))
    (tmp_path / "talk.corrections.json").write_text(text)
    assert cli.run(convert.main, [str(events), "--to", "csv"]) == 2
    error = capsys.readouterr().err
    assert "talk.corrections.json" in error
    assert error.count("\n") == 1
    assert cli.run(convert.main, [str(events), "--to", "csv", "--corrections", "off"]) == 0


def test_pages_and_tables_use_the_corrections_beside_the_events(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events, page = tmp_path / "talk.jsonl", tmp_path / "talk.html"
    events.write_bytes(b"".join(schema.encode(e) + b"\n" for e in conversation()))
    before = events.read_bytes()
    (tmp_path / "talk.corrections.json").write_bytes(corrections.encode(GIVEN))
    assert cli.run(convert.main, [str(events), "--to", "csv"]) == 0
    with (tmp_path / "talk.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert rows["0"]["speaker"] == "Benjamin"
    assert (rows["1"]["label"], rows["1"]["model_label"]) == ("fear", "surprise")
    assert rows["3"]["model_label"] == ""
    frame = gscon_live.read(events)
    assert list(frame["speaker"])[0] == "Benjamin"  # noqa: RUF015
    assert cli.run(report.main, [str(events), str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert ">Benjamin</" in text
    assert "by a person; the model says surprise" in text
    assert cli.run(report.main, [str(events), str(page), "--corrections", "off"]) == 0
    assert "Benjamin" not in page.read_text(encoding="utf-8")
    assert events.read_bytes() == before


def test_corrections_are_never_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events, given = tmp_path / "talk.jsonl", tmp_path / "mine.json"
    events.write_bytes(b"".join(schema.encode(e) + b"\n" for e in conversation(1)))
    given.write_bytes(corrections.encode(GIVEN))
    words = [str(events), "--to", "label-studio", "--corrections", str(given), "--out", str(given)]
    assert cli.run(convert.main, words) == 2
    assert "which would be lost" in capsys.readouterr().err
    assert corrections.read(given) == GIVEN


def test_a_missing_file_that_was_named_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give a file of corrections"):
        corrections.chosen(tmp_path / "talk.jsonl", str(tmp_path / "none.json"))


def test_a_session_never_has_the_field() -> None:
    assert all(b"model_label" not in schema.encode(event) for event in conversation())
    assert msgspec.json.decode(corrections.encode(Corrections())) == {
        "schema": "gscon.corrections/1", "sessions": {},
    }  # fmt: skip
