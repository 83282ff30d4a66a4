"""Words are stable once two successive readings agree, and stay."""

from hypothesis import given
from hypothesis import strategies as st

from gscon_live.realtime.listen.agreement import Agreement

readings = st.lists(st.lists(st.sampled_from(["so", "am", "I", "."]), max_size=6), max_size=8)


def heard(*spoken: str) -> list[str]:
    agreement = Agreement()
    for text in spoken:
        agreement.read(text.split())
    return list(agreement.stable)


def test_words_are_stable_where_two_readings_agree_on_them_and_the_next() -> None:
    assert heard("I am so") == []
    assert heard("I am so", "I am sorry for") == ["I"]
    spoken = ("I am so", "I am so angry at", "I am so angry at you")
    assert heard(*spoken) == ["I", "am", "so", "angry"]
    # The last word may have been cut off.
    assert heard("I am", "I am") == ["I"]


def test_readings_must_be_successive() -> None:
    assert heard("I am so", "no", "I am so") == []
    agreement = Agreement()
    agreement.read(["I", "am", "so"])
    agreement.doubt()
    agreement.read(["I", "am", "so"])
    assert list(agreement.stable) == []


@given(readings)
def test_a_stable_word_is_never_taken_back(spoken: list[list[str]]) -> None:
    agreement = Agreement()
    before: list[str] = []
    for number, words in enumerate(spoken):
        agreement.read(words)
        now = list(agreement.stable)
        assert now[: len(before)] == before
        if now != before:
            # It is what this reading and the last one say, and not all that they say.
            assert words[: len(now)] == spoken[number - 1][: len(now)] == now
            assert len(now) < min(len(words), len(spoken[number - 1]))
        before = now


@given(readings, st.integers(0, 6))
def test_words_left_behind_and_those_after_them_are_the_words(
    spoken: list[list[str]], count: int
) -> None:
    """Where the beginning is left behind, the rest goes on as it would have gone on with it."""
    together, apart = Agreement(), Agreement()
    behind: list[str] = []
    for words in spoken:
        together.read(words)
        if words[: len(behind)] == behind:
            apart.read(words[len(behind) :])
        else:
            apart.read([])
        if not behind and len(apart.stable) >= count:
            behind = list(apart.stable)[:count]
            apart.drop(count)
        stable = [*behind, *apart.stable]
        assert stable == list(together.stable)[: len(stable)]
        # Only a word on both sides of the cut, of which no reading has the next word, waits longer.
        assert len(together.stable) - len(stable) <= 1
