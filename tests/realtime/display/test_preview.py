"""The preview draws what the pipeline sees, on a copy of the picture."""

import cv2
import msgspec
import numpy as np
import pytest
from made_events import conversation

from gscon_live.common.errors import InputError
from gscon_live.realtime.display import preview
from gscon_live.realtime.events import schema
from gscon_live.realtime.pipeline import messages


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The pictures that the window gets, where there is no screen."""
    pictures: list[np.ndarray] = []
    monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
    monkeypatch.setattr(cv2, "imshow", lambda _, picture: pictures.append(picture))
    monkeypatch.setattr(cv2, "waitKey", lambda _: -1)
    monkeypatch.setattr(cv2, "destroyAllWindows", lambda: None)
    return pictures


def picture() -> messages.VideoFrame:
    return messages.VideoFrame(0.0, 320, 240, bytes(320 * 240 * 3))


def face(track: int) -> messages.Faces:
    return messages.Faces(0.0, [messages.Face(track, (100, 80, 60, 70), b"")])


def spoken(track: int | None) -> schema.UtteranceEvent:
    made = next(event for event in conversation(1) if isinstance(event, schema.UtteranceEvent))
    visual = msgspec.structs.replace(made.modalities.visual, face=track)
    modalities = msgspec.structs.replace(made.modalities, visual=visual)
    return msgspec.structs.replace(made, modalities=modalities)


def show(stage: preview.Preview, *taken: object) -> None:
    for event in taken:
        assert list(stage.process(event)) == []  # type: ignore[arg-type]


def test_a_picture_without_faces_is_shown_as_it_is(shown: list[np.ndarray]) -> None:
    stage = preview.Preview()
    show(stage, picture())
    assert not shown[0].any()
    assert stage.gauges() == {"shown": 1.0}


def test_a_face_gets_its_box(shown: list[np.ndarray]) -> None:
    stage = preview.Preview()
    show(stage, face(3), picture())
    edge = shown[0][80, 100:160]
    assert edge.any(axis=1).all()
    assert not shown[0][100:140, 110:150].any()


def test_the_emotion_stands_at_the_face_it_was_read_from(shown: list[np.ndarray]) -> None:
    stage = preview.Preview()
    show(stage, face(3), picture(), spoken(3), picture(), spoken(None), picture(), spoken(7))
    show(stage, picture())
    plain, at_face, without_face, other_face = shown
    assert (at_face[60:80] != plain[60:80]).any()
    assert (at_face[200:] == plain[200:]).all()
    for elsewhere in (without_face, other_face):
        assert (elsewhere[60:80] == plain[60:80]).all()
        assert elsewhere[200:].any()


def test_the_picture_itself_is_not_drawn_on(shown: list[np.ndarray]) -> None:
    stage = preview.Preview()
    show(stage, face(1))
    pixels = np.zeros((240, 320, 3), np.uint8)
    assert stage.draw(pixels).any()
    assert not pixels.any()


def test_after_a_reset_nothing_is_left(shown: list[np.ndarray]) -> None:
    stage = preview.Preview()
    show(stage, face(1), spoken(1))
    stage.reset()
    show(stage, picture())
    assert not shown[0].any()


def test_no_screen_is_the_users_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise cv2.error("no display")

    monkeypatch.setattr(cv2, "namedWindow", refuse)
    with pytest.raises(InputError, match="--preview"):
        preview.Preview()
