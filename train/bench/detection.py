"""What face detectors find in frames where the place of the face is known."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.face.face_detector import Box, FaceDetector
from gscon_live.model.encoders.face.face_encoder import EMBEDDING, MARGIN, FaceEncoder
from gscon_live.train.bench.scenes import Scene, Square

#: A box belongs to the face if their squares overlap by this much (intersection over union).
MIN_OVERLAP = 0.3
#: Of a video, every so many pictures are searched.
_STRIDE = 5

Pixels = NDArray[np.uint8]
Tick = Callable[[], None]


@dataclass(frozen=True)
class Framing:
    """How the square that the encoder sees is changed: its side by a factor, and its centre moved
    down by a share of the box's longer side."""

    scale: float = 1.0
    down: float = 0.0


@dataclass(frozen=True)
class Search:
    """What a detector gives for scenes.

    Attributes:
        faces: the box of each scene's face, or None.
        overlaps: the overlap of the encoder's square with the picture's, for each face with a box.
        false_faces: boxes that belong to no face.
        milliseconds: processor time for a frame, median.
    """

    faces: list[Box | None]
    overlaps: list[float]
    false_faces: int
    milliseconds: float

    @property
    def share(self) -> float:
        """The share of scenes whose face has a box."""
        return len(self.overlaps) / max(1, len(self.faces))


def search(detector: FaceDetector, frames: Sequence[Scene], tick: Tick) -> Search:
    """Searches all of each frame, without a face that is known before."""
    faces: list[Box | None] = []
    overlaps, times, false_faces = [], [], 0
    for scene in frames:
        begin = time.process_time()
        boxes = detector.detect(scene.frame)
        times.append(time.process_time() - begin)
        matches = [(overlap(square(box), scene.square), box) for box in boxes]
        best, face = max(matches, key=lambda match: match[0], default=(0.0, None))
        if best >= MIN_OVERLAP:
            overlaps.append(best)
        faces.append(face if best >= MIN_OVERLAP else None)
        false_faces += len(boxes) - (best >= MIN_OVERLAP)
        tick()
    return Search(faces, overlaps, false_faces, 1000 * float(np.median(times or [0.0])))


def square(box: Box, framing: Framing | None = None) -> Square:
    """What the face encoder sees of a box."""
    framing = framing or Framing()
    longer = max(box.width, box.height)
    down = box.y + box.height / 2 + framing.down * longer
    return (box.x + box.width / 2, down, MARGIN * framing.scale * longer)


def overlap(first: Square, second: Square) -> float:
    """Intersection over union of two squares, 0 to 1."""
    half = (first[2] + second[2]) / 2
    sides = [min(half - abs(first[axis] - second[axis]), first[2], second[2]) for axis in (0, 1)]
    if min(sides) <= 0:
        return 0.0
    common = sides[0] * sides[1]
    return common / (first[2] ** 2 + second[2] ** 2 - common)


def correct(
    encoder: FaceEncoder, frames: Sequence[Scene], squares: Sequence[Square], labels: Sequence[int]
) -> NDArray[np.bool_]:
    """Whether the encoder names each face's emotion (int, in the order of `EMOTIONS`) from its
    square in the frame: bool [n]."""
    crops = []
    for scene, (across, down, side) in zip(frames, squares, strict=True):
        box = round(side / MARGIN)
        place = (round(across - box / 2), round(down - box / 2), box, box)
        crops.append(encoder.crop(scene.frame, place))
    if not crops:
        return np.zeros(0, bool)
    chosen = encoder.encode(np.stack(crops))[:, EMBEDDING:].argmax(1)
    return np.asarray(chosen == np.asarray(labels))


def video_share(detector: FaceDetector, path: Path) -> float:
    """The share of a video's pictures (every fifth) in which a detector finds a face.

    Raises:
        InputError: it cannot be read.
    """
    with_face = [bool(detector.detect(picture)) for picture in _pictures(path)]
    if not with_face:
        raise InputError(f"--video {path}: no pictures; give a file that OpenCV reads")
    return float(np.mean(with_face))


def _pictures(path: Path) -> Iterator[Pixels]:
    reader = cv2.VideoCapture(str(path))
    try:
        number = 0
        while True:
            read, picture = reader.read()
            if not read:
                return
            if number % _STRIDE == 0:
                yield np.asarray(picture, np.uint8)
            number += 1
    finally:
        reader.release()
