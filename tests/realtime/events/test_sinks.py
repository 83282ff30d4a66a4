"""Whatever the events hold, every sink writes what its readers can read back."""

import csv
import html
import io
import json
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_events import any_event, conversation, utterances

from gscon_live.common.errors import Failure, InputError
from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime.events import in_words, schema, sinks
from gscon_live.realtime.events.schema import AnyEvent, UtteranceEvent

SHIPPED = json.loads((Path(schema.__file__).parent / "schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SHIPPED)


def written(kind: type, made: list[AnyEvent]) -> str:
    stream = io.StringIO(newline="")
    sink = kind(stream)
    for event in made:
        sink.write(event)
    sink.close()
    return stream.getvalue()


def test_the_schema_that_ships_is_the_one_of_the_code() -> None:
    assert schema.json_schema() == SHIPPED


@given(any_event)
def test_every_event_satisfies_the_schema_and_is_read_back_equal(event: AnyEvent) -> None:
    line = schema.encode(event)
    VALIDATOR.validate(json.loads(line))
    assert schema.decode(line) == event


def test_the_schema_refuses_what_is_no_event() -> None:
    good = json.loads(schema.encode(next(conversation())))
    for broken in ({**good, "schema": "gscon.events/2"}, {**good, "seq": "1"}, {}):
        assert not VALIDATOR.is_valid(broken)


def test_unknown_fields_are_ignored() -> None:
    event = next(conversation())
    more = {**json.loads(schema.encode(event)), "new": {"field": 1}}
    assert schema.decode(json.dumps(more)) == event


@given(st.lists(any_event, max_size=5))
def test_json_lines_hold_one_event_a_line(made: list[AnyEvent]) -> None:
    lines = written(sinks.JsonLines, made).split("\n")
    assert lines.pop() == ""
    assert [schema.decode(line) for line in lines] == made


@given(st.lists(utterances, max_size=4))
def test_csv_gives_back_every_utterance(made: list[UtteranceEvent]) -> None:
    rows = list(csv.DictReader(io.StringIO(written(sinks.Csv, made), newline="")))
    assert len(rows) == len(made)
    for row, event in zip(rows, made, strict=True):
        said, felt = event.utterance, event.emotion
        assert (row["session"], row["speaker"], row["text"]) == (
            data(event.session),
            data(said.speaker),
            data(said.text),
        )
        assert (float(row["start"]), float(row["end"])) == (said.start, said.end)
        assert {name: float(row[f"p_{name}"]) for name in EMOTIONS} == felt.probabilities
        assert (row["label"], float(row["confidence"])) == (felt.label, felt.confidence)
        assert row["abstained"] == str(felt.abstained).lower()
        assert row["visual_present"] == str(event.modalities.visual.present).lower()
        prior = {name: row[f"prior_{name}"] for name in EMOTIONS}
        assert prior == {name: str((felt.prior or {}).get(name, "")) for name in EMOTIONS}


def test_the_columns_of_a_csv_keep_their_places() -> None:
    """Readers may take them by number; new ones come last."""
    columns = (
        "session,id,start,end,speaker,text,label,confidence,abstained,"
        "p_neutral,p_surprise,p_fear,p_sadness,p_joy,p_disgust,p_anger,"
        "text_source,text_present,audio_present,visual_present"
    )
    header = written(sinks.Csv, [next(conversation())]).split("\r\n")[0]
    assert header.startswith(columns + ",prior_neutral,")


def test_an_event_without_a_prior_has_no_such_field_and_is_read() -> None:
    event = _with_words("hm")
    line = json.loads(schema.encode(event))
    assert "prior" not in line["emotion"]
    VALIDATOR.validate(line)
    assert schema.decode(json.dumps(line)) == event


@given(st.lists(utterances, max_size=4))
def test_webvtt_gives_back_every_utterance(made: list[UtteranceEvent]) -> None:
    head, *blocks, last = written(sinks.WebVtt, made).split("\n\n") if made else ["", ""]
    assert last == ""
    assert len(blocks) == len(made)
    for block, event in zip(blocks, made, strict=True):
        name, times, words = block.split("\n")
        assert name == str(event.utterance.id)
        start, end = times.split(" --> ")
        assert "-->" not in words
        assert start < end or len(start) < len(end)
        found = re.fullmatch(r"<v ([^<>]*)>\[([^<>\]]*)\]([^<>]*)", words)
        assert found is not None
        speaker, verdict, text = (html.unescape(part).split() for part in found.groups())
        assert speaker == shown(event.utterance.speaker) or "&" in block
        assert " ".join(verdict).startswith(event.emotion.label)
        assert text == shown(event.utterance.text) or "&" in block
        assert not any(unicodedata.category(sign) == "Cc" for sign in block if sign != "\n")
    assert head in ("", "WEBVTT")


def data(words: str) -> str:
    """The words as a csv has them: line ends and tabs are spaces, other controls replaced."""
    spaced = re.sub(r"[\t\n\v\f\r\x85]", " ", words)
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "\N{REPLACEMENT CHARACTER}", spaced)


def shown(words: str) -> list[str]:
    """The words as a caption has them: without control characters."""
    return in_words.printable(" ".join(words.split())).split()


@pytest.mark.parametrize(("kind", "lines"), [(sinks.Csv, 1), (sinks.WebVtt, 2)])
def test_a_session_without_utterances_leaves_a_header(kind: type, lines: int) -> None:
    assert written(kind, [next(conversation())]).count("\n") == lines


def test_webvtt_escapes_markup() -> None:
    event = _with_words("a --> b & <i>c</i>\n\nd")
    assert written(sinks.WebVtt, [event]).endswith("a --&gt; b &amp; &lt;i&gt;c&lt;/i&gt; d\n\n")


@given(st.lists(any_event, max_size=5))
def test_text_is_one_printable_line_per_event(made: list[AnyEvent]) -> None:
    lines = written(sinks.Text, made).split("\n")
    assert lines.pop() == ""
    shown = [x for x in made if not isinstance(x, schema.Provisional | schema.SpeechStarted)]
    assert len(lines) == len(shown)
    assert all(in_words.printable(line) == line for line in lines)
    assert not any(unicodedata.category(sign) == "Cc" for line in lines for sign in line)


def test_text_marks_abstention_missing_modalities_gaps_and_health() -> None:
    shown = written(sinks.Text, list(conversation()))
    assert "[no visual: no face in view]" in shown
    assert "gap: 7 pictures lost (0.70 s): " in shown
    assert "health: watch restarted (no answer for 2 s)" in shown
    assert "session ended after" in shown
    event = _with_words("hm", abstained=True)
    assert f"{event.emotion.label}? " in written(sinks.Text, [event])


def test_live_text_draws_provisional_answers_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    stream = io.StringIO()
    sink = sinks.Text(stream, live=True)
    for event in conversation(1):
        sink.write(event)
    sink.close()
    final = [line.rpartition("\x1b[2K")[2] for line in stream.getvalue().split("\n")]
    assert final == written(sinks.Text, list(conversation(1))).split("\n")
    assert " …" in stream.getvalue()


@pytest.mark.parametrize("name", sinks.names())
def test_an_existing_file_lives_until_the_session_has_started(name: str, tmp_path: Path) -> None:
    kind = sinks.of_name(name)
    path = tmp_path / "events"
    path.write_text("of yesterday")
    sink = kind(path)
    sink.close()
    assert path.read_text() == "of yesterday"
    sink = kind(path)
    for event in conversation(1):
        sink.write(event)
    assert path.read_text(encoding="utf-8"), "every line must be on the disk before the end"
    assert "of yesterday" not in path.read_text(encoding="utf-8")
    sink.close()
    with pytest.raises(ValueError, match="closed"):
        sink.write(next(conversation()))


def test_what_a_killed_process_wrote_is_complete_to_its_last_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    code = (
        "import os, sys\nfrom made_events import conversation\n"
        "from gscon_live.realtime.events import sinks\n"
        "sink = sinks.JsonLines(sys.argv[1])\n"
        "for event in list(conversation())[:7]: sink.write(event)\n"
        "os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code, str(path)], env=environment, check=False)
    lines = path.read_bytes().splitlines(keepends=True)
    assert [schema.decode(line) for line in lines] == list(conversation())[:7]
    assert lines[-1].endswith(b"\n")


def test_a_missing_folder_is_refused_at_once(tmp_path: Path) -> None:
    for path in (tmp_path / "missing" / "events.jsonl", tmp_path):
        with pytest.raises(InputError, match=re.escape(str(path))):
            sinks.JsonLines(path)


@pytest.mark.parametrize("name", sinks.names())
def test_a_sink_knows_what_it_wrote_and_nothing_else(name: str, tmp_path: Path) -> None:
    kind = sinks.of_name(name)
    path = tmp_path / "events"
    for count in (0, 3):
        sink = kind(path)
        for event in conversation(count):
            sink.write(event)
        sink.close()
        assert kind.ours(path.read_bytes()[:65536])
    captions = b"WEBVTT\n\n1\n00:00:01.000 --> 00:00:02.000\n<v Ada>They said yes!\n"
    for other in (b"notes\n", captions, b'{"schema": 1}\n', b"[]", b"session,id\n", b"\xff\xfe"):
        assert not kind.ours(other)


def test_a_sink_of_others_overwrites_nothing_unless_it_says_what_is_its_own() -> None:
    assert not Labels.ours(b"joy\n")


@pytest.mark.fault
def test_an_event_that_was_sent_on_several_lines_is_one_line() -> None:
    """An event that was published as pretty-printed JSON: one line."""
    event = _with_words("a\nb")
    pretty = json.dumps({**json.loads(schema.encode(event)), "new": [1, 2]}, indent=2)
    for sent in (pretty, pretty.replace("\n", "\r\n"), pretty.replace("\n", "\r")):
        stream = io.StringIO(newline="")
        sinks.JsonLines(stream).write_line(sent)
        line = stream.getvalue()
        assert (line.count("\n"), line.count("\r"), line[-1]) == (1, 0, "\n")
        assert json.loads(line) == json.loads(pretty)


@pytest.mark.fault
def test_rows_of_several_recordings_say_which_one_and_what_each_modality_says() -> None:
    """A table of several recordings: each row names its recording."""
    made = [*conversation(2, 1), *conversation(3, 2)]
    started = [event for event in made if isinstance(event, schema.SessionStarted)]
    made = [
        msgspec.structs.replace(event, source=f"{started.index(event)}.mkv", session="same")
        if isinstance(event, schema.SessionStarted)
        else event
        for event in made
    ]
    rows = list(csv.DictReader(io.StringIO(written(sinks.Csv, made), newline="")))
    assert [row["source"] for row in rows] == ["0.mkv"] * 2 + ["1.mkv"] * 3
    said = [event for event in made if isinstance(event, UtteranceEvent)]
    for row, event in zip(rows, said, strict=True):
        assert row["model"] == f"{event.model.name} {event.model.version}"
        for name in ("text", "audio", "visual"):
            modality = getattr(event.modalities, name)
            assert row[f"{name}_reason"] == (modality.reason or "")
            expected = {e: str((modality.probabilities or {}).get(e, "")) for e in EMOTIONS}
            assert {emotion: row[f"{name}_{emotion}"] for emotion in EMOTIONS} == expected


@pytest.mark.fault
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_file_on_a_full_disk_is_named_also_when_it_is_closed(tmp_path: Path) -> None:
    """A disk that is full at the end: the file is named."""
    (tmp_path / "full.jsonl").symlink_to("/dev/full")
    sink = sinks.JsonLines(tmp_path / "full.jsonl")
    with pytest.raises(Failure, match=r"full\.jsonl: No space left"):
        sink.write(next(conversation()))
    sink.close()


@pytest.mark.fault
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_a_failure_in_one_line() -> None:
    """`--events /dev/full`: one line that names the file."""
    with pytest.raises(Failure, match="No space left"):
        sinks.JsonLines("/dev/full").write(next(conversation()))


def test_the_ending_chooses_the_sink(tmp_path: Path) -> None:
    assert isinstance(sinks.for_path(tmp_path / "a.CSV"), sinks.Csv)
    assert isinstance(sinks.for_path(tmp_path / "a.txt"), sinks.Text)
    for name in ("a.doc", "a", "jsonl"):
        with pytest.raises(InputError, match=r"\.txt, \.jsonl, \.csv, \.vtt"):
            sinks.for_path(tmp_path / name)


class Labels(sinks.Sink):
    """A sink of another's making: the labels of utterances, a line each."""

    def __init__(self, target: sinks.Target) -> None:
        assert isinstance(target, Path)
        self._path = target
        self._labels: list[str] = []

    def write(self, event: AnyEvent) -> None:
        if isinstance(event, UtteranceEvent):
            self._labels.append(event.emotion.label)

    def close(self) -> None:
        self._path.write_text("\n".join(self._labels), encoding="utf-8")


def test_a_sink_that_is_in_the_table_is_chosen_by_name_and_by_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sinks.SINKS, "labels", f"{__name__}.Labels")
    assert "labels" in sinks.names()
    assert sinks.of_name("labels") is Labels
    sink = sinks.for_path(tmp_path / "session.labels")
    said = [event for event in conversation(3) if isinstance(event, UtteranceEvent)]
    for event in conversation(3):
        sink.write(event)
    sink.close()
    assert (tmp_path / "session.labels").read_text().split() == [
        event.emotion.label for event in said
    ]


def _with_words(text: str, abstained: bool = False) -> UtteranceEvent:
    event = next(event for event in conversation() if isinstance(event, UtteranceEvent))
    replace = msgspec.structs.replace
    return replace(
        event,
        utterance=replace(event.utterance, text=text),
        emotion=replace(event.emotion, abstained=abstained),
    )


@pytest.mark.fault
@pytest.mark.parametrize(
    ("what", "count", "seconds", "words"),
    [
        ("frames", 26, 2.6, "26 pictures lost (2.60 s): why"),
        ("frames", 26, 0.0, "26 pictures lost: why"),
        ("frames", 1, 0.0, "1 picture lost: why"),
        ("frames", 0, 0.0, "why"),
        ("audio", 4800, 0.3, "0.30 s of sound lost: why"),
        ("audio", 1, 0.0, "sound lost: why"),
        ("audio", 0, 0.0, "why"),
        ("utterance", 1, 0.0, "1 utterance lost: why"),
        ("caption", 3, 0.0, "3 captions lost: why"),
    ],
)
def test_a_loss_is_told_as_people_would(what: str, count: int, seconds: float, words: str) -> None:
    """A loss of 0 pictures and 0.00 s: only its reason is shown."""
    head = {"schema": schema.SCHEMA, "session": "s", "seq": 0, "time": 1.0}
    gap = msgspec.convert(
        head | {"type": "gap", "what": what, "count": count, "seconds": seconds, "reason": "why"},
        schema.Gap,
    )
    assert in_words.describe(gap) == f"00:01.00  gap: {words}"


@pytest.mark.fault
def test_joiners_and_marks_of_direction_are_words_and_control_characters_are_none() -> None:
    """Joiners and marks of direction in words: kept; control characters: replaced."""
    persian, arabic, long = "می\u200cخواهم", "\u200fنعم\u200f", "co\u00adoperate"
    for words in (persian, arabic, long, "👩\u200d🚀"):
        assert in_words.printable(words) == words
    for sign in ("\x1b", "\x07", "\x9b", "\u202e", "\n", "\x00"):
        assert in_words.printable(f"a{sign}b") == "a\N{REPLACEMENT CHARACTER}b"


HOSTILE = "\x1b]0;owned\x07\x1b[2Ja\x9b31mb\rc\x7f\x00"


@pytest.mark.fault
@pytest.mark.parametrize("name", sinks.names())
def test_control_characters_in_words(name: str) -> None:
    """A caption holds escape sequences for a terminal: no output has them as they are."""
    replace = msgspec.structs.replace
    event = _with_words(HOSTILE)
    gone = schema.Modality(present=False, reason=HOSTILE)
    event = replace(
        event,
        session=HOSTILE,
        utterance=replace(event.utterance, speaker=HOSTILE),
        modalities=replace(event.modalities, visual=gone),
        model=schema.ModelInfo(name=HOSTILE, version=HOSTILE),
    )
    started = next(iter(conversation()))
    assert isinstance(started, schema.SessionStarted)
    stream = io.StringIO(newline="")
    sink = sinks.of_name(name)(stream)
    for sent in (replace(started, source=HOSTILE), event):
        if isinstance(sink, sinks.JsonLines):
            sink.write_line(msgspec.json.encode(sent).decode())
        else:
            sink.write(sent)
    text = stream.getvalue().replace("\r\n", "\n")
    assert [sign for sign in text if unicodedata.category(sign) == "Cc" and sign != "\n"] == []
    if name == "jsonl":
        assert schema.decode(text.splitlines()[-1]) == event


@pytest.mark.fault
@pytest.mark.parametrize("words", ["=cmd|' /C calc'!A0", "+1", "- I love you.", "@SUM(A1)"])
def test_words_that_a_spreadsheet_takes_for_a_formula(words: str) -> None:
    """Words begin with = + - or @: a csv keeps them, since programs for statistics read them."""
    rows = list(csv.DictReader(io.StringIO(written(sinks.Csv, [_with_words(words)]), newline="")))
    assert rows[0]["text"] == words
    page = (Path(__file__).parents[3] / "docs/use.md").read_text(encoding="utf-8")
    assert "import the column as text" in " ".join(page.split())


@pytest.mark.fault
def test_words_with_line_ends_in_a_csv() -> None:
    """Words have line ends: they are spaces in a csv, so each utterance is one line."""
    persian = "\u200fمی\u200cخواهم co\u00adop 👩\u200d🚀"
    text = written(sinks.Csv, [_with_words(f"a\nb\r\nc\td\u0085{persian}")])
    assert len(text.removesuffix("\r\n").split("\r\n")) == 2
    assert text.count("\n") == 2
    assert f"a b  c d {persian}" in text
