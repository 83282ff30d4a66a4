"""Recordings that are joined byte by byte, of which FFmpeg reads the first ones only.

WAV, MP4 and some other containers state their length, and FFmpeg stops there. Of Matroska it reads
two. A further header after the last packet begins another recording.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av

#: How files begin, by FFmpeg's names of containers that are read to their first end.
_BEGINS = {
    "wav": rb"(?:RIFF|RIFX|RF64).{4}WAVE",
    "w64": rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb",
    "aiff": rb"FORM.{4}AIF[FC]",
    "caf": rb"caff\x00[\x01\x02]\x00\x00",
    "mov": rb"\x00\x00[\x00-\x0f].ftyp",
    "flv": rb"FLV\x01[\x00-\x05]\x00\x00\x00\x09",
    "matroska": rb"\x1a\x45\xdf\xa3.{1,40}?(?:matroska|webm)",
    "asf": rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c",
}
#: Bytes that are searched at a time, and the length of the longest of these.
_BLOCK, _LONGEST = 1 << 20, 64


class Unread(NamedTuple):
    """What follows the recording in its file: the number of recordings, their bytes, and their
    seconds as far as they can be opened."""

    number: int
    size: int
    seconds: float

    @property
    def reason(self) -> str:
        """What happened, and the remedy."""
        more, parts = "another recording follows", "it as a file of its own"
        if self.number > 1:
            more, parts = f"{self.number} more recordings follow", "them as files of their own"
        return f"{more} in the same file ({self.size} bytes) and cannot be read: replay {parts}"


def unread_parts(path: Path, kinds: set[str], read_to: int) -> Unread | None:
    """The recordings in a file that come after the one that FFmpeg reads; None: there are none.

    Args:
        path: the media file.
        kinds: FFmpeg's names of its container.
        read_to: bytes of the file up to the end of its last packet.
    """
    begins = [_BEGINS[kind] for kind in kinds & _BEGINS.keys()]
    if not begins or read_to <= 0:
        return None
    size = path.stat().st_size
    places = list(_places(path, re.compile(b"|".join(begins), re.DOTALL), read_to))
    if not places:
        return None
    bounds = zip(places, [*places[1:], size], strict=True)
    seconds = sum(_seconds(path, start, end) for start, end in bounds)
    return Unread(len(places), size - places[0], seconds)


def _places(path: Path, begin: re.Pattern[bytes], start: int) -> Iterator[int]:
    """Where the pattern matches in a file from `start` on."""
    with path.open("rb") as file:
        file.seek(start)
        offset, kept = start, b""
        while block := file.read(_BLOCK):
            text = kept + block
            place = offset - len(kept)
            last = -1
            for match in begin.finditer(text):
                last = match.end()
                yield place + match.start()
            # A begin may lie across two blocks; one that was reported must not come again.
            kept = text[max(len(text) - _LONGEST, last, 0) :]
            offset += len(block)


def _seconds(path: Path, start: int, end: int) -> float:
    """The length of the recording between two places of a file; 0 where it cannot be opened."""
    address = f"subfile,,start,{start},end,{end},,:{path}"
    try:
        with av.open(address, options={"protocol_whitelist": "subfile,file"}) as container:
            return max(0.0, (container.duration or 0) / 1_000_000)
    except (av.error.FFmpegError, OSError, ValueError):
        return 0.0
