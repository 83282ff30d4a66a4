"""The faces in view, at most ten times a second: what they look like, and which of them speaks."""

import numpy as np
import pytest

from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.recognise.face_stream import FaceStream


def face(track: int, mouth: float = 0.0, label: str = "joy", encoded: bool = True) -> messages.Face:
    shares = np.full(7, 0.05, np.float32)
    shares[EMOTIONS.index(label)] = 0.7
    features = np.concatenate([np.zeros(64, np.float32), np.log(shares)])
    return messages.Face(track, (64, 48, 128, 96), features.tobytes() if encoded else b"", mouth)


def frame(time: float, *faces: messages.Face) -> messages.Faces:
    return messages.Faces(time, list(faces), width=640, height=480)


def test_box_track_and_expression_are_those_of_the_picture() -> None:
    event = FaceStream("s").look(frame(2.0, face(3), face(4, encoded=False)), speaking=False)
    assert event is not None
    assert (event.session, event.time) == ("s", 2.0)
    first, second = event.faces
    assert (first.track, second.track) == (3, 4)
    assert first.box == (0.1, 0.1, 0.2, 0.2)
    assert first.probabilities is not None
    assert first.probabilities["joy"] == pytest.approx(0.7, abs=1e-3)
    assert sum(first.probabilities.values()) == pytest.approx(1.0, abs=1e-3)
    assert second.probabilities is None


def test_a_box_beyond_the_picture_is_cut_at_its_edges() -> None:
    wide = messages.Face(1, (-64, 400, 128, 200), b"")
    event = FaceStream("s").look(frame(0.0, wide), speaking=False)
    assert event is not None
    x, y, width, height = event.faces[0].box
    assert (x, width) == (0.0, 0.1)
    assert y + height == pytest.approx(1.0)


def test_there_are_ten_a_second_at_most() -> None:
    stream = FaceStream("s")
    events = [stream.look(frame(n / 25, face(1)), speaking=False) for n in range(250)]
    times = [event.time for event in events if event is not None]
    assert len(times) == 100
    assert max(np.bincount(np.floor(times).astype(int))) <= 10


def test_nobody_in_view_is_an_event_too() -> None:
    event = FaceStream("s").look(frame(1.0), speaking=True)
    assert event is not None
    assert event.faces == []


def speaking(mouths: list[tuple[float, ...]], speech: bool = True) -> list[int]:
    """The tracks that speak at the end, given the movements of the mouths in each picture."""
    stream = FaceStream("s")
    event = None
    for number, moved in enumerate(mouths):
        faces = [face(track, mouth) for track, mouth in enumerate(moved)]
        event = stream.look(frame(number / 10, *faces), speaking=speech)
    assert event is not None
    return [seen.track for seen in event.faces if seen.speaks]


def test_the_face_whose_mouth_moves_speaks_if_somebody_does() -> None:
    assert speaking([(0.1, 6.0)] * 5) == [1]
    assert speaking([(6.0,)] * 5) == [0]
    assert speaking([(0.1, 6.0)] * 5, speech=False) == []
    assert speaking([(5.0, 6.0)] * 5) == []
    assert speaking([(0.1, 0.1)] * 5) == []
    assert speaking([(0.1, 6.0)] * 5 + [(6.0, 0.1)] * 8) == [0]
