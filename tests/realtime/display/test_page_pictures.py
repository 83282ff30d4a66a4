"""The page's pictures are those of the camera, and cost nothing while nobody looks."""

import cv2
import numpy as np

from gscon_live.realtime.display.page_pictures import PagePictures
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.visitor import Picture

FRAME = np.full((48, 64, 3), (30, 120, 220), np.uint8)


def test_a_frame_is_given_as_it_is_while_somebody_looks() -> None:
    given: list[Picture] = []
    awaited = False
    stage = PagePictures(lambda: awaited, given.append)
    message = messages.VideoFrame(1.5, 64, 48, FRAME.tobytes())
    assert list(stage.process(message)) == []
    assert given == []
    awaited = True
    assert list(stage.process(message)) == []
    (picture,) = given
    assert picture.at == 1.5
    pixels = cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(pixels.astype(int) - FRAME).max() < 8
    assert stage.gauges() == {"given": 1.0}
