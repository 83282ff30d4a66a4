"""Of several caption tracks, a full one is read; which one is said, and a setting chooses."""

from pathlib import Path

import pytest
from made_media import click, ffmpeg, make, only

from gscon_live.common.errors import InputError
from gscon_live.realtime.capture.recording import RecordingSource
from gscon_live.realtime.pipeline.messages import Cue
from gscon_live.realtime.pipeline.settings import Recording


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A recording with a forced track of one cue, which is the default, and two full tracks."""
    plain = make(tmp_path / "plain.mkv", audio=[click(12)], rate=16_000)
    for name, count in (("forced", 1), ("full", 5), ("german", 5)):
        cues = [
            f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\n{name} {n}\n" for n in range(1, count + 1)
        ]
        (tmp_path / f"{name}.srt").write_text("\n".join(cues))
    path = tmp_path / "talk.mkv"
    ffmpeg(
        "-i", plain, "-i", tmp_path / "forced.srt", "-i", tmp_path / "full.srt",
        "-i", tmp_path / "german.srt", "-map", "0", "-map", "1", "-map", "2", "-map", "3",
        "-c", "copy", "-metadata:s:s:1", "language=eng", "-metadata:s:s:1", "title=All of it",
        "-disposition:s:0", "default+forced", "-disposition:s:1", "0", "-disposition:s:2", "0",
        path,
    )  # fmt: skip
    return path


def words(path: Path, track: int | None = None) -> tuple[list[str], list[str]]:
    source = RecordingSource(path, Recording(caption_track=track))
    source.open()
    messages = []
    while block := source.read():
        messages += block
    source.close()
    return [cue.text for cue in only(messages, Cue)], source.notices


@pytest.mark.fault
def test_a_full_track_is_preferred_and_said(recording: Path) -> None:
    """A forced caption track of one cue and a full one: the full one, and this is said."""
    said, notices = words(recording)
    assert said == [f"full {n}" for n in range(1, 6)]
    (notice,) = notices
    for part in ("3 caption tracks", "number 1", "eng", "All of it", "recording.caption_track="):
        assert part in notice


@pytest.mark.fault
def test_a_track_of_few_cues_is_not_preferred_though_nothing_calls_it_forced(
    recording: Path, tmp_path: Path
) -> None:
    """A track with few cues that nothing calls forced: the full one is read."""
    path = tmp_path / "unmarked.mkv"
    ffmpeg("-i", recording, "-map", "0", "-c", "copy", "-disposition:s:0", "default", path)
    assert words(path)[0] == [f"full {n}" for n in range(1, 6)]


def test_the_default_track_is_taken_among_full_ones(recording: Path, tmp_path: Path) -> None:
    path = tmp_path / "default.mkv"
    ffmpeg("-i", recording, "-map", "0", "-c", "copy", "-disposition:s:2", "default", path)
    assert words(path)[0] == [f"german {n}" for n in range(1, 6)]


@pytest.mark.fault
def test_a_setting_chooses_the_track(recording: Path) -> None:
    """Several caption tracks: `recording.caption_track` chooses."""
    assert words(recording, 0)[0] == ["forced 1"]
    assert words(recording, 2)[0] == [f"german {n}" for n in range(1, 6)]
    with pytest.raises(InputError, match=r"caption_track=3.*3 caption tracks"):
        words(recording, 3)
