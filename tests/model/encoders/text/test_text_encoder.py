"""Text features in the conversation: streaming equals batch; only what is final is remembered."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.text.context_encoder import ContextSettings, emotion_head, fresh
from gscon_live.model.encoders.text.sentence_encoder import SentenceEncoder
from gscon_live.model.encoders.text.text_encoder import TextEncoder, TrainedParts
from gscon_live.model.shipped_weights import load_weights

Turns = list[tuple[str, str]]
TURNS: Turns = [
    ("Ann", "You are late again!"),
    ("Bob", "I know, I am so sorry."),
    ("Ann", "oh well"),
    ("Bob", "Shall we go?"),
]


def learned() -> TrainedParts:
    """What an encoder might have learned: to look back, and to answer anything."""
    torch.manual_seed(4)
    model = fresh(ContextSettings())
    torch.nn.init.normal_(model.bias)
    return TrainedParts(model, emotion_head(model.dim, 7)).eval()


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder(learned=learned())


@pytest.fixture(autouse=True)
def afresh(encoder: TextEncoder) -> None:
    encoder.reset()


def test_a_vector_is_the_sentence_and_what_is_said_of_it(encoder: TextEncoder) -> None:
    vector = encoder.final("You are late again!", "Ann")
    assert vector.shape == (encoder.dim,)
    assert vector.dtype == np.float32
    sentence = SentenceEncoder().encode("You are late again!")
    np.testing.assert_array_equal(vector[:-7], sentence)
    assert np.exp(vector[-7:]).sum() == pytest.approx(1, abs=1e-5)


said = st.tuples(
    st.sampled_from(["Ann", "Bob", "Cy"]),
    st.sampled_from(["yes", "No way!", "I am so happy for you both.", "what a mess", "hm"]),
)


@settings(deadline=None, max_examples=15, derandomize=True)
@given(turns=st.lists(said, min_size=1, max_size=16))
def test_one_after_the_other_is_the_same_as_all_at_once(encoder: TextEncoder, turns: Turns) -> None:
    encoder.reset()
    streamed = np.stack([encoder.final(text, name)[-7:] for name, text in turns])
    names = [name for name, _ in turns]
    whole = encoder.log_probabilities(
        [text for _, text in turns], [names.index(name) for name in names]
    )
    np.testing.assert_allclose(streamed, whole, atol=1e-4)


def test_what_is_provisional_leaves_the_conversation_as_it_is(
    encoder: TextEncoder,
) -> None:
    plain = [encoder.final(text, name) for name, text in TURNS]
    encoder.reset()
    for (name, text), expected in zip(TURNS, plain, strict=True):
        encoder.provisional(text[:4], name)
        ahead = encoder.provisional(text, name)
        np.testing.assert_array_equal(ahead, expected)
        np.testing.assert_array_equal(encoder.final(text, name), expected)
    assert not np.allclose(encoder.provisional(TURNS[0][1], "Ann"), plain[0], atol=1e-3)
    encoder.reset()
    np.testing.assert_array_equal(encoder.provisional(TURNS[0][1], "Ann"), plain[0])


def test_who_speaks_counts_and_names_do_not(encoder: TextEncoder) -> None:
    def last(names: str) -> np.ndarray:
        encoder.reset()
        return [encoder.final(text, n) for n, (_, text) in zip(names, TURNS, strict=True)][-1]

    np.testing.assert_array_equal(last("abab"), last("xyxy"))
    assert not np.allclose(last("abab"), last("aaaa"), atol=1e-4)


def test_memory_does_not_grow(encoder: TextEncoder) -> None:
    for number in range(40):
        encoder.final("word " * (number % 7 + 1), f"speaker {number}")
    assert len(encoder._state.lengths) == ContextSettings().window - 1
    assert len(encoder._state.speakers) == ContextSettings().window - 1


@pytest.mark.parametrize("text", ["", "  \n"])
def test_no_words_have_no_features(encoder: TextEncoder, text: str) -> None:
    with pytest.raises(ValueError, match="no words"):
        encoder.final(text, "Ann")


def test_the_identity_names_what_was_learned(encoder: TextEncoder) -> None:
    same = TextEncoder(learned=learned())
    assert same.identity == encoder.identity
    other = learned()
    other.bias.data[0, 0, 0, 0] += 1
    assert TextEncoder(learned=other).identity != encoder.identity


def test_damaged_or_missing_weights_are_the_users_error(tmp_path: Path) -> None:
    path = tmp_path / "text.safetensors"
    for content, reason in (
        (None, "no such file"),
        (b"x", "[Hh]eader"),
        (b"other", "not the weights"),
    ):
        if content == b"other":
            save_file({"x": torch.ones(1)}, path)
        elif content:
            path.write_bytes(content)
        with pytest.raises(InputError, match=reason) as caught:
            load_weights(learned(), path, "text")
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
