"""Every caption format is read as it was meant, in any encoding, and a bad cue costs no other."""

from pathlib import Path

import pytest
from made_media import click, make, only, replay

from gscon_live.common.errors import InputError
from gscon_live.realtime.capture.caption_files import find, read_file
from gscon_live.realtime.pipeline.messages import Cue, Dropped


def read(tmp_path: Path, name: str, text: str) -> list[Cue | Dropped]:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_file(path)


@pytest.mark.fault
@pytest.mark.parametrize(
    ("timing", "start", "end"),
    [
        ("00:00:01,000 --> 00:00:02,500", 1.0, 2.5),
        ("00:00:01.000 --> 00:00:02.500", 1.0, 2.5),
        ("00:00:01 --> 00:00:02", 1.0, 2.0),
        ("00:01 --> 00:02", 1.0, 2.0),
        ("00:00:01,5 --> 00:00:02,25", 1.5, 2.25),
        ("00:00:01,000 -> 00:00:02,500", 1.0, 2.5),
        ("00:00:01,000 – > 00:00:02,500", 1.0, 2.5),
        ("00:00:01,000-->00:00:02,500", 1.0, 2.5),
        ("00:00:01,000 00:00:02,500", 1.0, 2.5),
        ("00:00:01 -> 00:00:02 X1:10 X2:20", 1.0, 2.0),
        ("1:00:01.0004 --> 1:00:02.0", 3601.0, 3602.0),
        ("90:01.000 --> 90:02.000", 5401.0, 5402.0),
    ],
)
@pytest.mark.parametrize("kind", ["vtt", "srt"])
def test_times_are_read_as_they_were_meant(
    tmp_path: Path, kind: str, timing: str, start: float, end: float
) -> None:
    """Times without fractions, with commas or with other arrows: read as meant."""
    head = "WEBVTT\n\n" if kind == "vtt" else ""
    found = read(
        tmp_path,
        f"a.{kind}",
        f"{head}1\n{timing}\nHello there\n\n2\n02:00:00,000 --> 02:00:01,000\nBye\n",
    )
    assert found == [Cue(start, end, "Hello there"), Cue(7200.0, 7201.0, "Bye")]


@pytest.mark.fault
@pytest.mark.parametrize(
    "timing",
    [
        "00:00:0x,000 --> 00:00:04,000",
        "00:00:03,000 --> ",
        "--> 00:00:04,000",
        "00:00:75,000 --> 00:00:80,000",
        "00:61:03,000 --> 00:61:04,000",
        "9" * 5000 + ":00:03,000 --> 00:00:04,000",
        "00:00:" + "9" * 400 + " --> 00:00:04,000",
        "00:00:03," + "9" * 5000 + " --> 00:00:04,000",
        "-00:00:03,000 --> 00:00:04,000",
        "00:00:03,000 --> 00:00:04,000:17",
        "00:00:03,,000 -> 00:00:04,000",
    ],
    ids=lambda timing: timing[:20],
)
@pytest.mark.parametrize("kind", ["vtt", "srt"])
def test_a_malformed_cue_is_counted_and_loses_no_other(
    tmp_path: Path, kind: str, timing: str
) -> None:
    """A malformed cue: left out and counted; the others are read."""
    head = "WEBVTT\n\n" if kind == "vtt" else ""
    found = read(
        tmp_path,
        f"a.{kind}",
        f"{head}1\n00:00:01,000 --> 00:00:02,000\nfirst words\n\n2\n{timing}\nsecret words\n\n"
        "3\n00:00:05,000 --> 00:00:06,000\nthird words\n\n4\n00:07,000 --> 00:08,000\nfourth\n",
    )
    assert [cue.text for cue in only(found, Cue)] == ["first words", "third words", "fourth"]
    (drop,) = only(found, Dropped)
    assert (drop.what, drop.count) == ("caption", 1)
    assert "line" in drop.reason
    assert "cannot be read" in drop.reason
    assert "secret" not in drop.reason


def test_text_of_subrip_may_have_empty_lines_arrows_and_numbers(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "a.srt",
        "1\n00:00:01,000 --> 00:00:02,000\none\n\ntwo\n\n2\n00:00:03,000 --> 00:00:04,000\n"
        "1984\nat 10:30\n3\n00:00:05,000 --> 00:00:06,000\nThis --> that\n",
    )
    assert [cue.text for cue in only(found, Cue)] == ["one two", "1984 at 10:30", "This --> that"]
    assert not only(found, Dropped)


