"""Marks and case never change a normalised text, nor what an encoder reads of one."""

import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.text import text_encoder
from gscon_live.model.encoders.text.context_encoder import (
    ContextSettings,
    emotion_head,
    fresh,
    tokeniser,
)
from gscon_live.model.encoders.text.normalisation import NORMALISATION, normalised
from gscon_live.model.encoders.text.sentence_encoder import SentenceEncoder
from gscon_live.model.encoders.text.text_encoder import TextEncoder, TrainedParts
from gscon_live.train.save_weights import save_encoder

#: Words as they stay: letters, digits, apostrophes inside, and several scripts.
LATIN = ("i", "don't", "rock'n'roll", "7", "1984", "café", "naïve", "straße", "ĳ", "ışık")
OTHERS = ("приве́т", "ёж", "हिन्दी", "你好", "שלום", "γειά", "σας")
WORDS = st.sampled_from((*LATIN, *OTHERS))
#: Separators: a space, and any punctuation and symbols around it.
MARKS = st.text(st.characters(categories=("P", "S", "Zs")), max_size=3)
SEPARATORS = st.tuples(MARKS, MARKS).map(" ".join)


@st.composite
def marked(draw: st.DrawFn) -> tuple[str, str]:
    """Words with single spaces, and the same words with other marks and case."""
    spoken = draw(st.lists(WORDS, min_size=1, max_size=8))
    cased = [draw(st.sampled_from([str.upper, str.lower, str.title, str]))(word) for word in spoken]
    written = draw(SEPARATORS)
    for word in cased:
        written += word + draw(SEPARATORS)
    return " ".join(spoken), written


@given(texts=marked())
def test_marks_and_case_change_nothing(texts: tuple[str, str]) -> None:
    spoken, written = texts
    assert normalised(written) == normalised(spoken)


@given(text=st.text())
def test_what_is_normalised_stays_as_it_is(text: str) -> None:
    found = normalised(text)
    assert normalised(found) == found
    for case in (str.upper, str.lower, str.swapcase, str.title, str.capitalize, str.casefold):
        assert normalised(case(text)) == found


@given(text=st.text())
def test_only_words_remain(text: str) -> None:
    found = normalised(text)
    assert found == " ".join(found.split())
    groups = {unicodedata.category(character)[0] for character in found if character not in " '"}
    assert groups <= {"L", "M", "N"}
    assert bool(found) == any(unicodedata.category(c)[0] in "LN" for c in text.upper())


def test_every_character_in_every_case_is_the_same() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        found = normalised(f"a{character}b")
        assert normalised(f"a{character}b".upper()) == found, hex(code)
        assert normalised(f"a{character}b".lower()) == found, hex(code)
        assert normalised(found) == found, hex(code)


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Don’t you DARE!", "don't you dare"),
        ("'Quoted', the dogs' ears", "quoted the dogs ears"),
        ("Well-known -- but wait—what?", "well known but wait what"),
        ("It costs $3.50, at 10:30.", "it costs 3 50 at 10 30"),
        ("I'm fine 😂❤️", "i'm fine"),
        ("हिन्दी है।", "हिन्दी है"),
        ("¿Qué?", "qué"),
        ("STRASSE, Straße", "strasse strasse"),
        ("ДА! 你好。", "да 你好"),
        ("co\u00adoperate", "cooperate"),
        ("snake_case", "snake case"),
        ("one\ntwo\tthree", "one two three"),
    ],
)
def test_what_a_word_is(written: str, spoken: str) -> None:
    assert normalised(written) == spoken


WORDLESS = ["", "  \n", "...", "?!", "😂", "❤️", "♪", "—", "' '", "\u0301"]


@pytest.mark.parametrize("text", WORDLESS)
def test_marks_alone_are_no_words(text: str) -> None:
    assert normalised(text) == ""


def learned(normalise: bool = True) -> TrainedParts:
    """Trained parts that look back, and predict anything."""
    torch.manual_seed(4)
    model = fresh(ContextSettings())
    torch.nn.init.normal_(model.bias)
    return TrainedParts(model, emotion_head(model.dim, 7), normalise).eval()


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder(learned=learned())


@settings(deadline=None, max_examples=25, derandomize=True)
@given(turns=st.lists(marked(), min_size=1, max_size=3))
def test_marks_and_case_change_no_feature(
    encoder: TextEncoder, turns: list[tuple[str, str]]
) -> None:
    vectors = []
    for texts in zip(*turns, strict=True):
        encoder.reset()
        vectors.append(np.stack([encoder.final(text, "Ann") for text in texts]))
        assert np.isfinite(encoder.log_probabilities(texts, [0] * len(texts))).all()
    np.testing.assert_array_equal(*vectors)


@settings(deadline=None, max_examples=25, derandomize=True)
@given(text=st.text(max_size=30))
def test_any_text_has_the_features_of_its_words(encoder: TextEncoder, text: str) -> None:
    assert encoder.has_words(text) == bool(normalised(text))
    encoder.reset()
    if not encoder.has_words(text):
        with pytest.raises(ValueError, match="no words"):
            encoder.provisional(text, "Ann")
        return
    np.testing.assert_array_equal(
        encoder.provisional(f"«{text.upper()}» ...", "Ann"),
        encoder.provisional(normalised(text), "Ann"),
    )


@pytest.mark.parametrize("text", WORDLESS)
def test_without_words_there_are_no_features(encoder: TextEncoder, text: str) -> None:
    assert not encoder.has_words(text)
    with pytest.raises(ValueError, match="no words"):
        encoder.final(text, "Ann")


def test_in_a_whole_conversation_an_utterance_without_words_is_an_empty_turn(
    encoder: TextEncoder,
) -> None:
    one, other = (
        encoder.log_probabilities(["Oh no!", mark, "What?"], [0, 1, 0]) for mark in ("?!", "...")
    )
    np.testing.assert_array_equal(one, other)
    assert tokeniser(ContextSettings(), normalise=True)(["?!"]) == [[101, 102]]


def test_an_encoder_that_does_not_normalise_reads_marks() -> None:
    as_written = TextEncoder(learned=learned(normalise=False))
    assert not as_written.normalise
    assert as_written.has_words("...")
    one, other = (as_written.provisional(text, "Ann") for text in ("Go.", "Go!"))
    assert not np.allclose(one, other, atol=1e-3)
    # The rule is part of the identity, so that a model trained with one refuses the other.
    assert f"+{NORMALISATION}|" in TextEncoder(learned=learned()).identity
    assert "+" not in as_written.identity


def test_weights_say_whether_they_read_marks(
    encoder: TextEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shipped(parts: TrainedParts, metadata: dict[str, str]) -> TextEncoder:
        path = save_encoder(parts, {"name": "text"}, tmp_path / "text.safetensors", metadata)
        monkeypatch.setattr(text_encoder, "WEIGHTS", path)
        return TextEncoder()

    for normalise in (True, False):
        parts = learned(normalise)
        assert shipped(parts, parts.metadata).normalise is normalise
    with pytest.raises(InputError, match="rule 'normalised/0'"):
        shipped(learned(), {"words": "normalised/0"})
    assert SentenceEncoder(normalise=True).identity == encoder.identity.split("|")[0]
