"""Recordings that are joined byte by byte: what FFmpeg does not read is reported."""

from pathlib import Path

import numpy as np
import pytest
from made_media import RATE, click, make, only, replay, sound

from gscon_live.realtime.pipeline.messages import Dropped

SECONDS = 2.0
PICTURES = [number / 25 for number in range(50)]
#: A container, and the codecs in it.
KINDS = {
    "wav": ("mpeg4", "pcm_s16le"),
    "aiff": ("mpeg4", "pcm_s16be"),
    "caf": ("mpeg4", "pcm_s16le"),
    "w64": ("mpeg4", "pcm_s16le"),
    "flv": ("flv", "pcm_s16le"),
    "mp4": ("mpeg4", "aac"),
    "mov": ("mpeg4", "pcm_s16le"),
}


def recorded(path: Path, ending: str) -> Path:
    codecs = KINDS[ending]
    pictures = PICTURES if ending in ("flv", "mp4", "mov") else None
    rate = 44_100 if ending == "flv" else RATE
    return make(path, video=pictures, audio=[click(SECONDS, rate=rate)], rate=rate, codecs=codecs)


@pytest.mark.fault
@pytest.mark.parametrize("ending", KINDS)
def test_the_second_of_two_joined_recordings_is_a_gap_with_its_seconds(
    ending: str, tmp_path: Path
) -> None:
    """`cat a a > b` of WAV, AIFF, CAF, W64, FLV, MP4 or MOV: a `gap` with the seconds and bytes."""
    first = recorded(tmp_path / f"a.{ending}", ending).read_bytes()
    joined = tmp_path / f"joined.{ending}"
    joined.write_bytes(first * 3)
    source, messages = replay(joined)
    assert source.duration == pytest.approx(SECONDS, abs=0.1)
    (lost,) = only(messages, Dropped)
    assert lost.what == "audio"
    assert lost.time == source.duration
    assert lost.seconds == pytest.approx(2 * SECONDS, abs=0.2)
    assert "2 more recordings" in lost.reason
    assert f"({2 * len(first)} bytes)" in lost.reason


@pytest.mark.parametrize("ending", KINDS)
def test_a_single_recording_has_no_such_gap(ending: str, tmp_path: Path) -> None:
    path = recorded(tmp_path / f"a.{ending}", ending)
    path.write_bytes(path.read_bytes() + b"\0" * 500)
    _, messages = replay(path)
    assert only(messages, Dropped) == []
    assert len(sound(messages)) == pytest.approx(SECONDS * RATE, rel=0.05)


def test_a_header_across_two_blocks_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = recorded(tmp_path / "a.wav", "wav").read_bytes()
    joined = tmp_path / "joined.wav"
    for block in (7, 64, len(first) - 5, len(first) + 6):
        monkeypatch.setattr("gscon_live.realtime.capture.unread_parts._BLOCK", block)
        joined.write_bytes(first + b"\0" * 11 + first)
        (lost,) = only(replay(joined)[1], Dropped)
        assert "another recording" in lost.reason
    assert np.isclose(lost.seconds, SECONDS)
