"""Frames become faces with identity and features; the real detector sees who is in the picture."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_media import ffmpeg
from numpy.typing import NDArray

from gscon_live.model.encoders.face.face_detector import FaceDetector
from gscon_live.model.encoders.face.face_encoder import FaceEncoder
from gscon_live.realtime import sample
from gscon_live.realtime.capture.recording import RecordingSource
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.settings import Recording
from gscon_live.realtime.recognise.face_memory import FaceMemory
from gscon_live.realtime.sample.make import SCRIPT
from gscon_live.realtime.watch.watcher import (
    CAMERA_WIDTH,
    EMPTY_FRAMES,
    EMPTY_INTERVAL,
    FULL_SEARCH_INTERVAL,
    MAX_FACES,
    MOST_MOUTHS,
    RECORDING_WIDTH,
    Watcher,
)

Frame = NDArray[np.uint8]


class Found(NamedTuple):
    x: int
    y: int
    width: int
    height: int


class Given:
    """A detector that finds what it is told."""

    def __init__(self, *frames: list[Found]) -> None:
        self.frames = list(frames)
        self.shapes: list[tuple[int, ...]] = []

    def detect(self, frame: Frame, near: Sequence[Found] = ()) -> Sequence[Found]:
        self.shapes.append(frame.shape)
        return self.frames.pop(0)


class Room:
    """A detector that finds who is there, and near known faces only those."""

    def __init__(self) -> None:
        self.there: list[Found] = []

    def detect(self, frame: Frame, near: Sequence[Found] = ()) -> Sequence[Found]:
        return [one for one in self.there if not near or one in near]


class Corner:
    """An encoder whose features are the crop's first pixels."""

    def crop(self, frame: Frame, box: tuple[int, int, int, int]) -> Frame:
        return frame[box[1] : box[1] + 2, box[0] : box[0] + 2, 0]

    def encode(self, crops: Frame) -> NDArray[np.float32]:
        return crops.reshape(len(crops), -1).astype(np.float32)


def frame(time: float, width: int = 640, height: int = 480) -> messages.VideoFrame:
    pixels = np.arange(height * width * 3, dtype=np.uint32).astype(np.uint8)
    return messages.VideoFrame(time, width, height, pixels.tobytes())


def seen(watcher: Watcher, time: float) -> list[messages.Face]:
    (faces,) = watcher.process(frame(time))
    assert isinstance(faces, messages.Faces)
    assert faces.time == time
    return faces.faces


def test_each_face_has_its_own_features() -> None:
    watcher = Watcher(Given([Found(10, 20, 90, 90), Found(300, 40, 60, 60)]), Corner(), 32)
    first, second = seen(watcher, 0.5)
    assert (first.track, first.box, second.track, second.box) == (
        1,
        (10, 20, 90, 90),
        2,
        (300, 40, 60, 60),
    )
    picture = np.frombuffer(frame(0).pixels, np.uint8).reshape(480, 640, 3)
    for one in (first, second):
        x, y = one.box[:2]
        wanted = picture[y : y + 2, x : x + 2, 0].reshape(-1).astype(np.float32)
        assert one.features == wanted.tobytes()


def test_an_empty_picture_is_said_to_be_empty() -> None:
    watcher = Watcher(Given([], []), Corner(), 32)
    assert seen(watcher, 0.0) == []
    assert seen(watcher, 0.1) == []
    assert watcher.gauges() == {"faces": 0.0, "frames": 2.0}


def test_small_faces_are_left_out_and_so_are_too_many() -> None:
    many = [Found(60 * n, 0, 50 - n, 50) for n in range(8)]
    watcher = Watcher(Given([Found(0, 0, 33, 33), Found(200, 0, 31, 60)], many), Corner(), 32)
    assert [one.box[2] for one in seen(watcher, 0.0)] == [33]
    encoded = [one.box[2] for one in seen(watcher, 9.0) if one.features]
    assert encoded == [50, 49, 48, 47][:MAX_FACES]


@pytest.mark.fault
def test_faces_that_are_not_compared_are_counted() -> None:
    """More faces than are compared: the event says how many were left out."""
    crowd = [Found(40 * n, 0, 60 - n, 60) for n in range(MOST_MOUTHS + 4)]
    (faces,) = Watcher(Given(crowd), Corner(), 32).process(frame(9.0))
    assert isinstance(faces, messages.Faces)
    assert len(faces.faces) == MOST_MOUTHS
    assert faces.left_out == 4


