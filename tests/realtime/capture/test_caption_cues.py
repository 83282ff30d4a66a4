"""Who says what in captions: names are told from words, and each phrase is given once."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_media import only

from gscon_live.realtime.capture.caption_cues import MOST_AT_ONCE, utterances
from gscon_live.realtime.capture.caption_files import read_file
from gscon_live.realtime.capture.caption_written import Unreadable, Written
from gscon_live.realtime.pipeline.messages import Cue, Dropped

LONGEST_NAME = 40


def spoken(*payloads: str, seconds: float = 4.0) -> list[tuple[str, str | None]]:
    """Words and speakers of cues that follow on each other with pauses."""
    written = [Written(10.0 * n, 10.0 * n + seconds, text) for n, text in enumerate(payloads)]
    return [(cue.text, cue.speaker) for cue in only(utterances(written)[0], Cue)]


@pytest.mark.parametrize(
    ("payload", "text", "speaker"),
    [
        (
            "<v Jane Doe>Hello &amp; bye\nsecond &lt;line&gt;",
            "Hello & bye second <line>",
            "Jane Doe",
        ),
        ("<v.loud Ann>Hi</v>", "Hi", "Ann"),
        ("<c.yellow>So</c> <00:01.500><b>there</b>", "So there", None),
        ("JANE: Hello", "Hello", "JANE"),
        ("JANE:\nHello", "Hello", "JANE"),
        (">> JOHN: Good evening.", "Good evening.", "JOHN"),
        ("&gt;&gt; Good evening.", "Good evening.", None),
        ("MARY (V.O.): I was young.", "I was young.", "MARY"),
        ("MARY (CONT'D): I was young.", "I was young.", "MARY"),
        ("Anna Smith (she/her): Hello all.", "Hello all.", "Anna Smith"),
        ("[Dr. Smith] Come in", "Come in", "Dr. Smith"),
        ("SPEAKER_01: yes", "yes", "SPEAKER_01"),
        ("Remember: never open that door.", "Remember: never open that door.", None),
        ("Cause of death: drowning.", "Cause of death: drowning.", None),
        ("WARNING: DO NOT ENTER", "WARNING: DO NOT ENTER", None),
        ("[ENGINE REVVING] Let's go!", "Let's go!", None),
        ("see https://example.org now", "see https://example.org now", None),
        ("https://example.org", "https://example.org", None),
        ("Meet me at 10:30 or 11: whatever", "Meet me at 10:30 or 11: whatever", None),
        ("10:30 it is", "10:30 it is", None),
        ("this is what he said: nothing", "this is what he said: nothing", None),
        ("All of these many words: no name", "All of these many words: no name", None),
        ("[laughs] I know", "I know", None),
        ("[Laughter] I know", "I know", None),
        ("(laughs) I know", "I know", None),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2", None),
        (r"{\an8\i1}Up{\i0} here\Nbelow", "Up here below", None),
        ("♪ music ♪ and words", "and words", None),
        ("a\x00b \x1b[31mc\x07 d\x85e", "ab [31mc d e", None),
        ("\u0645\u06cc\u200c\u062e\u0648", "\u0645\u06cc\u200c\u062e\u0648", None),
        ("so &#" + "9" * 5000 + "; many", "so \ufffd many", None),
    ],
)  # fmt: skip
def test_words_and_speaker_are_told_from_markup(
    payload: str, text: str, speaker: str | None
) -> None:
    assert spoken(payload) == [(text, speaker)]


@pytest.mark.parametrize(
    "payload",
    ["[music]", "(laughs)", "♪ la la la ♪", "[Music]\n(applause) ...", "<i></i>", "...",
     "[ENGINE REVVING] …", r"{\p1}m 0 0 l 10 10{\p0}"],
)  # fmt: skip
def test_a_cue_without_words_is_reported(payload: str) -> None:
    items, _ = utterances([Written(1.0, 3.0, payload)])
    assert items == [Dropped(1.0, "caption", 1, 2.0, "no words: only sounds or nothing")]


@pytest.mark.fault
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Mike: Hello.", "Mike: Go away."),
        ("王芳：你好", "王芳：走吧"),
        ("سارة: مرحبا", "سارة: لا"),
        ("अनिता: नमस्ते", "अनिता: हाँ"),
        ("[Mike] Hello.", "[Mike] Go away."),
        ("Élodie O'Neil: oui", "Élodie O'Neil: non"),
    ],
)
def test_a_label_that_recurs_is_a_name(first: str, second: str) -> None:
    """Labels before the words, such as `王芳：` or `>> JOHN:`: names if they recur."""
    name = first.strip("[").replace("]", ":").replace("：", ":").split(":")[0]
    assert [speaker for _, speaker in spoken(first, second)] == [name, name]
    assert spoken(first) == [(first.replace("[Mike] ", ""), None)]  # alone, it may be anything


@pytest.mark.fault
@pytest.mark.parametrize(
    "label", ["Note: ", "Step 1: ", "Cause of death: ", "I mean: ", "[Laughing] ", "[MUSIC] "]
)
def test_a_label_that_recurs_is_no_name_if_no_person_is_called_so(label: str) -> None:
    """`Remember:`, `[ENGINE REVVING]` and the like: words and sounds, no names."""
    assert {speaker for _, speaker in spoken(label + "go on", label + "stop")} == {None}


def test_a_speaker_has_a_single_spelling() -> None:
    said = spoken("JOHN: Hi there.", "John: Bye.", "<v john>Well.</v>", "<v john>No.</v>")
    assert len({speaker for _, speaker in said}) == 1


@pytest.mark.fault
@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("- I love you.\n- Get out!", [("I love you.", None), ("Get out!", None)]),
        ("- I love you. - Get out!", [("I love you.", None), ("Get out!", None)]),
        ("I love you.\n- Get out!", [("I love you.", None), ("Get out!", None)]),
        ("Mike: Hi.\nAnna: Go away.", [("Hi.", "Mike"), ("Go away.", "Anna")]),
        ("- ANN: Hi\n- BEN: Hello", [("Hi", "ANN"), ("Hello", "BEN")]),
        ("- ANN: Hi\nyou\n- What?", [("Hi you", "ANN"), ("What?", None)]),
        ("<v Ann>Hi</v>\n<v Ben>Hello</v>", [("Hi", "Ann"), ("Hello", "Ben")]),
        ("<v Ann>Hi</v> <v Ben>Hello</v>", [("Hi", "Ann"), ("Hello", "Ben")]),
        (">> Why? >> ANN: Because.", [("Why?", None), ("Because.", "ANN")]),
        ("ANN: Hi\nANN: Hello", [("Hi Hello", "ANN")]),
        ("- [sighs]\n- Get out!", [("Get out!", None)]),
        ("- And so\nit goes", [("And so it goes", None)]),
    ],
)
def test_a_cue_with_several_speakers_is_several_utterances(
    payload: str, expected: list[tuple[str, str | None]]
) -> None:
    """A cue with two speakers: two utterances."""
    assert spoken(payload) == expected


def test_speakers_share_the_time_of_a_cue_in_proportion_to_their_words() -> None:
    items, _ = utterances([Written(10.0, 16.0, "- One two three four.\n- Five six.")])
    assert [(cue.start, cue.end) for cue in only(items, Cue)] == [(10.0, 14.0), (14.0, 16.0)]
    items, _ = utterances([Written(10.0, 16.0, "王芳：我不知道\n李雷：走吧")])
    assert [(cue.start, cue.end) for cue in only(items, Cue)] == [(10.0, 14.0), (14.0, 16.0)]
    items, _ = utterances([Written(1.0, 1.001, "- A\n- B\n- C")])
    assert [(cue.start, cue.end, cue.text) for cue in only(items, Cue)] == [(1.0, 1.001, "A B C")]


@settings(max_examples=200, deadline=None)
@given(payloads=st.lists(st.text(), min_size=1, max_size=4), field=st.none() | st.text())
def test_any_payload_gives_clean_lines_and_every_cue_is_accounted_for(
    payloads: list[str], field: str | None
) -> None:
    written = [Written(10.0 * n, 10.0 * n + 3, text, field) for n, text in enumerate(payloads)]
    items, _ = utterances(written)
    for n, cue in enumerate(written):
        starts = [item.start if isinstance(item, Cue) else item.time for item in items]
        assert any(cue.start <= start < cue.end for start in starts), n
    for cue in only(items, Cue):
        assert cue.text == " ".join(cue.text.split())
        assert cue.text.isprintable() or not any(ord(char) < 32 for char in cue.text)
        assert cue.speaker is None or 0 < len(cue.speaker) <= LONGEST_NAME
        assert cue.start < cue.end


# The start of automatic captions as YouTube writes them: two lines, of which the first was already
# in view, and between them cues of 10 ms. The empty line of a cue has a space.
ROLLING_VTT = """WEBVTT
Kind: captions
Language: en

