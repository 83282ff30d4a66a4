"""Training of the face encoder: how faces are disturbed, and that a training learns."""

import numpy as np
import pytest
import torch
from progress import quiet
from torch import Tensor

from gscon_live.train.corpora.fer2013 import Faces
from gscon_live.train.encoders import face
from gscon_live.train.encoders.face import FaceRecipe, augment, fit

STILL = FaceRecipe(rotation=0, shift=0, scale=0, blur=0, light=0, noise=0, erase=0)
SMALL = FaceRecipe(epochs=5, batch=16, learning_rate=0.05, accelerator="cpu", threads=1)


def noisy(count: int) -> Tensor:
    torch.manual_seed(0)
    return torch.rand(count, 1, 48, 48)


def changed(**values: float) -> FaceRecipe:
    return FaceRecipe(**{name: values.get(name, 0.0) for name in STRENGTHS})  # type: ignore[arg-type]


STRENGTHS = ("rotation", "shift", "scale", "blur", "light", "noise", "erase")


def made(split: str) -> Faces:
    """Faces that smile, or do not: 48x48 noise whose lower half is bright, or dark."""
    random = np.random.default_rng(("train", "validation", "test").index(split))
    labels = random.integers(0, 2, 96 if split == "train" else 40)
    pixels = random.integers(60, 196, (len(labels), 48, 48))
    pixels[:, 24:] += np.where(labels == 1, 60, -60)[:, None, None]
    return Faces(pixels.astype(np.uint8), labels.astype(np.int64))


@pytest.fixture
def faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face.fer2013, "load", made)


def test_disturbed_faces_are_still_faces() -> None:
    faces = noisy(200)
    shown = augment(faces, FaceRecipe())
    assert shown.shape == faces.shape
    assert shown.min() >= 0
    assert shown.max() <= 1
    assert (shown - faces).abs().mean() > 0.05


def test_without_any_disturbance_faces_are_only_mirrored() -> None:
    faces = noisy(40)
    shown = augment(faces, STILL)
    kept = (shown - faces).abs().amax((1, 2, 3)) < 1e-4
    mirrored = (shown - faces.flip(-1)).abs().amax((1, 2, 3)) < 1e-4
    assert (kept ^ mirrored).all()
    assert 5 < kept.sum() < 35


@pytest.mark.parametrize("strength", STRENGTHS)
def test_each_disturbance_does_something(strength: str) -> None:
    faces = noisy(60)
    most = getattr(FaceRecipe(), strength)
    shown = augment(faces, changed(**{strength: most}))
    plain = torch.minimum(
        (shown - faces).abs().amax((1, 2, 3)), (shown - faces.flip(-1)).abs().amax((1, 2, 3))
    )
    assert (plain > 0.01).sum() >= 5


def test_what_is_hidden_is_a_rectangle_of_one_grey() -> None:
    faces = noisy(30)
    shown = augment(faces, changed(erase=1.0))
    for one, mirrored, seen in zip(faces, faces.flip(-1), shown, strict=True):
        plain = min((one, mirrored), key=lambda other: float((other - seen).abs().sum()))
        rows, columns = ((plain - seen).abs()[0] > 1e-4).nonzero().T
        area = seen[0, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert 5 <= min(area.shape) <= max(area.shape) <= 25
        assert area.max() - area.min() < 1e-6


def test_a_training_learns_what_can_be_seen(faces: None) -> None:
    fitted = fit(SMALL, quiet)
    assert fitted.validation.accuracy > 0.9
    assert fitted.test.accuracy > 0.9
    assert 1 <= fitted.best_epoch <= SMALL.epochs


def test_the_same_seed_gives_the_same_encoder_and_threads_are_left_as_they_were(
    faces: None,
) -> None:
    threads = torch.get_num_threads()
    short = FaceRecipe(epochs=1, batch=48, accelerator="cpu", threads=1)
    one, again = (fit(short, quiet).net.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert torch.get_num_threads() == threads
