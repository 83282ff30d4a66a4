"""A window with the camera's picture, the boxes of the faces, and the recognised emotion."""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from gscon_live.common.errors import InputError
from gscon_live.realtime.events import schema
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.stage import Gauges, Incoming, Stage

WINDOW = "gscon-live"
_LINE, _TEXT = (80, 200, 120), (255, 255, 255)


class Preview(Stage):
    """Stage: shows frames, faces and emotion events in a window; gives nothing.

    Raises:
        InputError: a window cannot be opened, as without a screen.
    """

    def __init__(self) -> None:
        try:
            cv2.namedWindow(WINDOW, cv2.WINDOW_NORMAL)
        except cv2.error as error:
            raise InputError(
                "--preview: no window can be opened here; leave it out, or run where there is a "
                "screen"
            ) from error
        self.reset()

    def reset(self) -> None:
        """Forgets the faces and the emotion."""
        self._faces: list[messages.Face] = []
        self._answer: tuple[int | None, str] = (None, "")
        self._shown = 0

    def gauges(self) -> Gauges:
        """Number of pictures shown."""
        return {"shown": float(self._shown)}

    def process(self, message: Incoming) -> Iterator[messages.Message]:
        """Shows a frame; keeps faces and emotions for the next frame."""
        match message:
            case messages.VideoFrame():
                self._show(message)
            case messages.Faces(faces=faces):
                self._faces = faces
            case schema.UtteranceEvent() | schema.Provisional():
                words = f"{message.emotion.label} {message.emotion.confidence:.0%}"
                self._answer = (message.modalities.visual.face, words)
        yield from ()

    def flush(self) -> Iterator[messages.Message]:
        """Closes the window."""
        cv2.destroyAllWindows()
        yield from ()

    def _show(self, message: messages.VideoFrame) -> None:
        pixels = np.frombuffer(message.pixels, np.uint8).reshape(message.height, message.width, 3)
        cv2.imshow(WINDOW, self.draw(pixels))
        cv2.waitKey(1)
        self._shown += 1

    def draw(self, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> Any:
        """A copy of the picture (BGR uint8 [h, w, 3]) with boxes, identities and the emotion."""
        picture = pixels.copy()
        used, words = self._answer
        for face in self._faces:
            x, y, width, height = face.box
            cv2.rectangle(picture, (x, y), (x + width, y + height), _LINE, 2)
            label = f"face {face.track}" + (f": {words}" if face.track == used else "")
            _write(picture, label, (x, max(18, y - 8)))
        if words and all(face.track != used for face in self._faces):
            _write(picture, words, (12, picture.shape[0] - 14))
        return picture


def _write(picture: Any, words: str, position: tuple[int, int]) -> None:
    cv2.putText(picture, words, position, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 4, cv2.LINE_AA)
    cv2.putText(picture, words, position, cv2.FONT_HERSHEY_SIMPLEX, 0.6, _TEXT, 1, cv2.LINE_AA)
