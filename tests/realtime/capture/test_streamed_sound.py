"""Sound that was streamed into a file has no length in its header, and is read to its end."""

import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from devices import need
from made_media import RATE, make, only, replay, sound

from gscon_live.realtime.pipeline.messages import Dropped

SAMPLES = (0.3 * np.sin(np.arange(round(9.72 * RATE)) * 0.1)).astype(np.float32)


@pytest.mark.fault
@pytest.mark.parametrize(
    "length", [0, 0xFFFFFFFF, 0xFFFFFFFF - 44, 0x7FFFF000, 0x7FFFFFFF, 0x80000000]
)
def test_a_wav_file_that_was_streamed_is_read_to_its_end(tmp_path: Path, length: int) -> None:
    """A WAV file whose header states no length: read to its end."""
    path = make(tmp_path / "a.wav", audio=[SAMPLES])
    data = bytearray(path.read_bytes())
    place = data.index(b"data") + 4
    data[place : place + 4] = struct.pack("<I", length)
    data[4:8] = struct.pack("<I", min(0xFFFFFFFF, length + place + 4 if length else 0))
    path.write_bytes(data)
    source, messages = replay(path)
    assert not only(messages, Dropped)
    assert np.abs(sound(messages) - SAMPLES).max() < 2 / 32768
    assert source.duration == pytest.approx(9.72, abs=0.01)


@pytest.mark.fault
@pytest.mark.parametrize(
    "words",
    [("-f", "wav"), ("-f", "wav", "-rf64", "always"), ("-f", "caf"), ("-f", "au")],
    ids=["wav", "rf64", "caf", "au"],
)
def test_what_ffmpeg_writes_into_a_pipe_is_read_to_its_end(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    """What FFmpeg writes into a pipe: read to its end."""
    need("ffmpeg")
    plain = make(tmp_path / "a.wav", audio=[SAMPLES])
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-i", str(plain), *words, "-"]
    done = subprocess.run(command, check=True, capture_output=True)
    path = tmp_path / "streamed.bin"
    path.write_bytes(done.stdout)
    source, messages = replay(path)
    assert not only(messages, Dropped)
    assert np.abs(sound(messages) - SAMPLES).max() < 2 / 32768
    assert source.duration == pytest.approx(9.72, abs=0.1)


@pytest.mark.fault
def test_a_wav_file_whose_end_is_missing_breaks_off_and_keeps_its_last_samples(
    tmp_path: Path,
) -> None:
    """A WAV file whose end is missing: a `gap`, and its last samples are kept."""
    path = make(tmp_path / "a.wav", audio=[SAMPLES])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    _, messages = replay(path)
    (gap,) = only(messages, Dropped)
    assert "breaks off" in gap.reason
    present = (len(whole) // 2 - whole.index(b"data") - 8) // 2
    assert len(sound(messages)) == pytest.approx(present, abs=1)
