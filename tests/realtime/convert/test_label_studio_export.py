"""Corrections by people: out to Label Studio, back from its export, and into the tables."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from archive_folders import placed

from gscon_live.common import cli
from gscon_live.common.errors import InputError
from gscon_live.realtime.archive import tables
from gscon_live.realtime.archive.store import EVENTS, Archive
from gscon_live.realtime.archive.views import read_events
from gscon_live.realtime.convert.__main__ import main
from gscon_live.realtime.events import corrections
from gscon_live.realtime.events.schema import UtteranceEvent


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    archive = Archive(tmp_path / "archive")
    archive.begin()
    placed(archive, "/talks/a.mkv", 1)
    placed(archive, "/talks/b.mkv", 2)
    return archive


def convert(*words: object) -> int:
    return cli.run(main, [*map(str, words)])


def utterances_of(archive: Archive, path: str) -> list[UtteranceEvent]:
    events = read_events(archive.results.path / archive.done[path].folder)
    return [event for event in events if isinstance(event, UtteranceEvent)]


def exported(archive: Archive, path: str, folder: Path) -> list[Any]:
    """A project of a recording as Label Studio exports it after a person has submitted the
    predictions as they are."""
    events = archive.results.path / archive.done[path].folder / EVENTS
    task_file = folder / f"{Path(path).stem}.json"
    assert convert(events, "--to", "label-studio", "--out", task_file) == 0
    (task,) = json.loads(task_file.read_bytes())
    task_file.unlink()
    result = [{**part, "origin": "prediction"} for part in task["predictions"][0]["result"]]
    annotation = {
        "id": 7, "completed_by": 1, "result": result, "was_cancelled": False,
        "ground_truth": False, "created_at": "2026-11-29T08:00:00.000000Z",
        "updated_at": "2026-11-29T08:10:00.000000Z", "lead_time": 12.5,
    }  # fmt: skip
    return [{"id": 1, "data": task["data"], "predictions": [3], "annotations": [annotation],
             "project": 1, "total_annotations": 1}]  # fmt: skip


def change(task: dict[str, Any], region: str, name: str, value: list[str]) -> None:
    (part,) = [
        part
        for part in task["annotations"][0]["result"]
        if (part["id"], part["from_name"]) == (region, name)
    ]
    part["value"]["labels" if name == "emotion" else "text"] = value


def test_what_people_correct_in_label_studio_comes_into_the_tables(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = exported(archive, "/talks/a.mkv", tmp_path)
    own = utterances_of(archive, "/talks/a.mkv")
    first, second = own[0].utterance.id, own[1].utterance.id
    new_label = "disgust" if own[0].emotion.label != "disgust" else "fear"
    change(tasks[0], f"u{first}", "emotion", [new_label])
    change(tasks[0], f"u{second}", "speaker", ["Zoë"])
    tasks[0]["annotations"][0]["result"].append(
        {"id": "Xa3", "from_name": "emotion", "to_name": "audio", "type": "labels",
         "value": {"start": 1e5, "end": 2e5, "labels": ["joy"]}}
    )  # fmt: skip
    # An earlier annotation of somebody else, and one that was skipped.
    earlier = {**tasks[0]["annotations"][0], "updated_at": "2026-11-28T08:00:00Z", "result": []}
    skipped = {**earlier, "updated_at": "2026-12-01T08:00:00Z", "was_cancelled": True}
    tasks[0]["annotations"] += [earlier, skipped]
    export = tmp_path / "project-1.json"
    export.write_text(json.dumps(tasks), encoding="utf-8")
    capsys.readouterr()
    assert convert(export, "--to", "corrections", "--out", archive.out / "corrections.json") == 0
    assert "1 regions belong to no utterance" in capsys.readouterr().err
    tables.write_tables(archive)
    with (archive.out / "utterances.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        mine = [event for event in own if row["path"] == "/talks/a.mkv"
                and event.utterance.id == int(row["id"])]  # fmt: skip
        if not mine:
            assert row["model_label"] == ""
            continue
        utterance, emotion = mine[0].utterance, mine[0].emotion
        label = new_label if utterance.id == first else emotion.label
        assert (row["label"], row["model_label"]) == (label, emotion.label)
        assert row["confidence"] == str(emotion.probabilities[label])
        assert row["speaker"] == ("Zoë" if utterance.id == second else utterance.speaker)


def test_exports_are_added_to_what_is_there_and_the_newer_holds(
    archive: Archive, tmp_path: Path
) -> None:
    out = tmp_path / "corrections.json"
    for path in ("/talks/a.mkv", "/talks/b.mkv"):
        export = tmp_path / "export.json"
        export.write_text(json.dumps(exported(archive, path, tmp_path)))
        assert convert(export, "--to", "corrections", "--out", out) == 0
    event = utterances_of(archive, "/talks/b.mkv")[0]
    tasks = exported(archive, "/talks/b.mkv", tmp_path)
    label = "fear" if event.emotion.label != "fear" else "joy"
    change(tasks[0], f"u{event.utterance.id}", "emotion", [label])
    export.write_text(json.dumps(tasks))
    assert convert(export, "--to", "corrections", "--out", out) == 0
    content = corrections.read(out)
    assert len(content.sessions) == 2
    assert sum(len(session.utterances) for session in content.sessions.values()) == 20
    assert content.of(event.session, event.utterance.id, "S1").label == label
    assert corrections.encode(corrections.read(out)) == out.read_bytes()


def test_what_a_report_has_saved_is_added_to_the_archive(archive: Archive, tmp_path: Path) -> None:
    event = utterances_of(archive, "/talks/a.mkv")[0]
    saved = tmp_path / "a.corrections.json"
    own = corrections.Session(speakers={event.utterance.speaker: "Ada"})
    content = corrections.Corrections(sessions={event.session: own})
    saved.write_bytes(corrections.encode(content))
    out = archive.out / "corrections.json"
    assert convert(saved, "--to", "corrections", "--out", out) == 0
    assert corrections.read(out) == content


def test_a_region_that_was_drawn_anew_belongs_to_the_utterance_with_its_bounds(
    archive: Archive, tmp_path: Path
) -> None:
    tasks = exported(archive, "/talks/a.mkv", tmp_path)
    event = utterances_of(archive, "/talks/a.mkv")[0]
    result = [dict(part) for part in tasks[0]["annotations"][0]["result"]]
    tasks[0]["predictions"] = [{"id": 3, "model_version": "live", "result": result}]
    for part in tasks[0]["annotations"][0]["result"]:
        if part["id"] == f"u{event.utterance.id}":
            part["id"] = "drawn"
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    assert convert(tmp_path / "export.json", "--to", "corrections") == 0
    content = corrections.read(tmp_path / "export.corrections.json")
    found = content.of(event.session, event.utterance.id, "")
    assert (found.label, found.speaker) == (event.emotion.label, event.utterance.speaker)


def test_a_speaker_is_renamed_in_a_whole_session_and_an_utterance_goes_first(
    tmp_path: Path,
) -> None:
    path = tmp_path / "corrections.json"
    path.write_text(
        '{"schema": "gscon.corrections/1", "sessions": {"a": {"speakers": {"S1": "Ada"}, '
        '"utterances": {"5": {"speaker": "Ben"}, "6": {"label": "joy"}}}}, "later": 1}'
    )
    content = corrections.read(path)
    assert [content.of("a", number, "S1").speaker for number in (4, 5, 6)] == ["Ada", "Ben", "Ada"]
    assert content.of("a", 6, "S2") == corrections.Utterance(label="joy")
    assert content.of("b", 6, "S1") == corrections.Utterance()


@pytest.mark.parametrize(
    ("content", "mention"),
    [
        ("[", "JSON"),
        ('{"annotations": []}', "export the project as JSON"),
        ('[{"audio": "a.wav", "emotion": []}]', "not JSON-MIN"),
        ('[{"data": {"audio": "a.wav"}, "annotations": []}]', "task 1 has no gscon_session"),
        (
            '[{"data": {"gscon_session": "a"}, "annotations": [{"result": [{"id": "u1", '
            '"from_name": "emotion", "value": {"labels": ["bored"]}}]}]}]',
            "utterance 1: label 'bored' is unknown",
        ),
        (
            '[{"data": {"gscon_session": "a"}, "annotations": [{"result": [{"id": "u1", '
            '"from_name": "emotion", "value": {"labels": ["joy", "fear"]}}]}]}]',
            "utterance 1: has several labels",
        ),
    ],
)
def test_other_exports_are_refused_in_one_line(
    content: str, mention: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "export.json").write_text(content)
    assert convert(tmp_path / "export.json", "--to", "corrections") == 2
    error = capsys.readouterr().err
    assert mention in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["export.json"]


def test_a_file_of_somebody_else_is_not_overwritten_nor_a_wrong_one_used(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = tmp_path / "export.json"
    export.write_text(json.dumps(exported(archive, "/talks/a.mkv", tmp_path)))
    (tmp_path / "mine.json").write_text("{}")
    assert convert(export, "--to", "corrections", "--out", tmp_path / "mine.json") == 2
    assert (tmp_path / "mine.json").read_text() == "{}"
    session = '{"utterances": {"1": {"label": 1}}}'
    wrong = f'{{"schema": "gscon.corrections/1", "sessions": {{"a": {session}}}}}'
    (archive.out / "corrections.json").write_text(wrong)
    with pytest.raises(
        InputError, match=r"corrections\.json: no corrections of gscon\.corrections/1"
    ):
        tables.write_tables(archive)


def test_reading_is_closed_under_writing(tmp_path: Path) -> None:
    content = corrections.Corrections(sessions={"a": corrections.Session(speakers={"S1": "A\nda"})})
    (tmp_path / "c.json").write_bytes(corrections.encode(content))
    assert corrections.read(tmp_path / "c.json") == content
