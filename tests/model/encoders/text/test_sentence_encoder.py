"""Sentence embeddings: of length one, the same every time, and honest about wrong models."""

from pathlib import Path

import numpy as np
import pytest

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.text.sentence_encoder import SentenceEncoder, default_directory


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder()


def test_a_vector_has_length_one_and_the_stated_size(encoder: SentenceEncoder) -> None:
    vector = encoder.encode("You never listen to me!")
    assert vector.dtype == np.float32
    assert vector.shape == (encoder.dim,) == (384,)
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-6)


def test_encoding_is_deterministic_and_has_no_memory(encoder: SentenceEncoder) -> None:
    first = encoder.encode("Where were you?")
    encoder.encode("Something else altogether, and much longer than the first one was.")
    assert np.array_equal(first, encoder.encode("Where were you?"))


def test_like_meanings_are_closer_than_unlike_ones(encoder: SentenceEncoder) -> None:
    glad, happy, bill = map(
        encoder.encode, ["I am so glad!", "I'm really happy.", "The bill is due on Monday."]
    )
    assert glad @ happy > glad @ bill + 0.2


@pytest.mark.parametrize("text", ["", "  \n"])
def test_no_words_have_no_features(encoder: SentenceEncoder, text: str) -> None:
    with pytest.raises(ValueError, match="no words"):
        encoder.encode(text)


def test_very_long_and_odd_texts_are_encoded(encoder: SentenceEncoder) -> None:
    for text in ("word " * 5000, "…", "日本語 🙂 \x00"):
        assert np.isfinite(encoder.encode(text)).all()


def test_the_identity_names_encoder_and_weights(encoder: SentenceEncoder) -> None:
    assert encoder.identity == SentenceEncoder(default_directory()).identity.replace(
        "model:", "all-MiniLM-L6-v2:"
    )


def test_a_wrong_directory_is_one_line_that_names_it(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    empty = tmp_path / "empty"
    empty.mkdir()
    no_model = tmp_path / "no_model"
    no_model.mkdir()
    (no_model / "config.json").write_text("{}")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        (damaged / name).write_bytes((default_directory() / name).read_bytes())
    (damaged / "model.safetensors").write_bytes(b"\x00" * 100)
    for folder in (missing, empty, no_model, damaged):
        with pytest.raises(InputError) as caught:
            SentenceEncoder(folder)
        assert str(folder) in str(caught.value)
        assert "\n" not in str(caught.value)
