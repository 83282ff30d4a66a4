"""The visual features of an utterance, from the faces of its frames."""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict, deque

import msgspec
import numpy as np
from numpy.typing import NDArray

from gscon_live.realtime.pipeline import messages

#: How much more than any other a mouth has to move to be taken for the one that speaks ...
CLEARLY = 1.5
#: ... and how much at least, in grey levels a frame: still faces change too, by noise.
STILL = 1.0


class Look(msgspec.Struct, frozen=True):
    """What was seen during an utterance.

    `features` is float32 [n, dim], the used face's features of n frames, or None where `reason`
    says why; `face` is the used track, `faces` the number of tracks in view.
    """

    features: NDArray[np.float32] | None
    reason: str | None
    face: int | None
    faces: int


class FaceMemory:
    """The faces of recent frames, asked by time.

    Bounded by `forget`: call it with the time before which no utterance starts any more.
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

    def look(self, start: float, end: float) -> Look:
        """What was seen from `start` to `end`, both included.

        Of several faces the one is used whose mouth moves most, if it moves `CLEARLY` more than
        those of the others that are in view for half of the time; else the one that is largest for
        longest: the sum of its areas.
        """
        times = [frame.time for frame in self._frames]
        first, last = bisect_left(times, start), bisect_right(times, end)
        frames = [self._frames[place] for place in range(first, last)]
        if not frames:
            return Look(None, "no frames", None, 0)
        areas, seen, moved = Counter[int](), Counter[int](), defaultdict[int, float](float)
        for frame in frames:
            for face in frame.faces:
                areas[face.track] += face.box[2] * face.box[3]
                moved[face.track] += face.mouth
                seen[face.track] += 1
        if not areas:
            return Look(None, "no face in view", None, 0)
        used = min(areas, key=lambda track: (-areas[track], track))
        often = [track for track in seen if 2 * seen[track] >= len(frames)]
        rates = sorted(((moved[track] / seen[track], track) for track in often), reverse=True)
        if len(rates) > 1 and rates[0][0] > max(STILL, CLEARLY * rates[1][0]):
            used = rates[0][1]
        rows = [
            np.frombuffer(face.features, np.float32)
            for frame in frames
            for face in frame.faces
            if face.track == used
        ]
        return Look(np.stack(rows), None, used, len(areas))