00:00:00.160 --> 00:00:02.149 align:start position:0%
\x20
okay<00:00:00.480><c> and</c><00:00:00.640><c> welcome</c>

00:00:02.149 --> 00:00:02.159 align:start position:0%
okay and welcome
\x20

00:00:02.159 --> 00:00:04.309 align:start position:0%
okay and welcome
to<00:00:02.399><c> the</c><00:00:02.560><c> show</c>

00:00:04.309 --> 00:00:04.319 align:start position:0%
to the show
\x20

00:00:04.319 --> 00:00:06.000 align:start position:0%
to the show
&gt;&gt; thank<00:00:04.800><c> you</c>

00:00:06.000 --> 00:00:06.010 align:start position:0%
&gt;&gt; thank you
\x20

00:00:09.000 --> 00:00:10.500 align:start position:0%
\x20
thank<00:00:09.300><c> you</c>
"""
PHRASES = [
    (0.16, 2.149, "okay and welcome"),
    (2.159, 4.309, "to the show"),
    (4.319, 6.0, "thank you"),
    (9.0, 10.5, "thank you"),
]


@pytest.mark.fault
def test_rolling_captions_give_each_phrase_once_with_its_time(tmp_path: Path) -> None:
    """YouTube's rolling captions: each phrase once, at its time."""
    path = tmp_path / "talk.en.vtt"
    path.write_text(ROLLING_VTT)
    found = read_file(path)
    assert found == [Cue(start, end, text, None) for start, end, text in PHRASES]


