"""Tracking: identities of faces from frame to frame."""

import msgspec

Box = tuple[int, int, int, int]

#: A track without a face for this many seconds is over; a later face is new.
FORGET_AFTER = 2.0
#: Faces match if their boxes overlap by this much (intersection over union) ...
MIN_OVERLAP = 0.2
#: ... or, for a face that moves fast, if its speed is below this, in face widths per second.
MAX_SPEED = 6.0


class _Track(msgspec.Struct):
    identity: int
    box: Box
    last_time: float


class Tracker:
    """Gives a face the identity of the best matching face of the last frames, or a new one.

    Greedy matching, best pair first. Identities count from 1 and are not used again.
    """

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._next = 1

    def update(self, time: float, boxes: list[Box]) -> list[int]:
        """The identities of the faces in a frame.

        Args:
            time: media time of the frame in seconds, not before the last frame.
            boxes: x, y, width, height in pixels.

        Returns:
            An identity for each box, in their order.
        """
        self._tracks = [t for t in self._tracks if time - t.last_time <= FORGET_AFTER]
        pairs = sorted(
            (
                (-score, index, number)
                for number, track in enumerate(self._tracks)
                for index, box in enumerate(boxes)
                if (score := _likeness(track, box, time)) > 0
            ),
        )
        identities = [0] * len(boxes)
        taken: set[int] = set()
        for _, index, number in pairs:
            if identities[index] or number in taken:
                continue
            taken.add(number)
            track = self._tracks[number]
            track.box, track.last_time = boxes[index], time
            identities[index] = track.identity
        for index, box in enumerate(boxes):
            if not identities[index]:
                identities[index] = self._next
                self._tracks.append(_Track(self._next, box, time))
                self._next += 1
        return identities


def overlap(box: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    width = min(box[0] + box[2], other[0] + other[2]) - max(box[0], other[0])
    height = min(box[1] + box[3], other[1] + other[3]) - max(box[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / (box[2] * box[3] + other[2] * other[3] - common)


def _likeness(track: _Track, box: Box, time: float) -> float:
    """How well a box continues a track: 0 not at all, above 1 if they overlap."""
    common = overlap(track.box, box)
    if common >= MIN_OVERLAP:
        return 1.0 + common
    size = (track.box[2] + box[2]) / 2
    if not 0.5 < box[2] / track.box[2] < 2.0:
        return 0.0
    across = track.box[0] + track.box[2] / 2 - box[0] - box[2] / 2
    down = track.box[1] + track.box[3] / 2 - box[1] - box[3] / 2
    distance: float = (across**2 + down**2) ** 0.5 / size
    reach = min(1.5, MAX_SPEED * max(time - track.last_time, 0.0))
    return 1.0 - distance / reach if distance < reach else 0.0
