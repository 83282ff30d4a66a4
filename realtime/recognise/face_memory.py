"""Chooses the face of an utterance among the faces in its frames."""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict, deque
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from gscon_live.realtime.pipeline import messages

#: The speaking mouth moves more than any other by this factor ...
SPEAKING_FACTOR = 1.5
#: ... and by more than this, in grey levels per frame: noise changes still faces, too.
MIN_MOVEMENT = 1.0
#: The reason is a face that is too small if it is seen in this share of the frames.
SMALL_SHARE = 0.25


class FacesInView(msgspec.Struct, frozen=True):
    """The faces during an utterance.

    `features` is float32 [n, dim], the features of the used face in n frames, or None; then
    `reason` says why. `face` is the track of the used face, `faces` the number of tracks,
    `left_out` the largest number of faces in a frame that were not compared.
    """

    features: NDArray[np.float32] | None
    reason: str | None
    face: int | None
    faces: int
    left_out: int = 0


def _no_face(frames: Sequence[messages.Faces]) -> str:
    """Why no frame has a face: none was in view, or it was too small in a good part of them."""
    small = [frame for frame in frames if frame.too_small]
    if len(small) < SMALL_SHARE * len(frames):
        return "no face in view"
    typical = sorted(small, key=lambda frame: frame.too_small)[len(small) // 2]
    return f"face too small ({typical.too_small} px); {typical.remedy}"


class FaceMemory:
    """The faces of recent frames.

    `forget` bounds it: call it with the time before which no utterance starts any more.
    """

    def __init__(self) -> None:
        self._frames: deque[messages.Faces] = deque()

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: messages.Faces) -> None:
        """Adds a frame; frames come in the order of their times."""
        self._frames.append(frame)

    def forget(self, before: float) -> None:
        """Drops the frames before a media time."""
        while self._frames and self._frames[0].time < before:
            self._frames.popleft()

    def look(self, start: float, end: float) -> FacesInView:
        """The faces from `start` to `end` in seconds, both included.

        The used face is the one whose mouth moves most, if it moves more than `SPEAKING_FACTOR`
        times as much as any other; only faces in at least half of the frames count. Otherwise it is
        the face with the largest sum of areas.
        """
        times = [frame.time for frame in self._frames]
        first, last = bisect_left(times, start), bisect_right(times, end)
        frames = [self._frames[index] for index in range(first, last)]
        if not frames:
            return FacesInView(None, "no frames", None, 0)
        areas, counts = Counter[int](), Counter[int]()
        movement = defaultdict[int, float](float)
        for frame in frames:
            for face in frame.faces:
                areas[face.track] += face.box[2] * face.box[3]
                movement[face.track] += face.mouth
                counts[face.track] += 1
        if not areas:
            return FacesInView(None, _no_face(frames), None, 0)
        encoded = {face.track for frame in frames for face in frame.faces if face.features}
        used = min(encoded & set(areas), key=lambda track: (-areas[track], track))
        frequent = [track for track, count in counts.items() if 2 * count >= len(frames)]
        rates = sorted(
            ((movement[track] / counts[track], track) for track in frequent), reverse=True
        )
        if (
            len(rates) > 1
            and rates[0][1] in encoded
            and rates[0][0] > max(MIN_MOVEMENT, SPEAKING_FACTOR * rates[1][0])
        ):
            used = rates[0][1]
        rows = [
            np.frombuffer(face.features, np.float32)
            for frame in frames
            for face in frame.faces
            if face.track == used and face.features
        ]
        left_out = max(frame.left_out for frame in frames)
        return FacesInView(np.stack(rows), None, used, len(areas), left_out)
