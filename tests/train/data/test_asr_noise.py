"""Simulated recognition errors: as many as asked for, of words that sound alike."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscon_live.train.data.asr_noise import (
    AsrNoise,
    SimulatedAsr,
    marked,
    plain,
    with_asr_noise,
    words,
)

TEXTS = [
    "You know what I mean, don't you?",
    "I knew it! The mother of the bride was late for the wedding again.",
    "No, we are not waiting another minute; the matter is closed.",
    "What a lovely day to live by the sea and see the sun rise now.",
]
RECOGNISER = SimulatedAsr(TEXTS)


def errors(said: list[str], written: list[str]) -> int:
    """Words replaced, left out and put in, at least (Levenshtein 1966)."""
    row = list(range(len(written) + 1))
    for count, word in enumerate(said, 1):
        above, row[0] = row[0], count
        for place, other in enumerate(written, 1):
            least = min(row[place] + 1, row[place - 1] + 1, above + (word != other))
            above, row[place] = row[place], least
    return row[-1]


@pytest.mark.parametrize("rate", [0.12, 0.3])
def test_as_many_words_are_wrong_as_asked_for(rate: float) -> None:
    draw, wrong, spoken = Random(1), 0, 0
    for _ in range(300):
        for text in TEXTS:
            wrong += errors(words(text), words(RECOGNISER.recognise(text, rate, draw)))
            spoken += len(words(text))
    assert wrong / spoken == pytest.approx(rate, abs=0.02)


def test_without_errors_only_case_and_punctuation_go() -> None:
    for text in TEXTS:
        assert RECOGNISER.recognise(text, 0.0, Random(1)) == plain(text)
    assert plain("Don’t you DARE!") == "don't you dare"


@given(text=st.text(max_size=40), rate=st.floats(0, 1), seed=st.integers(0, 99))
def test_what_has_words_keeps_some(text: str, rate: float, seed: int) -> None:
    found = RECOGNISER.recognise(text, rate, Random(seed))
    assert bool(found.strip()) == bool(text.strip())
    assert plain(text) or not text


def test_words_are_taken_for_words_that_sound_alike() -> None:
    assert RECOGNISER.sounding_like("no")[0] in ("know", "knew", "now")
    assert "mother" in RECOGNISER.sounding_like("matter")
    assert "no" not in RECOGNISER.sounding_like("no")
    assert RECOGNISER.sounding_like("xylophone")


def test_shares_of_dialogues_are_disturbed_as_asked_for() -> None:
    how = AsrNoise(plain=0.5, errors=0.4, least=0.3, most=0.3, merged=0.25)
    draw = Random(3)
    found = [with_asr_noise(TEXTS, [0, 1, 0, 1], how, RECOGNISER, draw) for _ in range(800)]
    whole = sum(texts == TEXTS for texts, _ in found) / len(found)
    bare = sum(texts == [*map(plain, TEXTS)] for texts, _ in found) / len(found)
    merged = sum(speakers == [0] * 4 for _, speakers in found) / len(found)
    assert whole == pytest.approx(0.3, abs=0.05)
    assert bare == pytest.approx(0.3, abs=0.05)
    assert merged == pytest.approx(0.25, abs=0.05)


def test_a_share_of_ends_is_drawn_anew_and_questions_stay() -> None:
    how = AsrNoise(plain=0, errors=0, merged=0, marks=0.6)
    draw, ends = Random(5), Counter[str]()
    for _ in range(600):
        (question, _, _, day), _ = with_asr_noise(TEXTS, [0, 1, 0, 1], how, RECOGNISER, draw)
        assert question == TEXTS[0]
        assert day.rstrip(".!") == TEXTS[3].rstrip(".")
        ends[day.removeprefix(TEXTS[3].rstrip("."))] += 1
    shares = {end: count / 600 for end, count in ends.items()}
    assert shares == pytest.approx({".": 0.6, "": 0.2, "!": 0.2}, abs=0.06)


@given(text=st.text(max_size=40), seed=st.integers(0, 99))
def test_another_end_changes_no_word(text: str, seed: int) -> None:
    assert words(marked(text, Random(seed))) == words(text)
