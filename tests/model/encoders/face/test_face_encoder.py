"""Face features: safe crops, and features that depend on that face alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from skimage import data as pictures

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.face.face_encoder import (
    EMBEDDING,
    LEAST,
    SIZE,
    WEIGHTS,
    FaceEncoder,
    FaceNet,
    flip_averaged,
)
from gscon_live.model.labels import EMOTIONS

ENCODER = FaceEncoder()


def faces(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE)).astype(np.uint8)


def test_features_end_in_log_probabilities() -> None:
    features = ENCODER.encode(faces(5))
    assert features.shape == (5, ENCODER.dim)
    assert features.dtype == np.float32
    np.testing.assert_allclose(np.exp(features[:, -len(EMOTIONS) :]).sum(1), 1, atol=1e-4)


def test_a_face_has_the_same_features_whoever_is_beside_it() -> None:
    several = faces(4)
    alone = np.concatenate([ENCODER.encode(face[None]) for face in several])
    assert np.array_equal(ENCODER.encode(several), alone)


def test_a_face_and_its_mirror_image_have_the_same_features() -> None:
    several = faces(3)
    mirrored = ENCODER.encode(several[:, :, ::-1])
    np.testing.assert_allclose(ENCODER.encode(several), mirrored, rtol=1e-4, atol=1e-5)


def test_features_are_what_the_network_says_as_it_was_trained() -> None:
    net = FaceNet()
    net.load_state_dict(load_file(WEIGHTS))
    several = faces(3)
    with torch.no_grad():
        embedded, shares = flip_averaged(net.eval(), torch.from_numpy(several)[:, None] / 255)
        trained = torch.cat([embedded, shares.clamp(min=LEAST).log()], -1)
    np.testing.assert_allclose(ENCODER.encode(several), trained.numpy(), rtol=1e-4, atol=1e-5)


def test_no_faces_are_no_rows() -> None:
    assert ENCODER.encode(faces(0)).shape == (0, ENCODER.dim)


def test_the_light_hardly_matters() -> None:
    portrait = np.ascontiguousarray(pictures.astronaut()[:, :, ::-1])
    face = ENCODER.crop(portrait, (179, 63, 90, 112))
    darker = (face * 0.5 + 10).astype(np.uint8)
    plain, dark, other = ENCODER.encode(np.stack([face, darker, face[::-1]]))
    assert np.linalg.norm(plain - dark) < 0.25 * np.linalg.norm(plain - other)


def test_pooling_takes_the_usual_face_and_needs_one() -> None:
    features = ENCODER.encode(faces(7))
    pooled = ENCODER.pool(features)
    np.testing.assert_allclose(pooled[:EMBEDDING], features[:, :EMBEDDING].mean(0), atol=1e-6)
    assert np.exp(pooled[EMBEDDING:]).sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(ENCODER.pool(features[:1]), features[0], atol=1e-4)
    with pytest.raises(ValueError, match="no faces"):
        ENCODER.pool(features[:0])


def test_a_blink_does_not_move_what_a_face_shows() -> None:
    calm = ENCODER.encode(faces(1))
    odd = calm.copy()
    odd[:, EMBEDDING:] = np.log(np.eye(len(EMOTIONS), dtype=np.float32)[2] * 0.999 + 1e-4)
    several = np.concatenate([calm] * 8 + [odd] * 3)
    np.testing.assert_allclose(ENCODER.pool(several)[EMBEDDING:], calm[0, EMBEDDING:], atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 120)),
    box=st.tuples(
        st.integers(-60, 150), st.integers(-60, 120), st.integers(1, 200), st.integers(1, 200)
    ),
)
def test_any_box_gives_a_crop(size: tuple[int, int], box: tuple[int, int, int, int]) -> None:
    crop = ENCODER.crop(np.full((*size, 3), 77, np.uint8), box)
    assert crop.shape == (SIZE, SIZE)
    assert crop.dtype == np.uint8
    assert (crop == 77).all()


def test_the_crop_is_centred_on_the_box() -> None:
    frame = np.zeros((200, 300, 3), np.uint8)
    frame[60:140, 100:180] = 255
    crop = ENCODER.crop(frame, (100, 60, 80, 80))
    assert crop[24, 24] == 255
    assert crop.mean() > 200
    np.testing.assert_allclose(crop, crop[:, ::-1], atol=8)
    np.testing.assert_allclose(crop, crop[::-1], atol=8)


def test_a_crop_of_a_large_face_is_an_average() -> None:
    board = np.indices((480, 480)).sum(0) % 2 * 255
    frame = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    assert np.abs(ENCODER.crop(frame, (100, 100, 200, 200)).astype(int) - 127).max() < 20


def test_the_weights_are_small_and_named_in_the_identity(tmp_path: Path) -> None:
    assert WEIGHTS.stat().st_size <= 6_000_000
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(WEIGHTS.read_bytes())
    assert FaceEncoder(copy).identity == ENCODER.identity


def test_wrong_weights_are_one_line_that_names_them(tmp_path: Path) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(WEIGHTS.read_bytes()[:5000])
    other = WEIGHTS.with_name("live.safetensors")
    for path in (tmp_path / "nowhere.safetensors", cut, other):
        with pytest.raises(InputError) as caught:
            FaceEncoder(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
