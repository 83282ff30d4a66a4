"""Tells whether an uncompressed sound file was streamed: written by a program that did not know its
length.

The header of a streamed WAV file states 0, all ones, or a length near 2 or 4 GiB, and the file is
shorter. In RF64 and CAF the length is 0 or all ones.
"""

from pathlib import Path
from typing import BinaryIO, Literal

#: Lengths in bytes that programs write when they do not know them: SoX, arecord, FFmpeg, GStreamer.
_UNKNOWN = (0x7FFFF000, 0x80000000, 0xFFFFFFFF)
#: Some subtract the length of the header, up to so many bytes.
_HEADER = 4096
#: All ones in 64 bits.
_ONES = 2**64 - 1


def is_streamed(path: Path) -> bool:
    """Whether the header of a file states no length of the sound; false for other files."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        if head[:4] == b"caff":
            return _caf(file)
        if head[:4] in (b"RIFF", b"RIFX", b"RF64") and file.read(4) == b"WAVE":
            return _wav(file, "big" if head[:4] == b"RIFX" else "little", size)
    return False


def _wav(file: BinaryIO, order: Literal["little", "big"], size: int) -> bool:
    long: int | None = None  # the length of the sound as RF64 states it
    while len(chunk := file.read(8)) == 8:
        length = int.from_bytes(chunk[4:], order)
        begin = file.tell()
        if chunk[:4] == b"data":
            if long is not None or length == 0:
                return (long or 0) in (0, _ONES) and begin < size
            unknown = any(end - _HEADER <= length <= end + _HEADER for end in _UNKNOWN)
            return unknown and begin + length > size
        if chunk[:4] == b"ds64":
            long = int.from_bytes(file.read(16)[8:], order)
        file.seek(begin + length + length % 2)
    return False


def _caf(file: BinaryIO) -> bool:
    while len(chunk := file.read(12)) == 12:
        length = int.from_bytes(chunk[4:], "big")
        if chunk[:4] == b"data":
            return length == _ONES
        if length > _ONES // 2:
            return False
        file.seek(length, 1)
    return False
