"""The faces in view as public events, while nobody waits for an utterance."""

import numpy as np
from numpy.typing import NDArray

from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime.events import schema
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.picture_rate import PictureRate
from gscon_live.realtime.recognise.face_memory import MIN_MOVEMENT, SPEAKING_FACTOR

#: Most events per second of media time.
RATE = 10.0
#: What remains of a mouth's movement from frame to frame.
_REMAINS = 0.8


class FaceStream:
    """Turns frames with faces into events, at most ten a second.

    A face speaks if somebody does, and if its mouth has moved most in the last frames, clearly more
    than any other; a face that is alone in view only has to move its mouth.

    Args:
        session: the session's name, for the events.
    """

    def __init__(self, session: str) -> None:
        self._session = session
        self._rate = PictureRate(RATE)
        self._moved: dict[int, float] = {}

    def look(self, frame: messages.Faces, speaking: bool) -> schema.FaceEvent | None:
        """The event of a frame, or None if none is due or the size of the picture is not known.

        Args:
            frame: the faces; frames come in the order of their times.
            speaking: whether somebody speaks.
        """
        self._moved = {
            face.track: _REMAINS * self._moved.get(face.track, 0.0) + (1 - _REMAINS) * face.mouth
            for face in frame.faces
        }
        if not frame.width or not frame.height or not self._rate.takes(frame.time):
            return None
        speaker = self._speaker() if speaking else None
        return schema.FaceEvent(
            schema=schema.SCHEMA,
            session=self._session,
            seq=0,
            time=round(frame.time, 3),
            faces=[
                schema.TrackedFace(
                    track=face.track,
                    box=_shares(face.box, frame.width, frame.height),
                    probabilities=_probabilities(face.features),
                    speaks=face.track == speaker,
                )
                for face in frame.faces
            ],
        )

    def _speaker(self) -> int | None:
        ranked = sorted(self._moved.items(), key=lambda pair: -pair[1])
        if not ranked or ranked[0][1] <= MIN_MOVEMENT * (1 - _REMAINS):
            return None
        if len(ranked) > 1 and ranked[0][1] <= SPEAKING_FACTOR * ranked[1][1]:
            return None
        return ranked[0][0]


def _shares(
    box: tuple[int, int, int, int], width: int, height: int
) -> tuple[float, float, float, float]:
    """A box in pixels as shares of the picture, cut at its edges."""
    left, right = max(0, box[0]) / width, min(width, box[0] + box[2]) / width
    top, bottom = max(0, box[1]) / height, min(height, box[1] + box[3]) / height
    x, y, across, down = (round(share, 4) for share in (left, top, right - left, bottom - top))
    return x, y, max(across, 0.0), max(down, 0.0)


def _probabilities(features: bytes) -> dict[str, float] | None:
    """The face encoder's own answer: the last seven features are its log-probabilities."""
    if not features:
        return None
    logs: NDArray[np.float32] = np.frombuffer(features, np.float32)[-len(EMOTIONS) :]
    shares = np.exp(logs - logs.max())
    shares /= shares.sum()
    return {name: round(float(share), 4) for name, share in zip(EMOTIONS, shares, strict=True)}
