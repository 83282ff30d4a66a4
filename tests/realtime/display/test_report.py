"""The report says what the session held, to anyone, in one page that loads nothing."""

import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_events import any_event, conversation, utterances

from gscon_live.common import cli
from gscon_live.common.errors import InputError
from gscon_live.realtime import report
from gscon_live.realtime.display import report_page
from gscon_live.realtime.display.report_data import page_data
from gscon_live.realtime.display.report_timeline import scale_for
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.schema import AnyEvent, UtteranceEvent

HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)>' {{ 7 * 7 }}"
replace = msgspec.structs.replace


class Read(HTMLParser):
    """What a browser would make of the page: tags, attributes, visible text, transcript rows."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.rows: list[str] = []
        self._inside: list[str] = []
        self._in_row = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag in ("style", "script"):
            self._inside.append(tag)
        if tag == "tr" and any(name == "id" for name, _ in attrs):
            self.rows.append("")
            self._in_row = True

    def handle_endtag(self, tag: str) -> None:
        if self._inside and tag == self._inside[-1]:
            self._inside.pop()
        if tag == "tr":
            self._in_row = False

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.text += data
            if self._in_row:
                self.rows[-1] += data


def of_one_session(made: list[AnyEvent]) -> list[AnyEvent]:
    return [replace(event, session="s") for event in made]


def test_every_utterance_stands_in_the_transcript_with_its_answer() -> None:
    made = list(conversation(seed=3))
    page = Read(report_page.render(made, "conversation.mkv"))
    said = [event for event in made if isinstance(event, UtteranceEvent)]
    assert len(page.rows) == len(said)
    for row, event in zip(page.rows, said, strict=True):
        assert event.utterance.speaker in row
        assert (event.utterance.text or "no words") in row
        assert f"{event.emotion.label}{'?' if event.emotion.abstained else ''}" in row
        assert f"{round(100 * event.emotion.confidence)} %" in row
        assert ("abstained" in row) == event.emotion.abstained
        assert ("no face in view" in row) == (not event.modalities.visual.present)
    assert any(event.emotion.abstained for event in said)


def test_the_summary_and_the_notices_say_what_happened() -> None:
    made = list(conversation())
    facts = dict(page_data(made).facts)
    said = [event for event in made if isinstance(event, UtteranceEvent)]
    unsure = sum(event.emotion.abstained for event in said)
    assert facts["Utterances"] == "10"
    assert facts["Speakers"] == "2"
    assert facts["Abstained"] == f"{unsure} of 10"
    assert facts["Without face"] == "2 of 10"
    assert facts["Model"] == "live 1.0"
    text = Read(report_page.render(made, "a")).text
    assert "7 pictures lost (0.70 s): the face stage fell behind" in text
    assert "watch restarted: no answer for 2 s" in text
    assert "no lie detector and no diagnosis" in text


@given(st.lists(any_event, max_size=6).map(of_one_session), st.text(max_size=20))
@settings(max_examples=40, deadline=None)
def test_nothing_in_the_events_reaches_the_page_as_markup(made: list[AnyEvent], title: str) -> None:
    page = Read(report_page.render(made, title))
    assert page.tags.count("script") == 1
    assert not {"img", "iframe", "link", "object", "embed", "form", "base"} & set(page.tags)
    for name, value in page.attributes:
        assert not name.startswith("on")
        assert name != "src"
        assert name != "href" or value.startswith("#u")


@pytest.mark.fault
def test_hostile_words_names_and_reasons_are_shown_as_they_are() -> None:
    """Markup and scripts in words, names and reasons: shown, never run."""
    event = next(e for e in conversation() if isinstance(e, UtteranceEvent))
    gone = schema.Modality(present=False, reason=HOSTILE)
    hostile = replace(
        event,
        utterance=replace(event.utterance, text=HOSTILE, speaker=HOSTILE),
        emotion=replace(
            event.emotion, label=HOSTILE, probabilities={HOSTILE: 0.6, "red;}</style>": 0.4}
        ),
        modalities=replace(event.modalities, text=gone),
        model=replace(event.model, name=HOSTILE),
    )
    raw = report_page.render([hostile], HOSTILE)
    page = Read(raw)
    assert page.tags.count("script") == raw.count("<script") == 1
    assert raw.count("</style>") == 1
    assert "img" not in page.tags
    assert page.text.count(HOSTILE) >= 6


def test_the_page_loads_nothing() -> None:
    raw = report_page.render(conversation(), "a")
    assert "default-src 'none'" in raw
    for outside in ("http:", "https:", "url(", "@import", "src="):
        assert outside not in raw


@pytest.mark.parametrize("made", [[], list(conversation(0))], ids=["nothing", "silence"])
def test_a_session_without_utterances_says_so(made: list[AnyEvent]) -> None:
    page = Read(report_page.render(made, "silence"))
    assert "No utterance was recognised" in page.text
    assert page.rows == []


def test_a_session_that_was_cut_off_says_so() -> None:
    made = list(conversation())
    assert "end was not recorded" in Read(report_page.render(made[:-1], "a")).text
    stopped = replace(made[-1], complete=False)
    assert "stopped before its end" in Read(report_page.render([*made[:-1], stopped], "a")).text
    begun = [e for e in made if not isinstance(e, UtteranceEvent) or e.utterance.id != 9]
    assert "1 utterance(s) began" in Read(report_page.render(begun, "a")).text


@pytest.mark.fault
def test_of_several_sessions_all_are_shown_with_links_of_their_own() -> None:
    """Several recordings and one `--report`: all are on the page."""
    same = list(conversation(2, 1))
    raw = report_page.render([*conversation(2, 1), *conversation(3, 2), *same], "a")
    page = Read(raw)
    assert len(page.rows) == 7
    assert "3 sessions, one below the other" in page.text
    places = [value for name, value in page.attributes if name == "id"]
    assert len(places) == len(set(places))
    links = {value.removeprefix("#") for name, value in page.attributes if name == "href"}
    assert links <= set(places)
    assert raw.count('class="recording"') == 3


def test_a_page_is_recognised_and_other_pages_are_not() -> None:
    assert report_page.ours(report_page.render(conversation(), "a").encode()[:65536])
    older = b"<!doctype html>\n<head>\n<title>a \xe2\x80\x93 emotions in a conversation</title>"
    assert report_page.ours(older)
    assert not report_page.ours(b"<!doctype html>\n<title>My page</title>")


@pytest.mark.fault
@pytest.mark.parametrize("out", ["events.jsonl", "page.pdf", "mine.html", "link.html"])
def test_a_report_destroys_nothing(
    out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A report over its events or somebody's file: refused."""
    monkeypatch.chdir(tmp_path)
    lines = [schema.encode(event) for event in conversation()]
    Path("events.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    Path("mine.html").write_text("<p>mine</p>", encoding="utf-8")
    Path("link.html").symlink_to("events.jsonl")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert cli.run(report.main, ["events.jsonl", out]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert cli.run(report.main, ["events.jsonl", "new.html"]) == 0
    assert cli.run(report.main, ["events.jsonl", "new.html"]) == 0


def test_an_hour_with_hundreds_of_utterances_fits_in_a_page() -> None:
    raw = report_page.render(conversation(800), "long")
    assert len(Read(raw).rows) == 800
    assert len(raw) < 4_000_000
    assert "The whole session at a glance" in raw


@given(st.lists(utterances, min_size=1, max_size=5))
@settings(deadline=None)
def test_blocks_lie_where_the_utterances_lie_in_time(made: list[UtteranceEvent]) -> None:
    ordered = sorted(of_one_session(list(made)), key=lambda e: (e.utterance.start, e.utterance.id))
    page = page_data(ordered)
    scale = scale_for(max(event.utterance.end for event in ordered))
    for row in page.rows:
        here = [e for e in ordered if row.kind == "modality" or e.utterance.speaker == row.name]
        assert len(row.blocks) == len(here)
        for block, event in zip(row.blocks, here, strict=True):
            length = event.utterance.end - event.utterance.start
            assert block.left == pytest.approx(event.utterance.start * scale, abs=0.1)
            assert block.width == pytest.approx(max(length * scale - 1, 4), abs=0.1)
    assert sum(share.utterances for share in page.shares) == len(made)


def test_the_command_turns_a_file_of_events_into_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, out = tmp_path / "talk.jsonl", tmp_path / "talk.html"
    made.write_bytes(b"".join(schema.encode(event) + b"\n" for event in conversation()))
    assert cli.run(report.main, [str(made), str(out)]) == 0
    assert "<h1>talk</h1>" in out.read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["talk.html", "talk.jsonl"]
    before = out.read_bytes()
    made.write_bytes(made.read_bytes() + b'{"type":"utterance"}\n')
    capsys.readouterr()
    assert cli.run(report.main, [str(made), str(out)]) == 2
    error = capsys.readouterr().err
    assert f"line {len(list(conversation())) + 1}" in error
    assert error.count("\n") == 1
    assert out.read_bytes() == before


def test_a_missing_folder_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing"):
        report_page.write_report(conversation(), tmp_path / "missing" / "a.html")


@pytest.mark.parametrize(("recording", "page", "expected"), [
    ("talks/talk.mkv", "talks/out.html", "talk.mkv"),
    ("talks/talk.mkv", "out.html", "talks/talk.mkv"),
    ("talks/talk.mkv", "pages/out.html", "../talks/talk.mkv"),
    ("talks/link.mkv", "talks/out.html", "link.mkv"),
    ("talks/talk.mkv", "link/out.html", "talk.mkv"),
    ("talks/a: #1?é.mkv", "talks/out.html", "a%3A%20%231%3F%C3%A9.mkv"),
])  # fmt: skip
def test_a_page_knows_its_recording_by_a_path_that_survives_a_move(
    recording: str, page: str, expected: str, tmp_path: Path
) -> None:
    for folder in ("talks", "pages"):
        (tmp_path / folder).mkdir()
    (tmp_path / "talks" / "link.mkv").symlink_to("../elsewhere.mkv")
    (tmp_path / "link").symlink_to("talks")
    assert report_page.address(tmp_path / recording, tmp_path / page) == expected


def test_each_session_of_a_page_has_its_own_recording() -> None:
    """Of three sessions, the second has none: it came from a stream."""
    events = [event for seed in range(3) for event in conversation(1, seed)]
    beside = report_page.Beside(media=["a.mkv", "", "c.mkv", "never-begun.mkv"])
    raw = report_page.render(events, "a", beside)
    assert re.findall('data-media="(.*?)"', raw) == ["a.mkv", "c.mkv"]
    players = raw.split('<div class="player"')[1:]
    assert ["data-media" in player for player in players] == [True, False, True]


@pytest.mark.parametrize(("count", "media", "complaint"), [
    (2, "talk.wav", "recording of one"), (1, "none.wav", "no such file"), (1, "talk.wav", None),
])  # fmt: skip
def test_a_recording_that_cannot_be_the_one_is_refused(
    count: int, media: str, complaint: str | None,
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    events = tmp_path / "talk.jsonl"
    lines = [schema.encode(e) + b"\n" for seed in range(count) for e in conversation(1, seed)]
    events.write_bytes(b"".join(lines))
    (tmp_path / "talk.wav").write_bytes(b"RIFF")
    words = [str(events), str(tmp_path / "talk.html"), "--media", str(tmp_path / media)]
    code = cli.run(report.main, words)
    error = capsys.readouterr().err
    assert code == (2 if complaint else 0)
    assert (complaint or "") in error
    assert error.count("\n") == (1 if complaint else 0)
