"""Features of the corpora: kept, kept apart, and disturbed only as much as asked."""

import dataclasses
from pathlib import Path

import made_faces
import numpy as np
import pytest
from made_faces import Face
from progress import quiet

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.face.face_encoder import FaceEncoder
from gscon_live.model.encoders.text import sentence_encoder
from gscon_live.model.encoders.text.sentence_encoder import SentenceEncoder
from gscon_live.model.labels import EMOTIONS
from gscon_live.train.data import feature_banks
from gscon_live.train.data.feature_banks import VARIANTS


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


def patches(random: np.random.Generator) -> np.ndarray:
    """A picture of 6x6 grey squares."""
    return random.integers(0, 256, (6, 6)).repeat(8, 0).repeat(8, 1).astype(np.uint8)


@pytest.fixture
def voted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Face]:
    """Faces with votes. FER2013's own label is fear throughout."""
    random = np.random.default_rng(5)
    agreed = [{"happiness": 6, "sadness": 4}, {"sadness": 10}, {"anger": 7, "unknown": 3}]
    undecided = [{"happiness": 5, "sadness": 5}, {"happiness": 4, "unknown": 6}]
    faces = [
        Face(split, "fear", patches(random), votes)
        for split in ("Training", "PublicTest", "PrivateTest")
        for votes in (*agreed, *agreed, *undecided)
    ]
    # Two test faces are pictures of the other splits; one of them is mirrored.
    faces[16] = dataclasses.replace(faces[16], pixels=faces[0].pixels[:, ::-1])
    faces[20] = dataclasses.replace(faces[20], pixels=faces[8].pixels)
    made_faces.write(tmp_path / "data" / "face", faces)
    (tmp_path / "data/face/fer2013.zip").unlink()
    monkeypatch.setenv("GSCON_DATA", str(tmp_path / "data"))
    return faces


def test_the_faces_of_the_fusion_are_those_on_which_most_votes_agree(voted: list[Face]) -> None:
    encoder = FaceEncoder()
    banks = {
        split: feature_banks.face_bank(encoder, split, quiet)
        for split in ("train", "validation", "test")
    }
    joy, sadness, anger = (EMOTIONS.index(name) for name in ("joy", "sadness", "anger"))
    for split, count in (("train", 4), ("validation", 2), ("test", 4)):
        bank = banks[split]
        assert bank.vectors.shape == (count, VARIANTS, encoder.dim)
        assert bank.vectors.dtype == np.float32
        assert bank.owners.tolist() == [""] * len(bank.emotions)
    # Each face of validation is in one of two banks; test has no near-copies of other pictures.
    both = np.concatenate([banks["train"].emotions, banks["validation"].emotions])
    assert sorted(both) == sorted([joy, sadness, anger] * 2)
    assert banks["test"].emotions.tolist() == [sadness, anger, joy, anger]
    vectors = np.concatenate([banks["train"].vectors, banks["validation"].vectors])
    assert len(np.unique(vectors, axis=0)) == 6