def test_notes_styles_and_names_of_cues_are_no_words(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "a.vtt",
        "WEBVTT - a title\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nNOTE\na remark\n\n"
        "intro\n00:01.000 --> 00:02.000 align:start position:0%\nHello\n\nNOTE more\n\n"
        "00:03.000 --> 00:04.000\nBye\n",
    )
    assert found == [Cue(1.0, 2.0, "Hello"), Cue(3.0, 4.0, "Bye")]


def test_sbv_is_read(tmp_path: Path) -> None:
    text = (
        "0:00:01.000,0:00:02.500\nHello\nthere\n\n0:00:03.000,0:00:0x.000\nlost\n\n"
        "1:00:03.000,1:00:04.000\nGood[br]bye\n"
    )
    found = read(tmp_path, "a.sbv", text)
    assert only(found, Cue) == [Cue(1.0, 2.5, "Hello there"), Cue(3603.0, 3604.0, "Good bye")]
    assert [drop.count for drop in only(found, Dropped)] == [1]


ASS = r"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,20

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:01.00,0:00:02.50,Default,Ada,0,0,0,,{\i1}Well, well{\i0},\Nthen
Comment: 0,0:00:02.00,0:00:03.00,Default,,0,0,0,,a remark
Dialogue: 0,0:00:0x.00,0:00:03.00,Default,,0,0,0,,lost
Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,Bye
"""


@pytest.mark.parametrize("ending", ["ass", "ssa"])
def test_ass_is_read(tmp_path: Path, ending: str) -> None:
    found = read(tmp_path, f"a.{ending}", ASS)
    assert only(found, Cue) == [Cue(1.0, 2.5, "Well, well, then", "Ada"), Cue(3.0, 4.0, "Bye")]
    assert [drop.reason for drop in only(found, Dropped)] == ["line 12 cannot be read"]


TTML = """<?xml version="1.0" encoding="utf-8"?>
<tt xmlns="http://www.w3.org/ns/ttml" xmlns:ttm="http://www.w3.org/ns/ttml#metadata"
    xmlns:ttp="http://www.w3.org/ns/ttml#parameter" ttp:frameRate="25" ttp:tickRate="1000"
    xml:lang="en">
  <head><metadata>
    <ttm:agent xml:id="a1" type="person"><ttm:name type="full">Ada</ttm:name></ttm:agent>
  </metadata></head>
  <body begin="10s"><div>
    <p begin="00:00:01.500" end="00:00:02.500" ttm:agent="a1">Well &lt;b&gt;<br/> <span>then
      again</span> &amp; so</p>
    <p begin="00:00:03:05" dur="1s">frames</p>
    <p begin="5000t" end="6000t">ticks</p>
    <p begin="7x" end="8s">lost</p>
    <p><span begin="8s" end="8.5s">one</span> <span begin="9s" end="9500ms">two</span></p>
    <p/>
  </div></body>
