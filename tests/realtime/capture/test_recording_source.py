"""What replay is promised of any recording: exact times, nothing lost silently, the same again."""

import os
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_media import RATE, click, ffmpeg, grid, make, number_of, only, replay, sound

from gscon_live.common.errors import InputError
from gscon_live.realtime.capture.recording import RecordingSource
from gscon_live.realtime.pipeline.messages import AudioChunk, Dropped, End, Mark, VideoFrame
from gscon_live.realtime.pipeline.settings import Recording

STEADY = [n / 25 for n in range(100)]  # 4 s


def time_of_click(samples: np.ndarray, after: float = 0.0) -> float:
    first = round(after * RATE)
    return (int(np.argmax(np.abs(samples[first:]) > 0.4)) + first) / RATE


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of picture and sound, a click at 1.5 s."""
    folder = tmp_path_factory.mktemp("plain")
    return make(folder / "plain.mkv", video=STEADY, audio=[click(4, [1.5])])


def test_sound_and_pictures_have_their_media_times(plain: Path) -> None:
    source, messages = replay(plain)
    samples = sound(messages)
    assert np.abs(samples - click(4, [1.5])).max() < 2 / 32768
    frames = only(messages, VideoFrame)
    expected = grid(STEADY, 10)
    assert [frame.time for frame in frames] == pytest.approx([STEADY[n] for n in expected])
    assert [number_of(frame, range(10)) for frame in frames] == [n % 10 for n in expected]
    assert source.duration == pytest.approx(4.0, abs=0.01)
    assert (source.has_audio, source.has_video, source.has_captions) == (True, True, False)
    assert source.description == "plain.mkv"
    assert isinstance(messages[-1], End)
    assert not only(messages, Dropped)


def test_a_mark_comes_every_half_second_and_nothing_earlier_follows(plain: Path) -> None:
    _, messages = replay(plain)
    reached = 0.0
    for message in messages:
        if isinstance(message, Mark):
            assert 0 < message.time - reached <= 0.5 + 1e-9
            reached = message.time
        else:
            assert message.time >= reached  # type: ignore[attr-defined]
    assert reached == pytest.approx(4.0, abs=0.01)


def test_sound_and_pictures_are_interleaved(plain: Path) -> None:
    _, messages = replay(plain)
    behind = {AudioChunk: 0.0, VideoFrame: 0.0}
    for message in messages:
        if type(message) in behind:
            behind[type(message)] = message.time  # type: ignore[attr-defined]
            assert abs(behind[AudioChunk] - behind[VideoFrame]) < 0.6


def test_every_replay_gives_the_same_messages_and_the_same_digest(plain: Path) -> None:
    first, second = replay(plain), replay(plain)
    assert first[1] == second[1]
    source = RecordingSource(plain, Recording(), captions="off", frame_rate=10)
    source.open()
    assert source.digest() == RecordingSource.digest(source)
    copied = plain.with_name("copied.mkv")
    data = plain.read_bytes()
    copied.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    other = RecordingSource(copied, Recording(), captions="off", frame_rate=10)
    other.path = copied
    assert other.digest() != source.digest()
    source.close()


@pytest.mark.parametrize(
    ("name", "codecs", "rate"),
    [
        ("a.mp4", ("libx264", "aac"), 44_100),
        ("a.mkv", ("libx264", "aac"), 48_000),
        ("a.webm", ("libvpx", "libopus"), 48_000),
        ("a.avi", ("mpeg4", "libmp3lame"), 44_100),
        ("a.mov", ("mpeg4", "pcm_s16le"), 32_000),
        ("a.ts", ("mpeg2video", "mp2"), 48_000),
    ],
)
def test_containers_and_codecs_agree_on_when_things_happen(
    tmp_path: Path, name: str, codecs: tuple[str, str], rate: int
) -> None:
    path = make(
        tmp_path / name, video=STEADY, audio=[click(4, [1.5, 3.0], rate)], rate=rate, codecs=codecs
    )
    source, messages = replay(path)
    samples = sound(messages)
    # Encoders without an edit list delay the sound by up to some 25 ms; so do players.
    assert time_of_click(samples) == pytest.approx(1.5, abs=0.05)
    assert time_of_click(samples, 2.5) - time_of_click(samples) == pytest.approx(1.5, abs=0.002)
    assert len(samples) / RATE == pytest.approx(4.0, abs=0.1)
    assert len(only(messages, VideoFrame)) == pytest.approx(40, abs=1)
    assert not only(messages, Dropped)
    assert source.duration == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.wav", "pcm_s16le"), ("a.mp3", "libmp3lame"), ("a.flac", "flac")]
)
def test_a_file_without_pictures_still_marks_the_time(
    tmp_path: Path, name: str, codec: str
) -> None:
    path = make(tmp_path / name, audio=[click(3, [1.0])], codecs=("mpeg4", codec))
    source, messages = replay(path)
    assert (source.has_audio, source.has_video) == (True, False)
    assert time_of_click(sound(messages)) == pytest.approx(1.0, abs=0.08)
    assert len(only(messages, Mark)) >= 6


def test_a_file_without_sound_still_marks_the_time(tmp_path: Path) -> None:
    source, messages = replay(make(tmp_path / "a.mkv", video=STEADY))
    assert (source.has_audio, source.has_video) == (False, True)
    assert len(only(messages, VideoFrame)) == 40
    assert len(only(messages, Mark)) >= 8


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp3", audio=[click(2)], codecs=("", "libmp3lame"), cover=True)
    source, messages = replay(path)
    assert (source.has_audio, source.has_video) == (True, False)
    assert not only(messages, VideoFrame)


def test_the_mean_of_both_channels_stays_within_full_scale(tmp_path: Path) -> None:
    path = tmp_path / "loud.wav"
    ffmpeg("-f", "lavfi", "-i", "sine=440:sample_rate=16000:duration=1,volume=17.5dB,"
           "pan=stereo|c0=c0|c1=c0", path)  # fmt: skip
    samples = sound(replay(path)[1])
    assert 0.85 < np.abs(samples).max() <= 1.0
    spectrum = np.abs(np.fft.rfft(samples[:16000]))
    assert int(spectrum.argmax()) == 440
    assert np.sqrt((spectrum**2).sum() - spectrum[440] ** 2) < 0.02 * spectrum[440]


def test_of_two_audio_tracks_one_can_be_chosen(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mkv", audio=[click(2, [0.5]), click(2, [1.0])])
    source, messages = replay(path)
    assert time_of_click(sound(messages)) == pytest.approx(0.5, abs=0.001)
    assert source.audio_tracks == 2
    assert "2 audio tracks" in source.notices[0]
    assert "recording.audio_track=1" in source.notices[0]
    assert time_of_click(sound(replay(path, Recording(audio_track=1))[1])) == pytest.approx(
        1.0, abs=0.001
    )
    with pytest.raises(InputError, match=r"audio_track=2.*2 audio tracks"):
        replay(path, Recording(audio_track=2))


def test_sound_that_begins_late_or_pauses_keeps_its_time(tmp_path: Path) -> None:
    holed = click(4, [0.5, 3.5])
    holed[16 * 1024 : 40 * 1024] = np.nan  # 1.024 to 2.56 s, in whole blocks of the encoder
    path = make(tmp_path / "a.mkv", video=[*STEADY, 5.0], audio=[holed], audio_start=[0.5])
    source, messages = replay(path)
    samples = sound(messages)
    assert time_of_click(samples) == pytest.approx(1.0, abs=0.001)
    assert time_of_click(samples, 2.0) == pytest.approx(4.0, abs=0.001)
    assert not samples[: RATE // 2].any()
    assert source.filled == pytest.approx(0.5 + 1.536, abs=0.01)


def test_the_offset_of_a_container_is_not_part_of_the_media_time(tmp_path: Path) -> None:
    late = [10 + time for time in STEADY]
    path = make(tmp_path / "a.mkv", video=late, audio=[click(4, [1.5])], audio_start=[10.0])
    source, messages = replay(path)
    assert time_of_click(sound(messages)) == pytest.approx(1.5, abs=0.001)
    assert only(messages, VideoFrame)[0].time == 0.0
    assert source.duration == pytest.approx(4.0, abs=0.05)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(st.integers(5, 900), min_size=1, max_size=40),
    rate=st.sampled_from([2.0, 7.5, 10.0, 30.0]),
)
def test_frames_of_any_rate_are_taken_at_the_grid_and_never_twice(
    tmp_path: Path, steps: list[int], rate: float
) -> None:
    times = [0.0, *(np.cumsum(steps) / 1000).tolist()]
    path = make(tmp_path / "vfr.mkv", video=times)
    _, messages = replay(path, frame_rate=rate)
    frames = only(messages, VideoFrame)
    expected = grid(times, rate)
    assert [frame.time for frame in frames] == pytest.approx([times[n] for n in expected])
    assert [number_of(frame, range(10)) for frame in frames] == [n % 10 for n in expected]
    marks = [mark.time for mark in only(messages, Mark)]
    assert all(b - a <= 0.5 + 1e-9 for a, b in zip([0.0, *marks], marks, strict=False))


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_a_rotated_video_comes_upright(tmp_path: Path, angle: int) -> None:
    flat, turned, shown = tmp_path / "flat.mp4", tmp_path / "turned.mp4", tmp_path / "shown.png"
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=320x200:rate=10", "-t", "0.5", "-c:v", "mpeg4",
           "-q:v", "2", flat)  # fmt: skip
    ffmpeg("-i", flat, "-c", "copy", "-metadata:s:v:0", f"rotate={angle}", turned)
    ffmpeg("-i", turned, "-frames:v", "1", shown)
    reference = cv2.imread(str(shown))
    assert reference is not None
    frame = only(replay(turned)[1], VideoFrame)[0]
    if angle != 180 and reference.shape[:2] == (200, 320):
        pytest.skip("this ffmpeg does not write a rotation in this way")
    assert (frame.height, frame.width) == reference.shape[:2]
    pixels = np.frombuffer(frame.pixels, np.uint8).reshape(reference.shape)
    assert np.abs(pixels.astype(int) - reference).mean() < 6


def test_wide_pictures_are_made_smaller_and_small_ones_stay(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mkv", video=[0.0, 0.1], size=(400, 200))
    sizes = {
        width: {(f.width, f.height, len(f.pixels)) for f in only(messages, VideoFrame)}
        for width in (100, 640)
        for messages in [replay(path, Recording(max_width=width))[1]]
    }
    assert sizes == {100: {(100, 50, 15_000)}, 640: {(400, 200, 240_000)}}


def test_pixels_that_are_not_square_are_made_so(tmp_path: Path) -> None:
    plain, wide = tmp_path / "plain.mkv", tmp_path / "wide.mkv"
    make(plain, video=[0.0, 0.1], size=(100, 80))
    ffmpeg("-i", plain, "-c", "copy", "-aspect", "5:2", wide)
    frame = only(replay(wide)[1], VideoFrame)[0]
    assert (frame.width, frame.height) == (200, 80)


@pytest.mark.parametrize("shorter", ["audio", "video"])
def test_a_medium_that_ends_early_does_not_hold_the_other_up(tmp_path: Path, shorter: str) -> None:
    length = {"audio": 4.0, "video": 4.0, shorter: 1.0}
    path = make(
        tmp_path / "a.mkv",
        video=[n / 25 for n in range(round(length["video"] * 25))],
        audio=[click(length["audio"])],
    )
    _, messages = replay(path)
    seen = 0.0
    for message in messages:
        if isinstance(message, Mark):
            seen = message.time
        elif isinstance(message, AudioChunk | VideoFrame):
            assert message.time - seen < 1.1
    assert seen == pytest.approx(4.0, abs=0.05)
    assert not only(messages, Dropped)


@pytest.mark.fault
@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.wav"])
def test_of_a_truncated_file_the_readable_part_is_replayed_and_the_rest_reported(
    tmp_path: Path, name: str
) -> None:
    """A file that breaks off: what is there is read, and the rest is a `gap`."""
    video = None if name.endswith("wav") else [n / 25 for n in range(250)]
    codec = "aac" if name.endswith("mp4") else "pcm_s16le"
    path = make(tmp_path / name, video=video, audio=[click(10, [1.0])], codecs=("mpeg4", codec))
    if name.endswith("mp4"):
        moved = tmp_path / "moved.mp4"
        ffmpeg("-i", path, "-c", "copy", "-movflags", "faststart", moved)
        path = moved
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    source, messages = replay(path)
    assert 3.0 < source.duration < 8.0
    assert time_of_click(sound(messages)) == pytest.approx(1.0, abs=0.05)
    lost = {drop.what: drop for drop in only(messages, Dropped)}
    assert set(lost) >= ({"audio"} if video is None else {"audio", "frames"})
    assert "breaks off" in lost["audio"].reason
    if video is None:  # a WAV file does not tell FFmpeg how long it was
        assert "unknown" in lost["audio"].reason
    else:
        assert lost["audio"].seconds == pytest.approx(10 - source.duration, abs=0.1)
    assert isinstance(messages[-1], End)


@pytest.mark.fault
def test_damaged_data_is_skipped_and_counted(tmp_path: Path) -> None:
    """Damaged data inside a file: skipped and counted."""
    path = make(tmp_path / "a.mkv", video=STEADY, audio=[click(4, [3.5])], codecs=("mpeg4", "aac"))
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        spots = [
            (packet.pos, packet.size)
            for packet in container.demux(container.streams.audio[0])
            if packet.size and 1.0 < packet.pts * packet.time_base < 1.5
        ]
    for position, size in spots:
        data[position + 8 : position + 8 + size - 8] = b"\xff" * (size - 8)
    path.write_bytes(data)
    _, messages = replay(path)
    lost = [drop for drop in only(messages, Dropped) if drop.what == "audio"]
    assert sum(drop.count for drop in lost) >= 1
    assert all("damaged" in drop.reason for drop in lost)
    assert time_of_click(sound(messages), 3.0) == pytest.approx(3.5, abs=0.05)


def protect(path: Path, *kinds: str) -> Path:
    """The file under Common Encryption (DRM), all of it or its sound or pictures alone."""
    out = path.with_name("drm.mp4")
    key, number = "76a6c65c5ea762046bd749a2e632ccbb", "a7e61c373e219033c21091fa607bf3b8"
    ffmpeg("-i", path, "-c", "copy", *(word for kind in kinds for word in ("-map", f"0:{kind}")),
           "-encryption_scheme", "cenc-aes-ctr", "-encryption_key", key, "-encryption_kid", number,
           out)  # fmt: skip
    return out


@pytest.mark.fault
@pytest.mark.parametrize("kinds", [(), ("a",), ("v",)], ids=["all", "sound", "pictures"])
def test_a_protected_file_is_refused_as_such(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    """A file under DRM: said to be encrypted, not damaged."""
    path = make(tmp_path / "a.mp4", video=STEADY, audio=[click(4)], codecs=("mpeg4", "aac"))
    with pytest.raises(InputError, match=r"drm\.mp4: encrypted \(DRM\).*give a copy") as caught:
        replay(protect(path, *kinds))
    assert "\n" not in str(caught.value)


def test_only_what_is_wanted_is_read(plain: Path) -> None:
    heard = replay(plain, want_video=False)[1]
    assert not only(heard, VideoFrame)
    assert len(sound(heard)) == 4 * RATE
    seen = replay(plain, want_audio=False)[1]
    assert not only(seen, AudioChunk)
    assert len(only(seen, VideoFrame)) == 40


@pytest.mark.fault
def test_what_is_no_recording_is_refused_in_one_line(tmp_path: Path) -> None:
    """A text, a picture, a playlist or an empty file: one line, exit code 2."""
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("This is no film.\n" * 100)
    (tmp_path / "text.txt").write_text("This is no film.\n" * 100)
    (tmp_path / "random.mkv").write_bytes(os.urandom(20_000))
    (tmp_path / "list.ffconcat").write_text("ffconcat version 1.0\nfile /etc/passwd\n")
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1\nplain.ts\n#EXT-X-ENDLIST\n")
    cv2.imwrite(str(tmp_path / "still.png"), np.zeros((48, 64, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "still.jpg"), np.zeros((48, 64, 3), np.uint8))
    (tmp_path / "cues.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n")
    (tmp_path / "missing.mp4").unlink(missing_ok=True)
    whole = make(tmp_path / "whole.mp4", video=STEADY).read_bytes()
    (tmp_path / "no-index.mp4").write_bytes(whole[: len(whole) // 2])
    for name in (
        "empty.mp4", "text.mp4", "text.txt", "random.mkv", "list.ffconcat", "list.m3u8",
        "still.png", "still.jpg", "cues.srt", "missing.mp4", "no-index.mp4", ".",
    ):  # fmt: skip
        with pytest.raises(InputError) as caught:
            replay(tmp_path / name)
        message = str(caught.value)
        assert (name if name != "." else str(tmp_path)) in message
        assert "\n" not in message
        assert "give" in message or "record" in message


def test_a_name_that_looks_like_an_address_is_still_a_file(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "plain.mkv", video=STEADY).rename(tmp_path / "http:x.mkv")
    monkeypatch.chdir(tmp_path)
    assert replay(Path("http:x.mkv"))[0].has_video


def test_close_may_come_at_any_time_and_twice(plain: Path) -> None:
    source = RecordingSource(plain, Recording(), captions="off", frame_rate=10)
    source.close()
    source.open()
    assert source.read(0)
    source.close()
    source.close()
    assert source.read(0) == []
