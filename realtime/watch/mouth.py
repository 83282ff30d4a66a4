"""Mouth movement from frame to frame, relative to that of the whole face."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: Region of the mouth in a crop: first row, first and last column, as shares of its side.
_ROWS, _COLUMNS = 0.62, (0.25, 0.75)
#: Last row of the eyes' region, which moves with the head and hardly with speech.
_EYES = 0.5


class Mouths:
    """Movement of the mouths of tracked faces. Keeps the faces of the last frame."""

    def __init__(self) -> None:
        self._last: dict[int, NDArray[np.float32]] = {}

    def moved(self, tracks: Sequence[int], crops: NDArray[np.uint8]) -> list[float]:
        """The movement of each mouth: the mean change of grey levels since the last frame in the
        region of the mouth, minus that in the upper half. Not below 0; 0 for a new face.

        Args:
            tracks: identities of the faces.
            crops: the faces, uint8 [n, side, side]; their brightness does not matter.
        """
        movements, faces = list[float](), dict[int, NDArray[np.float32]]()
        for track, crop in zip(tracks, crops, strict=True):
            face = crop.astype(np.float32) - np.float32(crop.mean())
            before = self._last.get(track)
            movements.append(0.0 if before is None else _movement(np.abs(face - before)))
            faces[track] = face
        self._last = faces
        return movements


def _movement(change: NDArray[np.float32]) -> float:
    height, width = change.shape
    mouth = change[round(_ROWS * height) :, round(_COLUMNS[0] * width) : round(_COLUMNS[1] * width)]
    eyes = change[: round(_EYES * height)]
    return round(max(0.0, float(mouth.mean() - eyes.mean())), 3)
