"""What is promised of captions: every word with its time and speaker, and no cue lost silently."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_media import click, ffmpeg, make, only, replay

from gscon_live.common.errors import InputError
from gscon_live.realtime.capture.caption_files import find, read_file
from gscon_live.realtime.pipeline.messages import AudioChunk, Cue, Dropped, Mark

WORD = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyzäéßøñ'"), min_size=1, max_size=8).filter(
    lambda word: any(letter.isalpha() for letter in word)
)
TEXT = st.lists(WORD, min_size=1, max_size=8).map(" ".join)
NAME = st.lists(
    st.text(st.sampled_from("abcdefghijéü"), min_size=5, max_size=8).map(str.capitalize),
    min_size=1,
    max_size=3,
).map(" ".join)
CUES = st.lists(
    st.tuples(st.integers(0, 7_000_000), st.integers(1, 20_000), TEXT, st.none() | NAME),
    min_size=1,
    max_size=12,
)


def clock(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{rest:03}"


def as_vtt(cues: list[tuple[int, int, str, str | None]]) -> str:
    blocks = ["WEBVTT"]
    for start, length, text, name in cues:
        words = text.replace("&", "&amp;").replace(" ", "\n", 1)
        voice = f"<v {name}>{words}</v>" if name else f"<i>{words}</i>"
        blocks.append(f"{clock(start, '.')} --> {clock(start + length, '.')}\n{voice}")
    return "\n\n".join(blocks) + "\n"


def as_srt(cues: list[tuple[int, int, str, str | None]]) -> str:
    blocks = []
    for number, (start, length, text, name) in enumerate(cues, 1):
        label = f"{name}: " if name else ""
        times = f"{clock(start, ',')} --> {clock(start + length, ',')}"
        blocks.append(f"{number}\n{times}\n{label}{text}\n")
    return "\n".join(blocks)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(cues=CUES, kind=st.sampled_from(["vtt", "srt"]), line_end=st.sampled_from(["\n", "\r\n"]))
def test_what_is_written_as_vtt_or_srt_is_read_back(
    tmp_path: Path,
    cues: list[tuple[int, int, str, str | None]],
    kind: str,
    line_end: str,
) -> None:
    path = tmp_path / f"cues.{kind}"
    # Lines that two cues share could have been carried over.
    cues = [
        (s, n, f"Q{'abcdefghijkl'[i]} {text}", name) for i, (s, n, text, name) in enumerate(cues)
    ]
    # In SubRip, a label is a name because it recurs.
    cues = cues + [(s + 7_500_000, n, text, name) for s, n, text, name in cues]
    text = as_vtt(cues) if kind == "vtt" else as_srt(cues)
    path.write_bytes(text.replace("\n", line_end).encode())
    expected = {(s / 1000, (s + n) / 1000, text, name) for s, n, text, name in cues}
    found = read_file(path)
    assert all(isinstance(item, Cue) for item in found)
    assert {(c.start, c.end, c.text, c.speaker) for c in only(found, Cue)} == expected
    assert len(found) == len(expected)  # exact duplicates are merged
    starts = [cue.start for cue in only(found, Cue)]
    assert starts == sorted(starts)


def test_cues_that_are_no_utterance_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.vtt"
    path.write_text(
        "WEBVTT\n\nNOTE a remark\n\n00:01.000 --> 00:02.000\n[music]\n\n"
        "00:03.000 --> 00:03.000\nno time\n\n00:05.000 --> 00:04.000\nbackwards\n\n"
        "00:06.000 --> 00:07.000\nfine\n\n00:06.000 --> 00:07.000\nfine\n\n"
        "00:06.500 --> 00:08.000\nat once\n\n0a:09.000 --> 00:10.000\nbroken\n"
    )
    found = read_file(path)
    assert [cue.text for cue in only(found, Cue)] == ["fine", "at once"]
    reasons = [drop.reason for drop in only(found, Dropped)]
    assert len(reasons) == 4
    for part in ("no words", "no length", "before it begins", "cannot be read"):
        assert sum(part in reason for reason in reasons) == 1
    assert all(drop.what == "caption" and drop.count == 1 for drop in only(found, Dropped))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.vtt", b""),
        ("a.vtt", b"WEBVTT\n"),
        ("a.vtt", b"00:01.000 --> 00:02.000\nno header\n"),
        ("a.srt", b""),
        ("a.srt", b"just a text\nof two lines\n"),
        ("a.srt", b"\x00\x01\x02" * 100),
        ("a.srt", bytes(range(128, 256)) * 20),
        ("a.sbv", b"just a text\n"),
        ("a.ass", b"[Script Info]\n[Events]\n"),
        ("a.ttml", b"<tt xmlns='http://www.w3.org/ns/ttml'><body><div><p begin='0s' end='1s'>"),
        (
            "a.ttml",
            b"<!DOCTYPE tt [<!ENTITY a 'aa'>]><tt><body><p begin='0s' end='1s'>&a;</p></body></tt>",
        ),
        ("a.txt", b"WEBVTT\n\n00:01.000 --> 00:02.000\nHi\n"),
        ("missing.vtt", None),
    ],
)
def test_an_unusable_caption_file_is_refused_by_name_and_ignored_where_nobody_asked_for_it(
    tmp_path: Path, name: str, data: bytes | None
) -> None:
    recording = make(tmp_path / "a.wav", audio=[click(2)])
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=name) as caught:
        replay(recording, captions=path)
    assert "\n" not in str(caught.value)
    source, _ = replay(recording, captions="auto")
    assert not source.has_captions
    if path.suffix != ".txt" and data is not None:
        assert any(name in notice for notice in source.notices)


def test_a_sidecar_is_found_by_its_stem_and_the_plain_name_comes_first(tmp_path: Path) -> None:
    recording = make(tmp_path / "talk.wav", audio=[click(4)])
    cues = [(1000, 500, "english", None)]
    (tmp_path / "talks.vtt").write_text(as_vtt(cues))
    assert not replay(recording, captions="auto")[0].has_captions
    (tmp_path / "talk.en.srt").write_text(as_srt(cues))
    source, messages = replay(recording, captions="auto")
    assert source.captions_path == tmp_path / "talk.en.srt"
    assert only(messages, Cue) == [Cue(1.0, 1.5, "english", None)]
    before = source.digest()
    (tmp_path / "talk.vtt").write_text(as_vtt([(1000, 500, "plain", None)]))
    source, messages = replay(recording, captions="auto")
    assert [cue.text for cue in only(messages, Cue)] == ["plain"]
    assert any("2 caption files" in notice for notice in source.notices)
    assert source.digest() != before
    assert not only(replay(recording, captions="off")[1], Cue)


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mkv", "subrip"), ("mkv", "ass"), ("mkv", "webvtt"), ("mp4", "mov_text"), ("webm", "webvtt")],
)
def test_a_text_track_of_the_file_comes_before_a_sidecar(
    tmp_path: Path, container: str, codec: str
) -> None:
    plain = make(
        tmp_path / "plain.mkv", video=[n / 25 for n in range(100)], audio=[click(4)], rate=16_000
    )
    cues = tmp_path / "cues.srt"
    cues.write_text(as_srt([(500, 1000, "hello you", "JANE"), (2000, 1500, "bye", None)]))
    path = tmp_path / f"talk.{container}"
    sound = ["-c:v", "libvpx", "-c:a", "libopus"] if container == "webm" else ["-c:a", "aac"]
    ffmpeg("-i", plain, "-i", cues, "-map", "0", "-map", "1", *sound, "-c:s", codec, path)
    (tmp_path / "talk.vtt").write_text(as_vtt([(1000, 500, "sidecar", None)]))
    source, messages = replay(path, captions="auto")
    assert source.has_captions
    assert source.captions_path is None
    found = only(messages, Cue)
    assert [(cue.text, cue.speaker) for cue in found] == [("hello you", "JANE"), ("bye", None)]
    # Where an encoder's delay cannot be written as an edit, everything moves by its 64 ms.
    assert [cue.start for cue in found] == pytest.approx([0.5, 2.0], abs=0.07)
    assert [cue.end for cue in found] == pytest.approx([1.5, 3.5], abs=0.07)


def test_the_name_field_of_ass_is_the_speaker(tmp_path: Path) -> None:
    script = tmp_path / "cues.ass"
    script.write_text(
        "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\n"
        "Style: Default,Arial,20\n\n[Events]\n"
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
        "Dialogue: 0,0:00:00.50,0:00:01.50,Default,Ada,0,0,0,,{\\i1}Well, well{\\i0},\\Nthen\n"
    )
    plain = make(tmp_path / "plain.mkv", audio=[click(3)])
    path = tmp_path / "talk.mkv"
    ffmpeg("-i", plain, "-i", script, "-map", "0", "-map", "1", "-c", "copy", path)
    assert only(find(path, "auto").messages, Cue) == [Cue(0.5, 1.5, "Well, well, then", "Ada")]


def test_subtitles_that_are_pictures_are_said_to_be_unusable(tmp_path: Path) -> None:
    plain = make(tmp_path / "plain.mkv", video=[n / 25 for n in range(50)], audio=[click(2)])
    path = tmp_path / "talk.mkv"
    cues = tmp_path / "cues.sup"
    ffmpeg("-f", "lavfi", "-i", "color=black:size=64x48:duration=1", "-c:v", "mpeg4",
           tmp_path / "x.mkv")  # fmt: skip
    # A minimal PGS stream: one empty presentation segment and one end segment.
    head = b"PG" + (45_000).to_bytes(4, "big") + bytes(4)
    body = bytes([0, 64, 0, 48, 0x10, 0, 0, 0x80, 0, 0, 0])
    cues.write_bytes(
        head + b"\x16" + len(body).to_bytes(2, "big") + body + head + b"\x80" + bytes(2)
    )
    ffmpeg("-i", plain, "-i", cues, "-map", "0", "-map", "1", "-c", "copy", path)
    source, _ = replay(path, captions="auto")
    assert not source.has_captions
    assert any("pictures" in notice for notice in source.notices)


def test_a_cue_is_known_before_its_sound_and_cut_at_the_end(tmp_path: Path) -> None:
    recording = make(tmp_path / "a.wav", audio=[click(4)])
    cues = tmp_path / "b.srt"
    cues.write_text(
        as_srt(
            [(0, 900, "one", None), (1240, 900, "two", None), (1250, 100, "three", None),
             (3900, 900, "four", None), (4100, 500, "late", None), (9000, 500, "later", None)]
        )
    )  # fmt: skip
    _, messages = replay(recording, captions=cues)
    waiting = {cue.text: cue for cue in only(messages, Cue)}
    assert waiting["four"].end == 4.0
    reached = 0.0
    for message in messages:
        if isinstance(message, Cue):
            assert message.start >= reached
            del waiting[message.text]
        elif isinstance(message, AudioChunk):
            end = message.time + len(message.samples) / 64_000
            assert all(cue.start >= end for cue in waiting.values())
        elif isinstance(message, Mark):
            reached = message.time
    assert not waiting
    (late,) = only(messages, Dropped)
    assert (late.what, late.count, late.seconds) == ("caption", 2, pytest.approx(1.0))
    assert "after the end" in late.reason