@pytest.mark.fault
def test_rolling_captions_without_inner_times_are_the_same() -> None:
    """Rolling captions without inner times: each phrase once."""
    written = [
        Written(0.16, 2.149, "okay and welcome"),
        Written(2.149, 2.159, "okay and welcome"),
        Written(2.159, 4.309, "okay and welcome\nto the show"),
        Written(4.309, 4.319, "to the show"),
        Written(4.319, 6.0, "to the show\n>> thank you"),
        Written(9.0, 10.5, "thank you"),
    ]
    items, notices = utterances(written)
    assert items == [Cue(start, end, text, None) for start, end, text in PHRASES]
    assert len(notices) == 1
    assert "carried over" in notices[0]


def test_lines_that_move_up_or_grow_are_said_once() -> None:
    moving = ["a b", "a b\nc d", "a b\nc d\ne f", "c d\ne f\ng h"]
    items, _ = utterances([Written(n, n + 1.5, text) for n, text in enumerate(moving)])
    assert [(cue.start, cue.end, cue.text) for cue in only(items, Cue)] == [
        (0, 1, "a b"), (1, 2, "c d"), (2, 3, "e f"), (3, 4.5, "g h"),
    ]  # fmt: skip
    growing = ["so", "so what", "so what now", "so what now\nnothing"]
    items, _ = utterances([Written(n, n + 1, text) for n, text in enumerate(growing)])
    assert [(cue.start, cue.end, cue.text) for cue in only(items, Cue)] == [
        (0, 3, "so what now"), (3, 4, "nothing"),
    ]  # fmt: skip


