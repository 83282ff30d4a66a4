"""Whose mouth moves: from one frame to the next, more than the face around it does."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: Where the mouth is in a crop: rows from, columns from and to, as shares of its side.
_ROWS, _COLUMNS = 0.62, (0.25, 0.75)
#: The eyes' part, which moves with the head and hardly with speech.
_ABOVE = 0.5


class Mouths:
    """How much the mouths of tracked faces move. Remembers the faces of one frame."""

    def __init__(self) -> None:
        self._last: dict[int, NDArray[np.float32]] = {}

    def moved(self, tracks: Sequence[int], crops: NDArray[np.uint8]) -> list[float]:
        """For each face the mean change of grey levels since the frame before in the region of the
        mouth, less that of the upper half; not below 0, and 0 where it was not there.

        Args:
            tracks: identities of the faces.
            crops: the faces, uint8 [n, side, side], each of one mean grey level or another.
        """
        movements, seen = list[float](), dict[int, NDArray[np.float32]]()
        for track, crop in zip(tracks, crops, strict=True):
            face = crop.astype(np.float32) - np.float32(crop.mean())
            before = self._last.get(track)
            movements.append(0.0 if before is None else _moved(np.abs(face - before)))
            seen[track] = face
        self._last = seen
        return movements


def _moved(change: NDArray[np.float32]) -> float:
    height, width = change.shape
    mouth = change[round(_ROWS * height) :, round(_COLUMNS[0] * width) : round(_COLUMNS[1] * width)]
    above = change[: round(_ABOVE * height)]
    return round(max(0.0, float(mouth.mean() - above.mean())), 3)