@pytest.mark.parametrize(
    ("face", "shown", "full", "setting", "remedy"),
    [
        (24, 640, 1280, RECORDING_WIDTH, "recording.max_width=1280"),
        (24, 640, 3840, RECORDING_WIDTH, "recording.max_width=1280"),
        (24, 640, 900, RECORDING_WIDTH, "recording.max_width=900"),
        (12, 640, 3840, RECORDING_WIDTH, "recording.max_width=1920"),
        (24, 640, 640, RECORDING_WIDTH, "closer"),
        (24, 640, 700, RECORDING_WIDTH, "closer"),
        (24, 640, 640, CAMERA_WIDTH, "camera.width=1280"),
        (9, 640, 640, CAMERA_WIDTH, "closer"),
    ],
)
def test_a_face_that_is_too_small_comes_with_what_helps(
    face: int, shown: int, full: int, setting: str, remedy: str
) -> None:
    watcher = Watcher(Given([Found(0, 0, face, 30), Found(50, 0, 8, 8)]), Corner(), 32, setting)
    picture = messages.VideoFrame(0.0, shown, 4, bytes(shown * 12), full)
    (faces,) = watcher.process(picture)
    assert isinstance(faces, messages.Faces)
    assert (faces.faces, faces.too_small) == ([], face)
    assert remedy in faces.remedy


@pytest.mark.fault
def test_a_small_face_in_a_wide_recording_is_named_with_the_setting_that_helps(
    tmp_path: Path,
) -> None:
    """A real face, 50 pixels wide in 1280: named as too small, with the setting.

    A real face, about 50 pixels wide in a picture of 1280: the setting that is named helps.
    """
    far = tmp_path / "far.mkv"
    ffmpeg("-ss", "3", "-t", "2", "-i", sample.CONVERSATION, "-vf",
           "scale=640:360,scale=iw*0.48:-2,pad=1280:720:400:200:gray", "-an", "-c:v", "mpeg4",
           "-q:v", "2", far)  # fmt: skip

    def reason(settings: Recording) -> str | None:
        source = RecordingSource(far, settings, frame_rate=5)
        watcher = Watcher(FaceDetector(), FaceEncoder(), 32)
        memory = FaceMemory()
        source.open()
        while read := source.read():
            for message in read:
                for faces in watcher.process(message):
                    if isinstance(faces, messages.Faces):
                        memory.add(faces)
        source.close()
        return memory.look(0, 2).reason

    told = reason(Recording())
    assert told is not None
    assert re.fullmatch(r"face too small \(2\d px\); recording\.max_width=1280", told)
    assert reason(Recording(max_width=1280)) is None


def test_who_comes_in_is_seen_soon_and_who_goes_is_missed_at_once() -> None:
    room = Room()
    watcher = Watcher(room, Corner(), 32)
    ada, ben = Found(10, 10, 80, 80), Found(400, 10, 70, 70)
    for time, there in (
        (0.0, [ada]),
        (0.1, [ada, ben]),
        (1.0, [ada, ben]),
        (1.1, [ben]),
        (2.0, []),
    ):
        room.there = there
        for number in range(FULL_SEARCH_INTERVAL):
            faces = seen(watcher, time + number / 100)
            known = [one for one in there if one != ben or time != 0.1 or len(faces) == 2]
            assert [one.box for one in faces] == [tuple(one) for one in known]
        assert len(faces) == len(there)


@given(
    rate=st.sampled_from([1, 5, 15, 30, 60]),
    came=st.integers(0, 200),
    went=st.integers(0, 200),
    start=st.floats(0, 1e5),
)
def test_who_comes_into_an_empty_room_is_seen_soon_at_any_rate(
    rate: int, came: int, went: int, start: float
) -> None:
    room, ada = Room(), Found(10, 10, 80, 80)
    watcher = Watcher(room, Corner(), 32)
    for number in range(went + 20):
        there = came <= number < went
        room.there = [ada] if there else []
        found = seen(watcher, start + number / rate)
        late = there and not found
        assert there or not found
        assert not late or number / rate < came / rate + EMPTY_INTERVAL + 1 / rate
        assert not late or came >= EMPTY_FRAMES


def test_an_empty_room_is_searched_now_and_then() -> None:
    detector = Given(*([] for _ in range(100)))
    watcher = Watcher(detector, Corner(), 32)
    for number in range(100):
        assert seen(watcher, number / 8) == []
    assert len(detector.shapes) == EMPTY_FRAMES + (100 - EMPTY_FRAMES) // 3
    assert watcher.gauges()["frames"] == 100.0


def test_pictures_of_any_shape_are_read() -> None:
    given = Given([])
    list(Watcher(given, Corner(), 32).process(frame(0.0, 320, 200)))
    assert given.shapes == [(200, 320, 3)]


