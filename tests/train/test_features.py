"""Features of the corpora: kept, kept apart, and disturbed only as much as asked."""

from pathlib import Path

import numpy as np
import platformdirs
import pytest
import torch

from model.text import TextEncoder
from train import features
from train.face import FaceRecipe, augment


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda _: str(tmp_path))
    return tmp_path / "features"


def test_texts_are_encoded_once_and_come_back_in_order(cache: Path) -> None:
    encoder, told = TextEncoder(), []

    def report(done: int, total: int, line: str) -> None:
        told.append((done, total))

    texts = ["No!", "Fine.", "No!"]
    first = features.text_vectors(encoder, texts, report)
    assert told == [(1, 2), (2, 2)]
    for row, text in zip(first, texts, strict=True):
        assert np.array_equal(row, encoder.encode(text))
    assert np.array_equal(features.text_vectors(encoder, texts, report), first)
    assert len(told) == 2
    assert len(list(cache.iterdir())) == 1


def test_features_of_another_encoder_are_made_anew(cache: Path) -> None:
    made = []
    for identity in ("one:1", "one:2", "one:1"):

        def make(identity: str = identity) -> dict[str, np.ndarray]:
            made.append(identity)
            return {"x": np.array([len(made)])}

        features._cached("test", identity, make)
    assert made == ["one:1", "one:2"]


def test_nothing_is_kept_of_what_failed(cache: Path) -> None:
    def fail() -> dict[str, np.ndarray]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        features._cached("test", "x", fail)
    assert not cache.exists() or list(cache.iterdir()) == []


def test_augmented_faces_are_still_faces() -> None:
    torch.manual_seed(0)
    faces = torch.rand(40, 1, 48, 48)
    made = augment(faces, FaceRecipe())
    assert made.shape == faces.shape
    assert made.min() >= 0
    assert made.max() <= 1
    assert (made - faces).abs().mean() > 0.05


def test_augmentation_of_no_strength_only_mirrors_and_relights() -> None:
    torch.manual_seed(0)
    faces = torch.rand(40, 1, 48, 48)
    made = augment(faces, FaceRecipe(rotation=0, shift=0, scale=0, erase=0))
    for face, other in zip(faces, made, strict=True):
        order = face.flatten().argsort()
        mirrored = face.flip(-1).flatten().argsort()
        same = [bool((other.flatten()[rank].diff() >= -1e-3).all()) for rank in (order, mirrored)]
        assert any(same)


def test_disturbed_sounds_and_faces_differ_but_stay_in_range() -> None:
    random = np.random.default_rng(0)
    sound = random.normal(0, 0.1, 16_000).astype(np.float32)
    other = features._disturbed(sound, random)
    assert other.dtype == np.float32
    assert 0.75 * len(sound) < len(other) <= len(sound)
    assert np.isfinite(other).all()
    face = random.integers(0, 256, (48, 48)).astype(np.uint8)
    assert np.array_equal(features._moved(face, 0.0, random), face)
    assert not np.array_equal(features._moved(face, 1.0, random), face)
