"""Recordings that were joined, or whose clock starts anew or jumps, are read to their end."""

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from made_media import RATE, click, ffmpeg, make, only, replay, sound

from gscon_live.realtime.capture.time_stamps import BACK, TimeStamps
from gscon_live.realtime.pipeline.messages import AudioChunk, Cue, Dropped, Mark, VideoFrame

STEADY = [n / 25 for n in range(75)]  # 3 s


def clicks(samples: np.ndarray) -> list[float]:
    """Times in seconds of the clicks."""
    loud = np.flatnonzero(np.abs(samples) > 0.3) / RATE
    return [float(time) for n, time in enumerate(loud) if n == 0 or time - loud[n - 1] > 0.1]


def join(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def later(path: Path, seconds: float, name: str) -> Path:
    """The same recording with time stamps that are `seconds` later."""
    ffmpeg("-i", path, "-c", "copy", "-output_ts_offset", str(seconds), path.with_name(name))
    return path.with_name(name)


def began(path: Path) -> float:
    """The first time stamp of the sound, in seconds, as the file has it."""
    with av.open(str(path)) as container:
        packet = next(container.demux(audio=0))
        return float(packet.pts * packet.time_base)


def in_order(messages: list) -> None:  # type: ignore[type-arg]
    reached = 0.0
    for message in messages:
        if isinstance(message, Mark):
            assert message.time >= reached
            reached = message.time
        elif isinstance(message, AudioChunk | VideoFrame):
            assert message.time >= reached


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of picture and sound in a TS file, a click at 1 s."""
    path = tmp_path_factory.mktemp("part") / "part.ts"
    return make(path, video=STEADY, audio=[click(3, [1.0], 48_000)], rate=48_000,
                codecs=("mpeg2video", "mp2"))  # fmt: skip


@pytest.mark.fault
@pytest.mark.parametrize("times", [2, 4])
def test_joined_broadcasts_are_read_on(part: Path, tmp_path: Path, times: int) -> None:
    """`cat a.ts a.ts > b.ts`: read on, and said."""
    source, messages = replay(join(tmp_path / "joined.ts", *[part] * times))
    found = clicks(sound(messages))
    assert len(found) == times
    steps = np.diff(found)
    assert np.all(np.abs(steps - 3.0) < 0.15)
    frames = only(messages, VideoFrame)
    assert len(frames) == pytest.approx(30 * times, abs=2 * times)
    assert source.duration == pytest.approx(3.0 * times, abs=0.2 * times)
    assert max(np.diff([frame.time for frame in frames])) < 0.4
    (notice,) = source.notices
    assert "time stamps start anew" in notice
    assert notice.startswith("joined.ts: ")
    in_order(messages)


@pytest.mark.fault
@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.ogg", "libvorbis"), ("a.opus", "libopus"), ("a.mpg", "mp2"), ("a.mkv", "pcm_s16le")],
)
def test_joined_files_of_other_kinds_are_read_on(tmp_path: Path, name: str, codec: str) -> None:
    """`cat a.ogg a.ogg > b.ogg` and other kinds: read on, and said."""
    plain = make(tmp_path / "a.wav", audio=[click(3, [1.0], 48_000)], rate=48_000)
    path = tmp_path / name
    ffmpeg("-i", plain, "-c:a", codec, path)
    source, messages = replay(join(tmp_path / f"joined-{name}", path, path))
    first, second = clicks(sound(messages))
    assert second - first == pytest.approx(3.0, abs=0.1)
    assert len(sound(messages)) / RATE == pytest.approx(6.0, abs=0.2)
    assert source.duration == pytest.approx(6.0, abs=0.2)
    assert "start anew" in source.notices[0]


@pytest.fixture(scope="module")
def captioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of sound, a click and a caption at 1 s, another caption at 2 s."""
    folder = tmp_path_factory.mktemp("captioned")
    plain = make(folder / "a.wav", audio=[click(3, [1.0], 48_000)], rate=48_000)
    cues = folder / "cues.srt"
    cues.write_text(
        "1\n00:00:01,000 --> 00:00:01,500\nHello there.\n\n"
        "2\n00:00:02,000 --> 00:00:02,500\nGood bye.\n"
    )
    path = folder / "a.mkv"
    ffmpeg("-i", plain, "-i", cues, "-c:a", "pcm_s16le", "-c:s", "subrip", path)
    return path


@pytest.mark.fault
def test_captions_in_joined_recordings_move_with_their_sound(
    captioned: Path, tmp_path: Path
) -> None:
    """`cat a.mkv a.mkv > b.mkv` with captions inside: they move with the sound."""
    source, messages = replay(join(tmp_path / "b.mkv", captioned, captioned), captions="auto")
    cues = only(messages, Cue)
    assert [cue.text for cue in cues] == ["Hello there.", "Good bye."] * 2
    assert [cue.start for cue in cues] == pytest.approx([1.0, 2.0, 4.0, 5.0], abs=0.05)
    assert [cue.start for cue in cues[::2]] == pytest.approx(clicks(sound(messages)), abs=0.05)
    (notice,) = source.notices
    assert "start anew" in notice


@pytest.mark.fault
def test_of_three_joined_matroska_files_the_third_is_a_gap(captioned: Path, tmp_path: Path) -> None:
    """`cat a.mkv a.mkv a.mkv > b.mkv`: two are read, a `gap` with the seconds for the others."""
    source, messages = replay(join(tmp_path / "b.mkv", *[captioned] * 4))
    assert source.duration == pytest.approx(6.0, abs=0.1)
    (lost,) = only(messages, Dropped)
    assert lost.what == "audio"
    assert lost.seconds == pytest.approx(6.0, abs=0.1)
    assert "2 more recordings" in lost.reason


def test_sound_and_pictures_stay_together_after_a_join(part: Path, tmp_path: Path) -> None:
    alone = replay(part)[1]
    joined = replay(join(tmp_path / "joined.ts", part, part))[1]
    lag = clicks(sound(alone))[0] - only(alone, VideoFrame)[0].time
    # The first picture of the second part is the darkest one again.
    frames = [(f.time, np.frombuffer(f.pixels, np.uint8).mean()) for f in only(joined, VideoFrame)]
    second = min((frame for frame in frames if frame[0] > 2.5), key=lambda frame: frame[0])
    dark = [time for time, grey in frames if 2.9 < time < 3.3 and grey < 60]
    assert second[0] < 3.1
    assert clicks(sound(joined))[1] - dark[0] == pytest.approx(lag, abs=0.11)


@pytest.mark.fault
def test_a_jump_of_hours_is_a_gap_with_its_seconds(part: Path, tmp_path: Path) -> None:
    """Time stamps that jump by hours: a `gap` with the seconds."""
    far = later(part, 40_000, "far.ts")
    path = join(tmp_path / "jump.ts", part, far)
    source, messages = replay(path)
    first, second = clicks(sound(messages))
    assert second - first == pytest.approx(3.0, abs=0.15)
    assert source.duration == pytest.approx(6.0, abs=0.3)
    (gap,) = [drop for drop in only(messages, Dropped) if "jump" in drop.reason]
    assert gap.seconds == pytest.approx(began(far) - began(part) - 3, abs=0.2)
    assert gap.time == pytest.approx(3.0, abs=0.2)
    in_order(messages)


def test_a_pause_keeps_its_length(part: Path, tmp_path: Path) -> None:
    """A pause is silence of its length, in blocks as small as any other sound."""
    late = later(part, 30, "late.ts")
    path = join(tmp_path / "pause.ts", part, late)
    pause = began(late) - began(part)
    source, messages = replay(path)
    first, second = clicks(sound(messages))
    assert second - first == pytest.approx(pause, abs=0.05)
    assert source.filled == pytest.approx(pause - 3.0, abs=0.3)
    assert max(len(chunk.samples) for chunk in only(messages, AudioChunk)) <= 0.25 * RATE * 4
    assert not [drop for drop in only(messages, Dropped) if drop.what == "audio"]
    in_order(messages)


@pytest.mark.fault
def test_clocks_that_wrap_go_on(part: Path, tmp_path: Path) -> None:
    """A clock that wraps to zero: read on.

    The clock of a TS file has 33 bits: it starts at zero again after 26.5 hours.
    """
    wraps = later(part, 2**33 / 90_000 - 1.4 - 1.5, "wraps.ts")
    source, messages = replay(wraps)
    (found,) = clicks(sound(messages))
    assert found == pytest.approx(clicks(sound(replay(part)[1]))[0], abs=0.02)
    assert source.duration == pytest.approx(3.0, abs=0.1)
    twice = replay(join(tmp_path / "twice.ts", wraps, part, wraps))[1]
    assert len(clicks(sound(twice))) == 3


def _audio_with_hole(path: Path, hole: float) -> Path:
    """A second of sound, a hole, and another second, in a Matroska file."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for begin in (0.0, hole):
            for first in range(0, RATE, 1600):
                part = np.full((1, 1600), 8000, np.int16)
                frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
                frame.sample_rate, frame.pts = RATE, round(begin * RATE) + first
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.fault
def test_long_silence_takes_no_memory(tmp_path: Path) -> None:
    """A pause of a long time in the time stamps: silence in blocks; memory stays flat."""
    path = _audio_with_hole(tmp_path / "hole.mkv", 3000.0)
    # Its own process, as the peak of this one may be higher already.
    code = f"""
import resource
from pathlib import Path
from gscon_live.realtime.capture.recording import RecordingSource
from gscon_live.realtime.pipeline.messages import AudioChunk
from gscon_live.realtime.pipeline.settings import Recording
source = RecordingSource(Path({str(path)!r}), Recording(), captions="off")
source.open()
source.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
samples = 0
while found := source.read():
    samples += sum(len(m.samples) // 4 for m in found if isinstance(m, AudioChunk))
print(samples, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    samples, grown = map(int, done.stdout.split())
    assert samples / RATE == pytest.approx(3001, abs=0.5)
    unit = 1 if sys.platform == "darwin" else 1024
    assert grown * unit < 20 * 2**20  # as one block, the silence would take 190 MiB


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.floats(1.2, 30.0), min_size=1, max_size=6),
    offsets=st.lists(st.floats(0.0, 90_000.0), min_size=6, max_size=6),
    lead=st.floats(0.0, 0.4),
)
def test_parts_follow_each_other_whatever_their_clocks(
    lengths: list[float], offsets: list[float], lead: float
) -> None:
    """Two streams, the second one later in the file by `lead`, cut into parts by clocks."""
    starts = [0.0, *offsets]
    for length, start, following in zip(lengths, starts, starts[1:], strict=False):
        # A clock that goes back by a moment is an overlap, not a new clock.
        assume(not -3 * BACK < following - start - length < 0)
    stamps = TimeStamps(60.0)
    step = 0.1
    times: dict[int, list[float]] = {0: [], 1: []}
    for length, offset in zip(lengths, starts, strict=False):
        shown = np.arange(0, length - step / 2, step) + offset
        order = sorted([(t, 0, t) for t in shown] + [(t + lead, 1, t) for t in shown])
        for _, stream, time in order:
            stamps.add(stream, time, time, time + step)
            times[stream].append(time)
    moved = [np.array(times[s]) + stamps.shifts(s) for s in (0, 1)]
    for stream in moved:
        assert np.all(np.diff(stream) > 0)
        # Only a jump ahead that is short enough to be a pause leaves a hole.
        assert stream[-1] <= sum(lengths) + 61.0 * (len(lengths) - 1)
    assert np.allclose(moved[0], moved[1])