def test_marks_pass_as_its_own_and_losses_as_they_are() -> None:
    watcher = Watcher(Given(), Corner(), 32)
    lost = messages.Dropped(1.0, "frames", 3, 0.0, "the camera was gone")
    other = messages.Dropped(1.0, "audio", 3, 0.1, "the segmenter reports it")
    given = [messages.Mark(1.0, "camera"), lost, other, messages.End("camera", 2.0)]
    given.append(messages.Restarted("camera"))
    made = [one for message in given for one in watcher.process(message)]
    assert made == [messages.Mark(1.0, "watch"), lost]
    assert list(watcher.flush()) == []


def test_a_reset_forgets_who_was_there() -> None:
    watcher = Watcher(Given([Found(0, 0, 50, 50)], [Found(300, 0, 50, 50)]), Corner(), 32)
    assert [one.track for one in seen(watcher, 0.0)] == [1]
    watcher.reset()
    assert [one.track for one in seen(watcher, 0.1)] == [1]
    assert watcher.gauges()["frames"] == 1.0


@pytest.fixture(scope="module")
def watched() -> tuple[list[messages.Faces], list[messages.Cue]]:
    """The faces in the sample conversation at 2.5 frames a second, and its captions."""
    source = RecordingSource(sample.CONVERSATION, Recording(), frame_rate=2.5)
    watcher = Watcher(FaceDetector(), FaceEncoder(), 32)
    source.open()
    faces: list[messages.Faces] = []
    cues: list[messages.Cue] = []
    while read := source.read():
        for message in read:
            if isinstance(message, messages.Cue):
                cues.append(message)
            elif isinstance(message, messages.VideoFrame):
                faces += [
                    one for one in watcher.process(message) if isinstance(one, messages.Faces)
                ]
    source.close()
    return faces, cues


def test_the_person_of_the_conversation_is_seen_when_there(
    watched: tuple[list[messages.Faces], list[messages.Cue]],
) -> None:
    faces, cues = watched
    assert len(faces) > 100
    for line, cue in zip(SCRIPT, cues, strict=True):
        counts = [len(one.faces) for one in faces if cue.start <= one.time <= cue.end]
        assert len(counts) > 4
        if line.face:
            assert np.mean([count == 1 for count in counts]) > 0.8
        else:
            assert sum(counts) == 0


def test_the_person_has_one_identity_while_in_view(
    watched: tuple[list[messages.Faces], list[messages.Cue]],
) -> None:
    faces, cues = watched
    stretches: list[set[int]] = []
    before = False
    for line, cue in zip(SCRIPT, cues, strict=True):
        inside = [one for one in faces if cue.start <= one.time <= cue.end]
        if line.face and not before:
            stretches.append(set())
        if line.face:
            stretches[-1] |= {face.track for one in inside for face in one.faces}
        before = line.face
    # In view four times, and away for at least a line in between: each time somebody new.
    assert [len(one) for one in stretches] == [1, 1, 1, 1]
    assert len(set.union(*stretches)) == 4


def test_faces_lie_in_the_picture_and_have_features_of_the_encoders_length(
    watched: tuple[list[messages.Faces], list[messages.Cue]],
) -> None:
    for one in watched[0]:
        for face in one.faces:
            x, y, width, height = face.box
            assert 0 <= x < x + width <= 640
            assert 0 <= y < y + height <= 360
            features = np.frombuffer(face.features, np.float32)
            assert features.shape == (FaceEncoder.dim,)
            assert np.all(np.isfinite(features))


@pytest.mark.fault
def test_nine_faces_of_which_the_fifth_largest_talks() -> None:
    """Nine faces are in view and the fifth largest talks: all mouths are compared, and its face is
    read."""
    boxes = [Found(60 * number, 10, 50 - number, 50 - number) for number in range(9)]

    class Talking(Corner):
        """Crops of 32 pixels in which the mouth of the fifth largest face changes."""

        count = 0

        def crop(self, frame: Frame, box: tuple[int, int, int, int]) -> Frame:
            picture = np.full((32, 32), 100, np.uint8)
            if box[2] == boxes[4].width:
                self.count += 1
                picture[24:, 10:22] = 200 * (self.count % 2)
            picture[0, 0] = box[2]
            return picture

    memory = FaceMemory()
    watcher = Watcher(Given(*[boxes] * 10), Talking(), min_face=20)
    for number in range(10):
        (faces,) = watcher.process(frame(number / 10))
        assert isinstance(faces, messages.Faces)
        assert len([face for face in faces.faces if face.features]) == MAX_FACES
        memory.add(faces)
    view = memory.look(0.0, 1.0)
    assert view.faces == 9
    assert view.features is not None
    assert set(view.features[:, 0]) == {float(boxes[4].width)}
