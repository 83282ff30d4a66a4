"""Features of the corpora: kept, kept apart, and disturbed only as much as asked."""

from pathlib import Path

import numpy as np
import pytest

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.text import sentence_encoder
from gscon_live.model.encoders.text.sentence_encoder import SentenceEncoder
from gscon_live.train.data import feature_banks


@pytest.fixture
def cache(cache: Path) -> Path:
    return cache / "gscon-live/features"


def test_texts_are_encoded_once_and_come_back_in_order(cache: Path) -> None:
    encoder, told = SentenceEncoder(), []

    def report(done: int, total: int, line: str) -> None:
        told.append((done, total))

    texts = ["No!", "Fine.", "No!"]
    assert sentence_encoder.identity() == encoder.identity
    first = feature_banks.text_vectors(encoder.identity, lambda: encoder, texts, report)
    assert told == [(1, 2), (2, 2)]
    for row, said in zip(first, texts, strict=True):
        assert np.array_equal(row, encoder.encode(said))

    def refuse() -> SentenceEncoder:
        raise AssertionError("loaded without need")

    again = feature_banks.text_vectors(encoder.identity, refuse, texts, report)
    assert np.array_equal(again, first)
    assert len(told) == 2
    assert len(list(cache.iterdir())) == 1


def test_features_of_another_encoder_are_made_anew(cache: Path) -> None:
    made = []
    for identity in ("one:1", "one:2", "one:1"):

        def make(identity: str = identity) -> dict[str, np.ndarray]:
            made.append(identity)
            return {"x": np.array([len(made)])}

        feature_banks.cached("test", identity, make)
    assert made == ["one:1", "one:2"]


def test_nothing_is_kept_of_what_failed(cache: Path) -> None:
    def fail() -> dict[str, np.ndarray]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        feature_banks.cached("test", "x", fail)
    assert not cache.exists() or list(cache.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"something else"])
def test_a_damaged_file_is_named_and_left(cache: Path, content: bytes) -> None:
    feature_banks.cached("test", "x", lambda: {"x": np.ones(9)})
    (path,) = cache.iterdir()
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"delete it") as said:
        feature_banks.cached("test", "x", lambda: {"x": np.ones(9)})
    assert str(path) in str(said.value)
    assert "\n" not in str(said.value)
    assert path.read_bytes() == content


def test_disturbed_faces_differ_and_others_do_not() -> None:
    random = np.random.default_rng(0)
    face = random.integers(0, 256, (48, 48)).astype(np.uint8)
    assert np.array_equal(feature_banks.augmented_face(face, 0.0, random), face)
    assert not np.array_equal(feature_banks.augmented_face(face, 1.0, random), face)