</tt>
"""


@pytest.mark.parametrize("ending", ["ttml", "dfxp"])
def test_ttml_is_read(tmp_path: Path, ending: str) -> None:
    found = read(tmp_path, f"a.{ending}", TTML)
    assert only(found, Cue) == [
        Cue(11.5, 12.5, "Well <b> then again & so", "Ada"),
        Cue(13.2, 14.2, "frames"),
        Cue(15.0, 16.0, "ticks"),
        Cue(18.0, 18.5, "one"),
        Cue(19.0, 19.5, "two"),
    ]
    assert [drop.reason for drop in only(found, Dropped)] == ["caption 4 cannot be read"]


@pytest.mark.fault
@pytest.mark.timeout(120)  # a reader of quadratic time would need hours
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.vtt", "WEBVTT\n\n" + "00:01.000 --> 00:02.000\n" * 30_000),
        ("a.vtt", "WEBVTT\n\n" + "x --> y\n\n" * 100_000),
        ("a.srt", "1\n00:01.000 --> 00:02.000\n" + "7\n\n" * 60_000),
        ("a.srt", "1\n00:01.000 --> 00:02.000\na\n" + "0" * 1_000_000 + "\n" + "-" * 1_000_000),
        ("a.srt", "1\n00:01.000 --> 00:02.000\na\n" + " " * 1_000_000 + "x>"),
        ("a.sbv", "0:00:01.000,0:00:02.000\n" + "a[br]" * 100_000),
        ("a.ass", "[Events]\n" + "Dialogue: " + "," * 1_000_000),
        ("a.ass", "[Events]\n" + "Dialogue: 0,0:00:0x.00\n" * 50_000),
        (
            "a.ttml",
            "<tt><body>" + "<div>" * 100_000 + "<p begin='1s' end='2s'>a</p>" + "</div>" * 100_000
            + "</body></tt>",
        ),
        ("a.ttml", "<tt><body><p begin='1s' end='2s'>" + "<span>a" * 50_000 + "</span>" * 50_000
            + "</p></body></tt>"),
    ],
)  # fmt: skip
def test_long_files_are_read_in_linear_time(tmp_path: Path, name: str, text: str) -> None:
    """A caption file of very many cues: read in linear time."""
    assert read(tmp_path, name, text)


@pytest.mark.fault
def test_very_many_bad_cues_are_few_messages(tmp_path: Path) -> None:
    """Very many bad cues: few `gap` events."""
    found = read(tmp_path, "a.vtt", "WEBVTT\n\n" + "x --> y\nlost\n\n" * 5000)
    assert len(found) < 200
    assert sum(drop.count for drop in only(found, Dropped)) == 5000


ENCODED = [
    ("Où est-il allé ? Ça va, merci. Être ou ne pas être.", "latin-1"),
    ("Très bien, à demain.", "cp1252"),
    ("Schöne Grüße aus München. Ich weiß es nicht.", "cp1252"),
    ("I don’t know… It’s fine.", "cp1252"),
    ("¿Qué pasó? Mañana será otro día, señor. ¡Adiós!", "cp1252"),
    ("Cześć, nie wiem, co się dzieje. Żegnaj, przyjacielu.", "cp1250"),
    ("Привет, как дела? Я не знаю, что делать.", "cp1251"),
    ("Привет, как дела? Я не знаю, что делать.", "koi8-r"),
    ("Γεια σου, τι κάνεις; Δεν ξέρω τίποτα.", "cp1253"),
    ("שלום, מה שלומך? אני לא יודע.", "cp1255"),
    ("مرحبا، كيف حالك؟ أنا لا أعرف.", "cp1256"),
    ("こんにちは。元気ですか。私はここにいます。", "shift_jis"),
    ("こんにちは。元気ですか。私はここにいます。", "euc-jp"),
    ("你好，我不知道该怎么办。我们回家吧。", "gb18030"),
    ("你好，我不知道怎麼辦。我們回家吧。", "big5"),
    ("안녕하세요. 저는 집에 가고 싶어요. 감사합니다.", "cp949"),
    ("Hello, how are you?", "utf-16"),
    ("Hello, how are you?", "utf-16-le"),
    ("Привет, как дела?", "utf-16-be"),
    ("Hello, how are you?", "utf-32"),
    ("Hello, ça va?", "utf-8-sig"),
]


@pytest.mark.fault
@pytest.mark.parametrize(("words", "encoding"), ENCODED, ids=[e for _, e in ENCODED])
def test_other_encodings_are_read_and_a_guess_is_said(
    tmp_path: Path, words: str, encoding: str
) -> None:
    """Captions in UTF-16 or Latin-1: read, and the guess is said."""
    path = tmp_path / "a.srt"
    cues = [f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\n{words}\n" for n in (1, 3, 5)]
    path.write_bytes("\n".join(cues).encode(encoding))
    captions = find(tmp_path / "a.mkv", path)
    assert [cue.text for cue in captions.cues] == [words] * 3
    guessed = encoding not in ("utf-16", "utf-32", "utf-8-sig")
    assert bool(captions.notices) is guessed
    assert all("not UTF-8, read as" in notice for notice in captions.notices)


@pytest.mark.fault
def test_a_file_is_refused_without_its_words(tmp_path: Path) -> None:
    """A file that is no captions: refused without a word of it."""
    path = tmp_path / "a.srt"
    path.write_text("secret words\nof nobody\n")
    with pytest.raises(InputError) as caught:
        read_file(path)
    assert "secret" not in str(caught.value)


@pytest.mark.fault
@pytest.mark.parametrize("ending", ["ass", "ttml", "sbv"])
def test_captions_of_all_formats_are_found_beside_a_recording(tmp_path: Path, ending: str) -> None:
    """`.ass`, `.sbv` or `.ttml` beside a recording: read."""
    recording = make(tmp_path / "talk.wav", audio=[click(20)])
    text = {"ass": ASS, "ttml": TTML, "sbv": "0:00:01.000,0:00:02.000\nHello\n"}[ending]
    (tmp_path / f"talk.en.{ending}").write_text(text)
    source, messages = replay(recording, captions="auto")
    assert source.captions_path == tmp_path / f"talk.en.{ending}"
    assert only(messages, Cue)
    # A file with only what is said in other languages comes last.
    (tmp_path / "talk.forced.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nForced\n")
    assert replay(recording, captions="auto")[0].captions_path == source.captions_path
