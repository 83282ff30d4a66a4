"""Face detection in a frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import platformdirs
from numpy.typing import NDArray

from gscon_live.common.errors import InputError

#: Frames wider than this are shrunk for the search; faces are found down to about 5 % of the width.
SEARCH_WIDTH = 320
#: Margin around a known face that is searched again, as a multiple of its longer side.
SEARCH_MARGIN = 0.5
#: Lowest score at which YuNet reports a face.
MIN_SCORE = 0.7

Frame = NDArray[np.uint8]


@dataclass(frozen=True)
class Box:
    """The bounding box of a face in pixels of the frame, and its score.

    Always inside the frame, with width and height of at least one pixel. The score is from 0 to 1;
    detectors without a score give 1.
    """

    x: int
    y: int
    width: int
    height: int
    score: float


def cached_model_path() -> Path:
    """Where the YuNet model is looked for when no file is given."""
    cache = platformdirs.user_cache_dir("gscon-live")
    return Path(cache) / "face_detection_yunet_2023mar.onnx"


class _Backend(Protocol):
    identity: str

    def detect(self, picture: Frame) -> list[tuple[float, float, float, float, float]]: ...


class _YuNet:
    identity = "yunet/2023mar"

    def __init__(self, path: Path) -> None:
        try:
            self._net = cv2.FaceDetectorYN.create(str(path), "", (320, 320), MIN_SCORE)
        except cv2.error as error:
            raise InputError(
                f"face detector {path}: not a YuNet model; give OpenCV Zoo's "
                "face_detection_yunet_2023mar.onnx"
            ) from error

    def detect(self, picture: Frame) -> list[tuple[float, float, float, float, float]]:
        self._net.setInputSize((picture.shape[1], picture.shape[0]))
        _, rows = self._net.detect(picture)
        # The binding returns None for no face, against its type stub.
        faces = np.asarray([] if rows is None else rows, float).reshape(-1, 15)
        return [(x, y, w, h, score) for x, y, w, h, score in faces[:, [0, 1, 2, 3, 14]].tolist()]


class _Cascade:
    identity = "haar/frontalface-alt2"

    def __init__(self) -> None:
        folder = Path(cv2.__file__).parent / "data"
        self._net = cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_alt2.xml"))

    def detect(self, picture: Frame) -> list[tuple[float, float, float, float, float]]:
        grey = cv2.equalizeHist(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))
        min_side = max(20, round(0.08 * min(grey.shape)))
        # Six neighbours rather than the usual three: a missed face is found in the next frame, but
        # a false positive would be taken for a person.
        squares = self._net.detectMultiScale(grey, 1.1, 6, minSize=(min_side, min_side))
        boxes = []
        for x, y, width, height in np.asarray(squares, float).reshape(-1, 4):
            # The cascade's squares are wider than the face; make them what YuNet would give.
            boxes.append((x + 0.1 * width, y + 0.02 * height, 0.8 * width, 0.98 * height, 1.0))
        return boxes


class FaceDetector:
    """Finds faces: with YuNet where its model file exists, else with OpenCV's Haar cascade.

    Args:
        model_file: the YuNet model; None takes `cached_model_path()` where it exists.

    Raises:
        InputError: the given file is missing or no such model.
    """

    def __init__(self, model_file: str | Path | None = None) -> None:
        # With several threads the order of the cascade's candidates varies, and the boxes with it.
        # Pictures this small are not searched faster by more threads.
        cv2.setNumThreads(1)
        self._backend: _Backend
        if model_file is not None:
            path = Path(model_file)
            if not path.is_file():
                raise InputError(
                    f"face detector {path}: no such file; give OpenCV Zoo's "
                    "face_detection_yunet_2023mar.onnx, or leave it out"
                )
            self._backend = _YuNet(path)
        elif cached_model_path().is_file():
            self._backend = _YuNet(cached_model_path())
        else:
            self._backend = _Cascade()
        #: The detector and its version.
        self.identity = self._backend.identity

    def detect(self, frame: Frame, near: Sequence[Box] = ()) -> list[Box]:
        """The faces in a BGR frame uint8 [h, w, 3], largest first.

        `near` are the faces of the previous frame. With them, only the area around each is
        searched: several times cheaper, but a new face elsewhere is not found.
        """
        height, width = frame.shape[:2]
        scale = min(1.0, SEARCH_WIDTH / width)
        picture = frame
        if scale < 1.0:
            size = (SEARCH_WIDTH, max(1, round(height * scale)))
            picture = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
        boxes: list[Box] = []
        for left, top, right, bottom in _regions(picture, near, scale):
            region = np.ascontiguousarray(picture[top:bottom, left:right])
            for x, y, face_width, face_height, score in self._backend.detect(region):
                box = _clipped(
                    (left + x) / scale,
                    (top + y) / scale,
                    face_width / scale,
                    face_height / scale,
                    score,
                    (width, height),
                )
                # Regions overlap where faces are close, and the same face is then found twice.
                if not any(_same_face(box, known) for known in boxes):
                    boxes.append(box)
        return sorted(boxes, key=lambda box: (-box.width * box.height, box.x, box.y))


def _regions(picture: Frame, near: Sequence[Box], scale: float) -> list[tuple[int, int, int, int]]:
    """Left, top, right, bottom of the regions to search: the picture, or around known faces."""
    height, width = picture.shape[:2]
    if not near:
        return [(0, 0, width, height)]
    regions = []
    for box in near:
        margin = SEARCH_MARGIN * max(box.width, box.height)
        left = max(0, int((box.x - margin) * scale))
        top = max(0, int((box.y - margin) * scale))
        right = min(width, int((box.x + box.width + margin) * scale) + 1)
        bottom = min(height, int((box.y + box.height + margin) * scale) + 1)
        regions.append((left, top, right, bottom))
    return regions


def _clipped(
    x: float, y: float, face_width: float, face_height: float, score: float, size: tuple[int, int]
) -> Box:
    """The box, rounded to pixels and clipped to the frame."""
    width, height = size
    left = min(max(round(x), 0), width - 1)
    top = min(max(round(y), 0), height - 1)
    right = min(max(round(x + face_width), left + 1), width)
    bottom = min(max(round(y + face_height), top + 1), height)
    return Box(left, top, right - left, bottom - top, min(max(score, 0.0), 1.0))


def _same_face(first: Box, second: Box) -> bool:
    distance_x = abs(2 * first.x + first.width - 2 * second.x - second.width)
    distance_y = abs(2 * first.y + first.height - 2 * second.y - second.height)
    return distance_x < max(first.width, second.width) and distance_y < max(
        first.height, second.height
    )
