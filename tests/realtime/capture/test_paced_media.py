"""A recording is given as if it happened now."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sessions import cut

from gscon_live.common.errors import InputError
from gscon_live.realtime.capture.paced_media import PacedMedia, Part, in_real_time


class Clock:
    """Stands still until somebody sleeps."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_sound_and_pictures_come_in_the_order_of_their_capture(tmp_path: Path) -> None:
    media = PacedMedia(cut(tmp_path / "short.mkv", 3.0), "short.mkv", 320, 10.0)
    parts = list(media.parts())
    media.close()
    due = [part.time + part.length for part in parts]
    assert due == sorted(due)
    pictures = [part.time for part in parts if part.kind == "picture"]
    assert [int(time * 10 + 1e-6) for time in pictures] == list(range(len(pictures)))


def test_each_part_is_given_when_it_has_been_captured() -> None:
    clock = Clock()
    parts = [Part(7.0 + n * 0.5, "sound", b"", 0.5) for n in range(4)]
    given = [(clock(), at) for at, _ in in_real_time(iter(parts), clock, clock.sleep)]
    assert given == [(50.0 + n * 0.5, 49.5 + n * 0.5) for n in range(4)]


def test_a_stream_that_stands_still_is_late_from_then_on() -> None:
    clock = Clock()

    def stream() -> Iterator[Part]:
        yield Part(0.0, "sound", b"", 0.5)
        clock.now += 10.0
        yield Part(0.5, "sound", b"", 0.5)
        yield Part(1.0, "sound", b"", 0.5)

    times = [at for at, _ in in_real_time(stream(), clock, clock.sleep)]
    assert times == pytest.approx([49.5, 59.5, 60.0])


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no sound")
    with pytest.raises(InputError, match="give a file with sound"):
        PacedMedia(path, "notes.txt", 320, 10.0)
