"""The stage of faces: detection, tracking, mouth movement, features."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.stage import Gauges, Incoming, Stage
from gscon_live.realtime.watch.mouth import Mouths
from gscon_live.realtime.watch.tracker import Box, Tracker

#: Maximal number of faces per frame whose mouths are compared, the largest first.
MOST_MOUTHS = 16
#: Maximal number of faces per frame that are encoded: the largest, and of all others the one whose
#: mouth has moved most in the last frames.
MAX_FACES = 4
#: What remains of a mouth's movement from frame to frame.
_REMAINS = 0.8
#: The settings that make pictures wider, of a recording and of a camera.
RECORDING_WIDTH, CAMERA_WIDTH = "recording.max_width", "camera.width"
#: Cameras are not asked for pictures that are more than so many times wider.
MAX_FACTOR = 3
#: Every so many frames, the whole frame is searched; in between, only around the last faces.
FULL_SEARCH_INTERVAL = 5
#: Once so many frames in a row have no face, the next search is so many seconds after the last one.
EMPTY_FRAMES, EMPTY_INTERVAL = 5, 0.3

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
    """Finds faces in a BGR frame, largest first; with `near`, only around those faces."""

    def detect(self, frame: Frame, near: Sequence[Any] = ()) -> Sequence[Detected]: ...


class FaceFeatures(Protocol):
    """A face encoder, and how it crops faces."""

    def crop(self, frame: Frame, box: Box) -> NDArray[np.uint8]: ...
    def encode(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]: ...


class Watcher(Stage):
    """Stage: frames in, faces with identities and features out; marks are passed on as its own.

    Args:
        detector: finds faces.
        encoder: crops and encodes them.
        min_face: minimal width of a face in pixels; smaller ones are ignored.
        wider: the setting that makes pictures wider, which is named where all faces are too small.
    """

    def __init__(
        self,
        detector: Detector,
        encoder: FaceFeatures,
        min_face: int,
        wider: str = RECORDING_WIDTH,
    ) -> None:
        self._detector = detector
        self._encoder = encoder
        self._min_face = min_face
        self._wider = wider
        self.reset()

    def reset(self) -> None:
        """Forgets all faces."""
        self._tracker = Tracker()
        self._mouths = Mouths()
        self._count = 0
        self._last: list[Detected] = []
        self._empty = 0
        self._searched = -math.inf
        self._moved: dict[int, float] = {}

    def gauges(self) -> Gauges:
        """Numbers of faces in view and of analysed frames."""
        return {"faces": float(len(self._last)), "frames": float(self._count)}

    def process(self, message: Incoming) -> Iterator[messages.Message]:
        """Takes `VideoFrame`, `Mark` and `Dropped`; see the class. Other losses than those of
        pictures pass with the sound."""
        match message:
            case messages.VideoFrame():
                yield self._faces(message)
            case messages.Mark(time=time):
                yield messages.Mark(time, "watch")
            case messages.Dropped(what="frames"):
                yield message

    def _faces(self, message: messages.VideoFrame) -> messages.Faces:
        frame = np.frombuffer(message.pixels, np.uint8).reshape(message.height, message.width, 3)
        seen = self._search(frame, message.time)
        large = [face for face in seen if face.width >= self._min_face]
        faces = large[:MOST_MOUTHS]
        boxes: list[Box] = [(face.x, face.y, face.width, face.height) for face in faces]
        tracks = self._tracker.update(message.time, boxes)
        self._count += 1
        self._last = faces
        self._empty = 0 if seen else self._empty + 1
        size = message.width, message.height
        if seen and not boxes:
            width = max(face.width for face in seen)
            remedy = self._remedy(message, width)
            return messages.Faces(message.time, [], width, remedy, 0, *size)
        if not boxes:
            return messages.Faces(message.time, [], 0, "", 0, *size)
        crops = np.stack([self._encoder.crop(frame, box) for box in boxes])
        movements = self._mouths.moved(tracks, crops)
        chosen = self._chosen(tracks, movements)
        features = dict(zip(chosen, self._encoder.encode(crops[chosen]), strict=True))
        return messages.Faces(
            message.time,
            [
                messages.Face(track, box, features[i].tobytes() if i in features else b"", mouth)
                for i, (track, box, mouth) in enumerate(zip(tracks, boxes, movements, strict=True))
            ],
            left_out=len(large) - len(faces),
            width=message.width,
            height=message.height,
        )

    def _chosen(self, tracks: list[int], movements: list[float]) -> list[int]:
        """The indices of the faces to encode."""
        self._moved = {
            track: _REMAINS * self._moved.get(track, 0.0) + movement
            for track, movement in zip(tracks, movements, strict=True)
        }
        order = list(range(len(tracks)))
        if len(order) <= MAX_FACES:
            return order
        others = order[MAX_FACES - 1 :]
        return [*order[: MAX_FACES - 1], max(others, key=lambda i: self._moved[tracks[i]])]

    def _remedy(self, picture: messages.VideoFrame, face: int) -> str:
        """What makes a face of this width large enough.

        How wide the pictures of a camera can be is not known; a recording has a width.
        """
        factor = -(-self._min_face // face)
        full = picture.full_width or picture.width
        if self._wider == CAMERA_WIDTH:
            full = max(full, factor * picture.width if factor <= MAX_FACTOR else 0)
        if full * face >= self._min_face * picture.width:
            return f"{self._wider}={min(full, factor * picture.width)}"
        return "come closer to the camera, or film closer"

    def _search(self, frame: Frame, time: float) -> Sequence[Detected]:
        """The faces in a frame, searched around the last ones as long as none is lost."""
        if self._empty >= EMPTY_FRAMES and time < self._searched + EMPTY_INTERVAL:
            return []
        if self._last and self._count % FULL_SEARCH_INTERVAL:
            faces = self._detector.detect(frame, self._last)
            if len(faces) >= len(self._last):
                return faces
        self._searched = time
        return self._detector.detect(frame)
