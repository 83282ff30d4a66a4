"""Words that a recogniser invents where nobody spoke are not believed, and it is said why."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gscon_live.realtime.listen.hallucination_guards import (
    HALLUCINATED,
    HALLUCINATED_LOG_PROBABILITY,
    HOPELESS,
    MAX_WORDS_PER_SECOND,
    Piece,
    believe,
    repeats,
)
from gscon_live.realtime.pipeline.settings import Transcription

law = settings(deadline=None, derandomize=True, max_examples=200)
limits = Transcription()
SURE = {"log_probability": -0.2, "no_speech": 0.05, "compression": 1.2}


def piece(text: str, **values: float) -> Piece:
    return Piece(text, **{**SURE, **values})


pieces = st.lists(
    st.builds(
        Piece,
        st.sampled_from([" Hello there.", " Thank you.", "", " ...", " a b c d e f", " Ja, gut"]),
        st.floats(-3, 0),
        st.floats(0, 1),
        st.floats(0.5, 5),
    ),
    max_size=5,
)


@law
@given(pieces, st.floats(0, 20), st.floats(0, 1), st.floats(-2, 0), st.floats(1, 4))
def test_what_is_believed_keeps_to_the_limits(
    pieces: list[Piece], seconds: float, no_speech: float, log_probability: float, ratio: float
) -> None:
    settings = Transcription(
        max_no_speech=no_speech, min_log_probability=log_probability, max_compression=ratio
    )
    text, reason = believe(pieces, seconds, settings)
    assert bool(text) == (reason is None)
    within = [
        piece.text.strip()
        for piece in pieces
        if (piece.no_speech <= no_speech or piece.log_probability >= log_probability)
        and piece.log_probability >= log_probability - HOPELESS
        and piece.compression <= ratio
        and any(letter.isalnum() for letter in piece.text)
        and (
            "Thank you" not in piece.text
            or (
                piece.log_probability >= HALLUCINATED_LOG_PROBABILITY
                and piece.no_speech <= no_speech
            )
        )
    ]
    words = " ".join(within).split()
    if len(words) > MAX_WORDS_PER_SECOND * max(seconds, 0.2):
        assert text == ""
    else:
        assert text == " ".join(within)


def test_what_is_sure_is_believed_as_it_is_written() -> None:
    assert believe([piece(" Hello,"), piece(" world.")], 2.0, limits) == ("Hello, world.", None)


@pytest.mark.parametrize("phrase", sorted(HALLUCINATED))
def test_a_phrase_of_silence_is_believed_only_when_sure(phrase: str) -> None:
    for written in (f" {phrase}.", phrase.upper() + "!", f"  {phrase} "):
        assert believe([piece(written)], 3.0, limits)[0] == written.strip()
        text, reason = believe([piece(written, log_probability=-0.6)], 3.0, limits)
        assert text == ""
        assert "over silence" in (reason or "")


def test_a_sentence_that_holds_such_a_phrase_is_no_such_phrase() -> None:
    one = piece("Thank you for the letter.", log_probability=-0.6)
    assert believe([one], 3.0, limits) == ("Thank you for the letter.", None)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"no_speech": 0.9, "log_probability": -1.5}, "heard no speech"),
        ({"compression": 6.0}, "repeated itself"),
        ({"log_probability": -2.2}, "unsure of every word"),
    ],
)
def test_doubt_is_explained(values: dict[str, float], reason: str) -> None:
    text, said = believe([piece("we go to the house " * 3, **values)], 3.0, limits)
    assert text == ""
    assert reason in (said or "")


@pytest.mark.parametrize("values", [{"no_speech": 0.9}, {"log_probability": -1.5}])
def test_one_doubt_about_speech_alone_is_not_enough(values: dict[str, float]) -> None:
    assert believe([piece("Hello.", **values)], 3.0, limits) == ("Hello.", None)


def test_nobody_speaks_that_fast() -> None:
    text, reason = believe([piece(" word" * 40)], 2.0, limits)
    assert (text, reason) == ("", "more words than the time allows")
    assert believe([piece(" word" * 10)], 2.0, limits)[1] is None
    # One short word in a very short sound is no invention.
    assert believe([piece("No!")], 0.01, limits) == ("No!", None)


@pytest.mark.parametrize("texts", [[], [""], ["  ", ""], [" ..."], ["-", "♪ ♪"]])
def test_no_words_are_no_words(texts: list[str]) -> None:
    assert believe([piece(text) for text in texts], 3.0, limits) == ("", "no words recognised")


def test_a_doubtful_piece_does_not_take_the_others_with_it() -> None:
    made = believe(
        [piece("Hello."), piece("we go to the house " * 3, compression=9.0)], 3.0, limits
    )
    assert made == ("Hello.", None)


@pytest.mark.fault
@pytest.mark.parametrize(
    ("spoken", "kept"),
    [
        ("No, no, no, no, no, no, no!", "No, no, no, …"),
        ("ha ha ha ha ha ha", "ha ha ha …"),
        ("I said no, no, no, no, no, please", "I said no, no, no, … please"),
        ("come on come on come on come on come on", "come on come on come on …"),
    ],
)
def test_words_that_people_repeat(spoken: str, kept: str) -> None:
    """Somebody says "no, no, no, no, no": the words are kept, shortened."""
    assert believe([piece(spoken, compression=4.0)], 5.0, limits) == (kept, None)


@pytest.mark.fault
def test_a_recogniser_in_a_loop() -> None:
    """A recogniser writes one word a hundred times in two seconds: it is not believed."""
    text, reason = believe([piece("no " * 100, compression=20.0)], 2.0, limits)
    assert (text, reason) == ("", "more words than the time allows")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Kids are talking by the door. Kids are talking by the door.", True),
        ("Well. Kids are talking by the door, kids are talking by the door, kids are", True),
        ("No, no, no, no!", True),
        ("No, no, no.", False),
        ("I know, I know.", True),
        ("1,5,5,5,5,5,5,5", True),
        ("She knew that he was there.", False),
        ("It's one, it isn't the other.", False),
        ("", False),
    ],
)
def test_a_loop_is_told_from_speech(text: str, expected: bool) -> None:
    assert repeats(text) is expected


@given(words=st.lists(st.sampled_from("abcdefgh"), min_size=3, max_size=9, unique=True))
def test_any_phrase_that_comes_twice_is_a_loop(words: list[str]) -> None:
    assert repeats(" ".join([*words, *words]))
    assert not repeats(" ".join(words))


@pytest.mark.parametrize(
    ("text", "compression"),
    [(" you", 0.33), (" 1 %, 1 %, 1 %, 1 %, 1 %, 1 %,", 1.88),
     (" 1,5cm x 2,5cm x 2,5cm x 2,5cm x 2,5cm x 2,5cm", 3.2)],
)  # fmt: skip
def test_what_whisper_writes_over_music_is_refused_however_sure_it_is(
    text: str, compression: float
) -> None:
    over_music = piece(text, log_probability=-0.38, no_speech=0.88, compression=compression)
    assert believe([over_music], 5.0, limits)[0] == ""
    spoken = piece(" No, no, no, no, no.", log_probability=-0.38, no_speech=0.05)
    assert believe([spoken], 5.0, limits)[0] == "No, no, no, no, no."
    assert believe([piece(" you", no_speech=0.05)], 5.0, limits)[0] == "you"
