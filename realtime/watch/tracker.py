"""Stable identities for the faces of successive frames."""

import msgspec

Box = tuple[int, int, int, int]

#: A track that has not been seen for this many seconds is over; who comes back later is new.
FORGET_AFTER = 2.0
#: Faces match when their boxes overlap this much (intersection over union) ...
MIN_OVERLAP = 0.2
#: ... or, for a face that moves fast, when centres are this close, in face widths per second.
MAX_SPEED = 6.0


class _Track(msgspec.Struct):
    identity: int
    box: Box
    seen: float


class Tracker:
    """Gives each face the identity of the nearest face seen before, or a new one.

    Greedy matching, best pair first. Identities grow from 1 and are never used again.
    """

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._next = 1

    def update(self, time: float, boxes: list[Box]) -> list[int]:
        """The identities of the faces in a frame.

        Args:
            time: media time of the frame in seconds, not before the last one.
            boxes: x, y, width, height in pixels.

        Returns:
            An identity for each box, in their order.
        """
        self._tracks = [track for track in self._tracks if time - track.seen <= FORGET_AFTER]
        pairs = sorted(
            (
                (-score, place, number)
                for number, track in enumerate(self._tracks)
                for place, box in enumerate(boxes)
                if (score := _likeness(track, box, time)) > 0
            ),
        )
        identities = [0] * len(boxes)
        taken: set[int] = set()
        for _, place, number in pairs:
            if identities[place] or number in taken:
                continue
            taken.add(number)
            track = self._tracks[number]
            track.box, track.seen = boxes[place], time
            identities[place] = track.identity
        for place, box in enumerate(boxes):
            if not identities[place]:
                identities[place] = self._next
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
    """How well a box continues a track: 0 not at all, above 1 where they overlap."""
    shared = overlap(track.box, box)
    if shared >= MIN_OVERLAP:
        return 1.0 + shared
    size = (track.box[2] + box[2]) / 2
    if not 0.5 < box[2] / track.box[2] < 2.0:
        return 0.0
    across = track.box[0] + track.box[2] / 2 - box[0] - box[2] / 2
    down = track.box[1] + track.box[3] / 2 - box[1] - box[3] / 2
    distance: float = (across**2 + down**2) ** 0.5 / size
    reach = min(1.5, MAX_SPEED * max(time - track.seen, 0.0))
    return 1.0 - distance / reach if distance < reach else 0.0
