"""Faces in frames: detection, identity, features."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.stage import Gauges, Incoming, Stage
from gscon_live.realtime.watch.mouth import Mouths
from gscon_live.realtime.watch.tracker import Box, Tracker

#: At most this many faces of a frame are encoded, the largest first.
MAX_FACES = 4
#: The whole frame is searched every so many frames; in between, the surroundings of known faces.
SEARCH_ALL_EVERY = 5

Frame = NDArray[np.uint8]


class Detected(Protocol):
    """A detected face, in pixels."""

    @property
    def x(self) -> int: ...
    @property
    def y(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...


class Detector(Protocol):
    """Finds faces in a BGR frame, largest first; `near` those of the frame before, if given."""

    def detect(self, frame: Frame, near: Sequence[Any] = ()) -> Sequence[Detected]: ...


class FaceFeatures(Protocol):
    """A face encoder and the cropping that belongs to it."""

    def crop(self, frame: Frame, box: Box) -> NDArray[np.uint8]: ...
    def encode(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]: ...


class Watcher(Stage):
    """Stage: frames in, faces with identity and features out; `Mark`s pass as the watch's own.

    Args:
        detector: finds faces.
        encoder: makes features of them.
        min_face: smallest width in pixels of a face that is used.
    """

    def __init__(self, detector: Detector, encoder: FaceFeatures, min_face: int) -> None:
        self._detector = detector
        self._encoder = encoder
        self._min_face = min_face
        self.reset()

    def reset(self) -> None:
        """Forgets the faces seen so far."""
        self._tracker = Tracker()
        self._mouths = Mouths()
        self._count = 0
        self._seen: list[Detected] = []

    def gauges(self) -> Gauges:
        """How many faces are in view, and how many frames have been analysed."""
        return {"faces": float(len(self._seen)), "frames": float(self._count)}

    def process(self, message: Incoming) -> Iterator[messages.Message]:
        """See the class."""
        match message:
            case messages.VideoFrame():
                yield self._look(message)
            case messages.Mark(time=time):
                yield messages.Mark(time, "watch")
            case messages.Dropped():
                yield message

    def _look(self, message: messages.VideoFrame) -> messages.Faces:
        frame = np.frombuffer(message.pixels, np.uint8).reshape(message.height, message.width, 3)
        faces = [face for face in self._search(frame) if face.width >= self._min_face][:MAX_FACES]
        boxes: list[Box] = [(face.x, face.y, face.width, face.height) for face in faces]
        tracks = self._tracker.update(message.time, boxes)
        self._count += 1
        self._seen = faces
        if not boxes:
            return messages.Faces(message.time, [])
        crops = np.stack([self._encoder.crop(frame, box) for box in boxes])
        features, moved = self._encoder.encode(crops), self._mouths.moved(tracks, crops)
        return messages.Faces(
            message.time,
            [
                messages.Face(track, box, row.tobytes(), mouth)
                for track, box, row, mouth in zip(tracks, boxes, features, moved, strict=True)
            ],
        )

    def _search(self, frame: Frame) -> Sequence[Detected]:
        """The faces in a frame, searched near the last ones where that is enough."""
        if self._seen and self._count % SEARCH_ALL_EVERY:
            faces = self._detector.detect(frame, self._seen)
            if len(faces) >= len(self._seen):
                return faces
        return self._detector.detect(frame)
