"""What is kept of a session is what was heard and seen, at the times it was."""

from pathlib import Path

import av
import numpy as np
import pytest

from gscon_live.common.errors import InputError
from gscon_live.realtime.capture.recorder import Recorder
from gscon_live.realtime.pipeline import messages

RATE = 16_000
BLOCK = 320


def tone(seconds: float) -> np.ndarray:
    return (0.3 * np.sin(np.arange(round(seconds * RATE)) * 0.2)).astype(np.float32)


def hear(recorder: Recorder, samples: np.ndarray, start: float) -> None:
    for first in range(0, len(samples), BLOCK):
        block = samples[first : first + BLOCK]
        chunk = messages.AudioChunk(start + first / RATE, block.tobytes())
        assert list(recorder.process(chunk)) == []


def see(recorder: Recorder, time: float, grey: int, size: tuple[int, int] = (64, 48)) -> None:
    width, height = size
    list(
        recorder.process(
            messages.VideoFrame(time, width, height, bytes([grey]) * width * height * 3)
        )
    )


def sound(path: Path) -> np.ndarray:
    with av.open(str(path)) as media:
        frames = [frame.to_ndarray().ravel() for frame in media.decode(audio=0)]
    return np.concatenate(frames).astype(np.float32) / 32767


def pictures(path: Path) -> list[tuple[float, float]]:
    """Time in s and mean grey of each picture."""
    with av.open(str(path)) as media:
        return [
            (float(f.time), float(f.to_ndarray(format="gray").mean()))
            for f in media.decode(video=0)
        ]


def test_sound_is_kept_without_loss_and_pictures_at_their_times(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "new", True, True, (64, 48))
    samples = tone(2.0)
    times = [0.05, 0.16, 0.24, 1.5, 1.61]
    for number, time in enumerate(times):
        see(recorder, time, 40 * number)
    hear(recorder, samples, 0.0)
    assert recorder.gauges() == {"seconds": 2.0, "pictures": 5.0}
    list(recorder.flush())
    path = tmp_path / "new/session.mkv"
    assert np.abs(sound(path) - samples).max() < 1e-4
    kept = pictures(path)
    assert [time for time, _ in kept] == pytest.approx(times, abs=0.002)
    assert [grey for _, grey in kept] == pytest.approx([0, 40, 80, 120, 160], abs=4)


@pytest.mark.fault
def test_a_recording_is_for_its_owner_alone(tmp_path: Path) -> None:
    """`--record DIR`: folder 700, files 600."""
    recorder = Recorder(tmp_path / "new", True, False, (64, 48))
    hear(recorder, tone(0.2), 0.0)
    recorder.close()
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "session.mkv").stat().st_mode & 0o777 == 0o600


def test_lost_sound_is_silence_so_that_times_stay_true(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, True, False, (64, 48))
    hear(recorder, tone(0.5), 0.5)
    hear(recorder, tone(0.5), 2.0)
    recorder.close()
    kept = sound(tmp_path / "session.mkv")
    assert len(kept) == pytest.approx(2.5 * RATE, abs=BLOCK)
    assert not kept[: round(0.49 * RATE)].any()
    assert not kept[round(1.01 * RATE) : round(1.99 * RATE)].any()
    assert kept[round(2.01 * RATE) :].std() > 0.1


def test_sound_begins_when_it_was_first_heard(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, True, False, (64, 48))
    hear(recorder, tone(0.5), 0.06)
    recorder.close()
    kept = sound(tmp_path / "session.mkv")
    assert len(kept) == round(0.56 * RATE)
    assert not kept[: round(0.06 * RATE)].any()


def test_times_that_go_back_do_not_break_the_file(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, False, True, (64, 48))
    for time in (0.1, 0.3, 0.2, 0.4):
        see(recorder, time, 100)
    recorder.close()
    assert [time for time, _ in pictures(tmp_path / "session.mkv")] == pytest.approx(
        [0.1, 0.3, 0.4], abs=0.002
    )


def test_pictures_of_another_size_are_fitted(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, False, True, (65, 49))
    see(recorder, 0.1, 100, (64, 48))
    see(recorder, 0.2, 100, (32, 24))
    recorder.close()
    with av.open(str(tmp_path / "session.mkv")) as media:
        assert {(f.width, f.height) for f in media.decode(video=0)} == {(64, 48)}


@pytest.mark.fault
@pytest.mark.parametrize("size", [(64, 36), (36, 48), (640, 360), (16, 9)])
def test_pictures_of_another_shape_are_not_stretched(tmp_path: Path, size: tuple[int, int]) -> None:
    """Pictures of another shape than was asked for: fitted, not stretched."""
    recorder = Recorder(tmp_path, False, True, (64, 48))
    see(recorder, 0.1, 200, size)
    recorder.close()
    with av.open(str(tmp_path / "session.mkv")) as media:
        (frame,) = media.decode(video=0)
        bright = frame.to_ndarray(format="gray") > 100
    height, width = np.ptp(np.argwhere(bright), axis=0) + 1
    assert width == 64 or height == 48
    assert width / height == pytest.approx(size[0] / size[1], rel=0.06)


def test_what_a_killed_recorder_leaves_can_be_read(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, True, True, (64, 48))
    for second in range(6):
        see(recorder, second + 0.05, 100)
        hear(recorder, tone(1.0), float(second))
    left = tmp_path / "left.mkv"
    left.write_bytes((tmp_path / "session.mkv").read_bytes())
    recorder.close()
    assert len(sound(left)) > 3 * RATE


def test_nothing_is_overwritten_and_a_restart_writes_a_second_part(tmp_path: Path) -> None:
    first = Recorder(tmp_path, True, False, (64, 48))
    hear(first, tone(0.2), 0.0)
    first.close()
    first.close()
    before = (tmp_path / "session.mkv").read_bytes()
    with pytest.raises(InputError, match=r"holds session\.mkv already"):
        Recorder(tmp_path, True, False, (64, 48))
    Recorder(tmp_path, True, False, (64, 48), part=2).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["session-2.mkv", "session.mkv"]
    assert (tmp_path / "session.mkv").read_bytes() == before


def test_a_folder_that_cannot_be_made_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="--record"):
        Recorder(tmp_path / "file" / "deep", True, False, (64, 48))


@pytest.mark.parametrize("count", [2, 3, 8])
def test_each_channel_is_kept(tmp_path: Path, count: int) -> None:
    recorder = Recorder(tmp_path, True, False, (64, 48), channels=count)
    samples = np.stack([tone(1.0) / (number + 1) for number in range(count)])
    for start in (0.0, 2.0):
        chunk = messages.AudioChunk(start, samples.tobytes(), count)
        assert list(recorder.process(chunk)) == []
    recorder.close()
    with av.open(str(tmp_path / "session.mkv")) as media:
        assert media.streams.audio[0].codec_context.layout.nb_channels == count
        frames = [frame.to_ndarray().reshape(-1, count) for frame in media.decode(audio=0)]
    kept = np.concatenate(frames).T / 32767
    gap = np.zeros((count, RATE))
    assert np.abs(kept - np.concatenate([samples, gap, samples], axis=1)).max() < 1e-4


def test_more_channels_than_a_file_holds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="keeps 8 channels, not 9"):
        Recorder(tmp_path / "new", True, False, (64, 48), channels=9)
    assert not (tmp_path / "new").exists()
