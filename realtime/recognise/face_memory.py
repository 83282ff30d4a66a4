"""Chooses the face of an utterance among the faces in its frames.

Sound and mouth have to agree in time: the movement of the speaker's mouth is correlated with the
level of the voice, and rests before the utterance. A mouth that chews or laughs moves all the time.
"""

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
#: ... and moves with the voice by at least this correlation.
MIN_AGREEMENT = 0.3
#: Seconds before an utterance in which mouths are watched, too, and the fewest frames for that.
BEFORE, FEWEST = 1.0, 8
#: Levels count down to so many dB below the loudest.
_RANGE = 40.0
#: The reason is a face that is too small if it is seen in this share of the frames.
SMALL_SHARE = 0.25


_UNKNOWN = np.zeros(0, np.float32)


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

    def look(
        self, start: float, end: float, envelope: NDArray[np.float32] = _UNKNOWN
    ) -> FacesInView:
        """The faces from `start` to `end` in seconds, both included.

        The used face is the one whose mouth moves most with the voice, if it does so more than
        `SPEAKING_FACTOR` times as much as any other; only faces in at least half of the frames
        count. Otherwise it is the face with the largest sum of areas.

        Args:
            start, end: the bounds of the utterance.
            envelope: the level of the voice in dB in every window of 32 ms from `start` on, float32
                [n], NaN where it paused. Empty: not known, and the movement alone counts.
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
        rates = {track: movement[track] / counts[track] for track in frequent}
        agreement = self._agreement(start, end, envelope) if len(rates) > 1 else None
        scores = sorted(
            (
                (rate if agreement is None else rate * agreement.get(track, 0.0), track)
                for track, rate in rates.items()
            ),
            reverse=True,
        )
        if (
            len(scores) > 1
            and scores[0][1] in encoded
            and rates[scores[0][1]] > MIN_MOVEMENT
            and scores[0][0] > SPEAKING_FACTOR * scores[1][0]
            and (agreement is None or agreement.get(scores[0][1], 0.0) >= MIN_AGREEMENT)
        ):
            used = scores[0][1]
        rows = [
            np.frombuffer(face.features, np.float32)
            for frame in frames
            for face in frame.faces
            if face.track == used and face.features
        ]
        left_out = max(frame.left_out for frame in frames)
        return FacesInView(np.stack(rows), None, used, len(areas), left_out)

    def _agreement(
        self, start: float, end: float, envelope: NDArray[np.float32]
    ) -> dict[int, float] | None:
        """By track, the correlation of the mouth's movement with the level of the voice, from 0 to
        1; None where too little is known for it."""
        times = [frame.time for frame in self._frames]
        first, last = bisect_left(times, start - BEFORE), bisect_right(times, end)
        if not len(envelope) or last - first < FEWEST:
            return None
        heard = _heard(envelope)
        pairs = defaultdict[int, list[tuple[float, float]]](list)
        for index in range(max(first, 1), last):
            frame = self._frames[index]
            level = _between(heard, times[index - 1] - start, frame.time - start)
            for face in frame.faces:
                pairs[face.track].append((face.mouth, level))
        return {track: _correlation(np.array(rows)) for track, rows in pairs.items()}


def _heard(envelope: NDArray[np.float32]) -> NDArray[np.float64]:
    """The levels over the quietest that count, in dB; 0 where the voice paused."""
    loudest = float(np.nanmax(envelope)) if not np.isnan(envelope).all() else 0.0
    return np.nan_to_num(np.maximum(0.0, envelope.astype(float) - loudest + _RANGE))


def _between(heard: NDArray[np.float64], begin: float, end: float) -> float:
    """The mean level from one time to another, in seconds from the utterance's start."""
    first, last = (max(0, round(time / messages.LEVEL_SECONDS)) for time in (begin, end))
    part = heard[first : max(first + 1, last)] if end > 0 else heard[:0]
    return float(part.mean()) if len(part) else 0.0


def _correlation(rows: NDArray[np.float64]) -> float:
    """Pearson's correlation of two columns; 0 where it is negative or one does not change."""
    if len(rows) < FEWEST or not rows.std(0).all():
        return 0.0
    mouth, voice = (rows - rows.mean(0)).T
    return max(0.0, float(mouth @ voice / np.sqrt((mouth @ mouth) * (voice @ voice))))
