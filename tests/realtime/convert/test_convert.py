"""Events after the fact, in every format, read back by the format's own library."""

import io
import json
import re
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import av
import msgspec
import pandas
import pyarrow.parquet
import pytest
from made_events import conversation
from praatio import textgrid
from pympi import Eaf

from gscon_live.common import cli
from gscon_live.realtime.convert.__main__ import main
from gscon_live.realtime.convert.formats import FORMATS
from gscon_live.realtime.display.report_page import Beside, render
from gscon_live.realtime.events import sinks
from gscon_live.realtime.events.schema import AnyEvent, UtteranceEvent


def stored(path: Path, events: list[AnyEvent]) -> Path:
    with closing(sinks.JsonLines(path)) as lines:
        for event in events:
            lines.write(event)
    return path


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    return stored(tmp_path / "talk.jsonl", list(conversation(10)))


def utterances() -> list[UtteranceEvent]:
    return [event for event in conversation(10) if isinstance(event, UtteranceEvent)]


def convert(*words: object) -> int:
    return cli.run(main, [*map(str, words)])


def test_a_file_is_written_beside_the_events_with_the_ending_of_its_format(
    talk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, kind in FORMATS.items():
        assert convert(talk, "--to", name) == 0
        assert capsys.readouterr().out == f"{talk.with_suffix(kind.ending)}\n"
        assert talk.with_suffix(kind.ending).is_file()


def test_csv_captions_and_report_are_those_of_a_session(talk: Path) -> None:
    for name in ("csv", "vtt"):
        stream = io.StringIO(newline="")
        with closing(sinks.of_name(name)(stream)) as sink:
            for event in conversation(10):
                sink.write(event)
        assert convert(talk, "--to", name) == 0
        assert talk.with_suffix(f".{name}").read_bytes() == stream.getvalue().encode()
    assert convert(talk, "--to", "report") == 0
    # A session does not know the name of its events; corrections are saved beside these.
    beside = Beside(corrections_name="talk.corrections.json")
    assert talk.with_suffix(".html").read_text("utf-8") == render(
        conversation(10), "replay of conversation.mkv", beside
    )


def test_parquet_has_the_table_of_csv_with_types(talk: Path) -> None:
    assert convert(talk, "--to", "parquet") == 0
    table = pyarrow.parquet.read_table(talk.with_suffix(".parquet")).to_pylist()
    assert [row["id"] for row in table] == [event.utterance.id for event in utterances()]
    assert [row["p_joy"] for row in table] == [
        event.emotion.probabilities["joy"] for event in utterances()
    ]
    assert [row["visual_present"] for row in table] == [
        event.modalities.visual.present for event in utterances()
    ]
    assert table[6]["visual_joy"] is None
    assert table[6]["visual_reason"] == "no face in view"


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_captions_are_read_back_by_ffmpeg(name: str, talk: Path) -> None:
    assert convert(talk, "--to", name) == 0
    with av.open(str(talk.with_suffix(f".{name}"))) as media:
        packets = [packet for packet in media.demux() if packet.size]
        cues = [
            (packet.pts * packet.time_base, packet.duration * packet.time_base, bytes(packet))
            for packet in packets
        ]
    events = utterances()
    assert len(cues) == len(events)
    for (start, length, raw), event in zip(cues, events, strict=True):
        assert float(start) == pytest.approx(event.utterance.start, abs=1e-3)
        assert float(start + length) == pytest.approx(event.utterance.end, abs=1e-3)
        text = raw.decode()
        for part in (event.utterance.speaker, event.utterance.text, event.emotion.label):
            assert part in text


def test_elan_is_read_back_by_pympi(talk: Path) -> None:
    assert convert(talk, "--to", "eaf", "--media", "interview.mp4") == 0
    document = Eaf(str(talk.with_suffix(".eaf")))
    names = set(document.get_tier_names())
    kinds = ("words", "emotion", "confidence", "text", "audio", "visual")
    assert names == {f"{speaker} {kind}" for speaker in ("Ada", "Ben") for kind in kinds}
    for speaker in ("Ada", "Ben"):
        own = [event for event in utterances() if event.utterance.speaker == speaker]
        bounds = [(round(e.utterance.start * 1000), round(e.utterance.end * 1000)) for e in own]
        words = document.get_annotation_data_for_tier(f"{speaker} words")
        assert [tuple(part[:2]) for part in words] == bounds
        assert [part[2] for part in words] == [event.utterance.text for event in own]
        labels = document.get_annotation_data_for_tier(f"{speaker} emotion")
        assert [part[2].rstrip("?") for part in labels] == [event.emotion.label for event in own]
    (media,) = document.get_linked_files()
    assert media["MEDIA_URL"] == "interview.mp4"
    assert media["MIME_TYPE"] == "video/mp4"


def test_praat_is_read_back_by_praatio(talk: Path) -> None:
    assert convert(talk, "--to", "TextGrid") == 0
    grid = textgrid.openTextgrid(str(talk.with_suffix(".TextGrid")), includeEmptyIntervals=False)
    own = [event for event in utterances() if event.utterance.speaker == "Ada"]
    labels = grid.getTier("Ada emotion").entries
    assert [(part.start, part.end) for part in labels] == [
        (event.utterance.start, event.utterance.end) for event in own
    ]
    assert [part.label.rstrip("?") for part in labels] == [event.emotion.label for event in own]
    assert [part.label for part in grid.getTier("Ada words").entries] == [
        event.utterance.text for event in own if event.utterance.text
    ]
    assert "(no face in view)" in [part.label for part in grid.getTier("Ben visual").entries] + [
        part.label for part in grid.getTier("Ada visual").entries
    ]


def test_label_studio_gets_a_region_for_each_utterance(talk: Path) -> None:
    assert convert(talk, "--to", "label-studio", "--media", "https://example.org/talk.wav") == 0
    (task,) = json.loads(talk.with_suffix(".json").read_text("utf-8"))
    assert task["data"]["audio"] == "https://example.org/talk.wav"
    (prediction,) = task["predictions"]
    assert prediction["model_version"] == "live 1.0"
    regions: dict[str, dict[str, dict[str, object]]] = {}
    for part in prediction["result"]:
        assert part["to_name"] == "audio"
        regions.setdefault(part["id"], {})[part["from_name"]] = part["value"]
    assert len(regions) == 10
    for event in utterances():
        region = regions[f"u{event.utterance.id}"]
        assert region["emotion"]["labels"] == [event.emotion.label]
        assert region["words"]["text"] == [event.utterance.text]
        assert region["speaker"]["text"] == [event.utterance.speaker]
        assert {part["start"] for part in region.values()} == {event.utterance.start}


def test_overlaps_of_a_speaker_come_into_a_second_lane(tmp_path: Path) -> None:
    """Captions may overlap; annotations in a tier may not, and control characters neither."""
    events = []
    for event in conversation(10):
        if isinstance(event, UtteranceEvent):
            utterance = msgspec.structs.replace(
                event.utterance, end=event.utterance.end + 6, speaker="Ada", text="a\x00b\n<c>"
            )
            event = msgspec.structs.replace(event, utterance=utterance)
        events.append(event)
    path = stored(tmp_path / "talk.jsonl", events)
    assert convert(path, "--to", "eaf") == 0
    assert convert(path, "--to", "TextGrid") == 0
    document = Eaf(str(path.with_suffix(".eaf")))
    grid = textgrid.openTextgrid(str(path.with_suffix(".TextGrid")), includeEmptyIntervals=False)
    lanes = [name for name in document.get_tier_names() if name.endswith(" words")]
    assert {"Ada words", "Ada (2) words"} <= set(lanes)
    count = 0
    for name in lanes:
        parts = sorted(document.get_annotation_data_for_tier(name))
        assert all(first[1] <= second[0] for first, second in pairwise(parts))
        assert {part[2] for part in parts} == {"a\N{REPLACEMENT CHARACTER}b <c>"}
        assert len(grid.getTier(name).entries) == len(parts)
        count += len(parts)
    assert count == 10


@pytest.mark.parametrize("name", FORMATS)
def test_a_session_without_utterances_gives_a_valid_file(name: str, tmp_path: Path) -> None:
    path = stored(tmp_path / "talk.jsonl", list(conversation(0)))
    assert convert(path, "--to", name) == 0
    out = path.with_suffix(FORMATS[name].ending)
    if name == "eaf":
        assert Eaf(str(out)).get_tier_names()
    elif name == "TextGrid":
        assert textgrid.openTextgrid(str(out), includeEmptyIntervals=True).tierNames
    elif name == "parquet":
        assert pandas.read_parquet(out).empty
    elif name == "label-studio":
        assert json.loads(out.read_text("utf-8"))[0]["predictions"][0]["result"] == []


@pytest.mark.parametrize("name", ["vtt", "srt", "eaf", "TextGrid", "label-studio"])
def test_several_sessions_share_no_timeline(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stored(tmp_path / "two.jsonl", [*conversation(3), *conversation(3, seed=1)])
    assert convert(path, "--to", name) == 2
    assert "has 2 sessions" in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == ["two.jsonl"]
    assert convert(path, "--to", "csv") == 0
    assert len(pandas.read_csv(path.with_suffix(".csv"))) == 6


def test_ours_is_replaced_and_what_people_edit_or_made_is_not(
    talk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, kind in FORMATS.items():
        out = talk.with_suffix(kind.ending)
        assert convert(talk, "--to", name) == 0
        edited_by_people = name in ("eaf", "TextGrid", "label-studio")
        assert convert(talk, "--to", name) == (2 if edited_by_people else 0)
        out.write_bytes(b"somebody's own")
        assert convert(talk, "--to", name) == 2
        assert out.read_bytes() == b"somebody's own"
    errors = capsys.readouterr().err.splitlines()
    assert all(re.search(r"was not written by this command; give another path", e) for e in errors)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("gone.jsonl", "--to", "csv"), "gone.jsonl: No such file"),
        (("bad.jsonl", "--to", "csv"), "bad.jsonl line 1: no event"),
        (("bad.jsonl", "--to", "doc"), "invalid choice: 'doc'"),
        (("bad.jsonl", "--to", "csv", "--out", "bad.jsonl"), "is the events, which would be lost"),
    ],
)
def test_a_wrong_request_is_refused_in_one_line(
    words: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.jsonl").write_text("nonsense\n")
    assert cli.run(main, list(words)) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