@pytest.mark.fault
def test_people_may_repeat_themselves() -> None:
    """A phrase that is really said twice: kept twice."""
    said = ["No!", "No!", "No!", "Get out!", "Get out!", "Why?", "Because.", "Because I say so."]
    items, notices = utterances([Written(n, n + 1.0, text) for n, text in enumerate(said)])
    assert [cue.text for cue in only(items, Cue)] == said
    assert notices == []


SECRET = "xylophones adjudicate"


@pytest.mark.fault
@pytest.mark.parametrize(
    "written",
    [
        Written(5.0, 4.0, SECRET, None, "line 7"),
        Written(5.0, 5.0, SECRET),
        Written(5.0, 6.0, f"[{SECRET}]"),
        Written(5.0, 6.0, f"<v {SECRET}>♪</v>"),
        Written(5.0, 6.0, "♪", SECRET),
        Unreadable(5.0, "line 7"),
    ],
)
def test_no_reason_has_words_of_the_captions(written: Written | Unreadable) -> None:
    """A broken cue with `--no-text`: counted without a word of it."""
    items, notices = utterances([written])
    (drop,) = only(items, Dropped)
    for word in SECRET.split():
        assert word not in drop.reason
        assert word not in " ".join(notices)


@pytest.mark.fault
@pytest.mark.parametrize(
    "name",
    ["any sentence", "I will never ever tell anybody", "x" * 41, "What? No!", "Go away. Now"],
)
def test_a_sentence_is_no_speaker(name: str) -> None:
    """A sentence in the place of a name, `<v any sentence>`: no speaker."""
    for written in (Written(1.0, 2.0, f"<v {name}>Hi</v>"), Written(1.0, 2.0, "Hi", name)):
        assert utterances([written])[0] == [Cue(1.0, 2.0, "Hi", None)]


@pytest.mark.fault
def test_captions_at_the_same_time_are_bounded_and_counted() -> None:
    """8,000 captions at the same time: eight are used, the others counted.

    Each costs a copy of its sound, so 8,000 of 30 s would cost 66 hours of sound.
    """
    many = [Written(n / 1000, n / 1000 + 30, f"word {n}") for n in range(8000)]
    random.Random(1).shuffle(many)
    items, _ = utterances(many)
    cues, (drop,) = only(items, Cue), only(items, Dropped)
    assert sum(cue.end - cue.start for cue in cues) <= MOST_AT_ONCE * 38.0
    assert len(cues) + drop.count == 8000
    assert "at the same time" in drop.reason


LONG = 300_000


@pytest.mark.fault
@pytest.mark.timeout(120)  # a reader of quadratic time would need hours
@pytest.mark.parametrize(
    "payload",
    [
        "<v" + " " * LONG + "x",
        "<v." + " " * LONG + "x>y",
        "<" * LONG,
        "<v a" * (LONG // 4),
        "<v a>b" * (LONG // 6),
        "{" + r"\p1" * (LONG // 3),
        "{" * LONG,
        "[" * LONG,
        "(" * LONG + "a",
        "*a" * (LONG // 2),
        "♪ a" * (LONG // 3),
        "-" * LONG + "a",
        "- " * (LONG // 2) + "a",
        "- a\n" * (LONG // 4),
        "- a. - b. " * (LONG // 10),
        ">>" * (LONG // 2),
        ">> a " * (LONG // 5),
        "A: b\n" * (LONG // 5),
        "A (" * (LONG // 3),
        "&" * LONG,
        "&#1" * (LONG // 3),
        "a\n" * (LONG // 2),
        "\u200e" * LONG + ":",
        "<00:00:01.000>a" * (LONG // 15),
    ],
    ids=lambda payload: payload[:8].encode("unicode_escape").decode(),
)
def test_a_cue_of_very_many_letters_is_read_in_linear_time(payload: str) -> None:
    """A cue with 100,000 signs of markup: read in linear time."""
    again = [Written(0.0, 1.0, payload), Written(1.0, 2.0, payload)]
    items, _ = utterances([*again, Written(2.0, 3.0, "end")])
    assert items
    assert isinstance(items[-1], Cue)
    assert items[-1].text == "end"
