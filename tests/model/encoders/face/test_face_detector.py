"""Face detection: with the cascade that comes with OpenCV, and with YuNet where it is there."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data as pictures

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.face import face_detector
from gscon_live.model.encoders.face.face_detector import Box, FaceDetector

YUNET = (
    Path(os.environ.get("GSCON_DATA", "../shared/data"))
    / "weights/face_detection_yunet_2023mar.onnx"
)


@pytest.fixture(params=["cascade", "yunet"])
def finder(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> FaceDetector:
    monkeypatch.setattr(face_detector, "cached_model_path", lambda: tmp_path / "none.onnx")
    if request.param == "cascade":
        return FaceDetector()
    if not YUNET.is_file():
        pytest.skip("the YuNet model is not in GSCON_DATA")
    return FaceDetector(YUNET)


@pytest.fixture(scope="module")
def portrait() -> NDArray[np.uint8]:
    """The portrait of Eileen Collins; her face is about (180, 60) to (270, 175)."""
    return np.ascontiguousarray(pictures.astronaut()[:, :, ::-1])


def test_the_face_is_found_where_it_is(finder: FaceDetector, portrait: NDArray[np.uint8]) -> None:
    (box,) = finder.detect(portrait)
    assert abs(box.x + box.width / 2 - 225) < 15
    assert abs(box.y + box.height / 2 - 118) < 20
    assert 60 < box.width < 120
    assert 0 < box.score <= 1
    assert all(type(value) is int for value in (box.x, box.y, box.width, box.height))
    assert type(box.score) is float


@pytest.mark.parametrize("scale", [0.6, 2.5])
def test_boxes_are_in_the_pixels_of_the_frame(
    finder: FaceDetector, portrait: NDArray[np.uint8], scale: float
) -> None:
    (box,) = finder.detect(np.asarray(cv2.resize(portrait, None, fx=scale, fy=scale), np.uint8))
    assert abs((box.x + box.width / 2) / scale - 225) < 20
    assert 55 < box.width / scale < 125


def test_the_largest_face_comes_first(finder: FaceDetector, portrait: NDArray[np.uint8]) -> None:
    small = np.asarray(cv2.resize(portrait, None, fx=0.8, fy=0.8), np.uint8)
    scene = np.full((512, 900, 3), 90, np.uint8)
    scene[90 : 90 + len(small), : small.shape[1]] = small
    scene[:, 388:] = portrait
    boxes = finder.detect(scene)
    assert len(boxes) == 2
    assert boxes[0].x > 388 > boxes[1].x
    assert boxes[0].width > boxes[1].width


def test_no_face_is_found_where_there_is_none(finder: FaceDetector) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3)).astype(np.uint8)
    gravel = np.repeat(pictures.gravel()[..., None], 3, axis=2)
    for frame in (np.zeros((240, 320, 3), np.uint8), noise, gravel, pictures.coffee()[:, :, ::-1]):
        assert finder.detect(np.ascontiguousarray(frame)) == []


def test_boxes_stay_inside_the_frame(finder: FaceDetector, portrait: NDArray[np.uint8]) -> None:
    """A face at the border of the picture."""
    for cut in (portrait[75:300], portrait[:, 190:420], portrait[:165]):
        for box in finder.detect(np.ascontiguousarray(cut)):
            assert 0 <= box.x < box.x + box.width <= cut.shape[1]
            assert 0 <= box.y < box.y + box.height <= cut.shape[0]


def test_detection_has_no_memory(finder: FaceDetector, portrait: NDArray[np.uint8]) -> None:
    first: list[Box] = finder.detect(portrait)
    finder.detect(np.zeros((100, 500, 3), np.uint8))
    assert finder.detect(portrait) == first


def test_a_cached_model_is_preferred_to_the_cascade(monkeypatch: pytest.MonkeyPatch) -> None:
    if not YUNET.is_file():
        pytest.skip("the YuNet model is not in GSCON_DATA")
    monkeypatch.setattr(face_detector, "cached_model_path", lambda: YUNET)
    assert FaceDetector().identity.startswith("yunet")


def test_a_wrong_file_is_one_line_that_names_it(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(b"not a model")
    for path in (wrong, tmp_path / "nowhere.onnx", tmp_path):
        with pytest.raises(InputError) as caught:
            FaceDetector(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
