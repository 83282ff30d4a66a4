"""Copies what can be read only once into a file: standard input, named pipes, URLs.

A recording is read twice, first for its times and then for its contents. So a stream is read to its
end before its replay begins. Nothing else is different: the same bytes give the same events.
"""

import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import urlsplit

import av

from gscon_live.common.errors import Failure, InputError
from gscon_live.realtime.capture.recording_inputs import STANDARD_INPUT, RecordingInput

#: Seconds without any data after which a URL counts as dead.
STALLED = 30.0
#: The protocols of FFmpeg that a URL may lead to. None of them reads files of this machine.
PROTOCOLS = (
    "http", "https", "httpproxy", "tcp", "tls", "udp", "rtp", "srtp", "rtsp", "rtsps",
    "rtmp", "rtmps", "rtmpt", "rtmpts", "rtmpe", "srt", "ftp", "mmsh", "mmst", "crypto",
)  # fmt: skip
_BLOCK = 1 << 16
#: Captions that Matroska holds as they are.
_CAPTIONS = {"subrip", "srt", "ass", "ssa", "webvtt", "text"}


class Copied(NamedTuple):
    """The copy of a stream, and notices for the user."""

    path: Path
    notices: list[str]


def copy_stream(stream: RecordingInput, folder: Path, limit: float) -> Copied:
    """Reads a stream to its end, into a file.

    Args:
        stream: standard input, a named pipe or a URL.
        folder: where the file is written; others should not be able to enter it.
        limit: seconds after which a URL is read no further.

    Raises:
        InputError: the stream cannot be opened, has no data, or standard input is a terminal.
        Failure: the copy cannot be written.
    """
    # Notices about a recording name its file, so the copy has the stream's name.
    target = folder / (re.sub(r"[^\w.() -]", "_", stream.name.rpartition("/")[2])[:100] or "stream")
    if stream.path is not None:
        try:
            with stream.path.open("rb") as pipe:
                _copy(pipe, target, stream.name)
        except PermissionError as error:
            raise InputError(
                f"recording {stream.path}: not readable; change its permissions"
            ) from error
        return Copied(target, [])
    if stream.address == STANDARD_INPUT:
        _copy(_standard_input(), target, stream.name)
        return Copied(target, [])
    ends_at = time.monotonic() + limit
    address = urlsplit(stream.address)
    complete = False
    try:
        if address.scheme.lower() in ("http", "https") and "@" not in address.netloc:
            complete = _download(stream, target, ends_at)
        if not complete and (not target.exists() or _is_playlist(target)):
            complete = _remux(stream, target, ends_at)
    except (OSError, ValueError, av.error.FFmpegError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise InputError(
            f"recording {stream.name}: cannot be read ({' '.join(str(reason).split())}); "
            "check the address and the network, or download the file"
        ) from error
    notices = []
    if not complete:
        notices.append(
            f"{stream.name}: read for {limit:.0f} s, as recording.url_limit says; the rest is left"
        )
    return Copied(target, notices)


def _standard_input() -> BinaryIO:
    if sys.stdin is None or sys.stdin.closed:
        raise InputError("standard input is closed; pipe a recording into it")
    if sys.stdin.isatty():
        raise InputError("standard input is a terminal; pipe a recording into it, or give a file")
    return sys.stdin.buffer


def _copy(source: Any, target: Path, name: str, goes_on: Callable[[], bool] = lambda: True) -> bool:
    """Copies a stream as long as `goes_on`. Returns whether it was copied to its end."""
    with target.open("wb", buffering=0) as file:
        while goes_on():
            block = source.read(_BLOCK)
            if not block:
                break
            try:
                file.write(block)
            except OSError as error:
                raise Failure(
                    f"{target.parent}: {error.strerror}; {name} is copied there first: free space, "
                    "or set TMPDIR to another folder"
                ) from error
        else:
            return False
        if not file.tell():
            raise InputError(f"recording {name}: no data came; check what writes into it")
    return True


def _download(stream: RecordingInput, target: Path, ends_at: float) -> bool:
    """Copies the bytes behind an address of the web. Returns whether these are all, and media."""
    try:
        with urllib.request.urlopen(stream.address, timeout=STALLED) as answer:
            complete = _copy(answer, target, stream.name, lambda: time.monotonic() < ends_at)
    except urllib.error.HTTPError as error:
        raise InputError(
            f"recording {stream.name}: the server says {error.code} {error.reason}; "
            "check the address"
        ) from error
    return complete and not _is_playlist(target)


def _is_playlist(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(4096)
    return head.lstrip(b"\xef\xbb\xbf").startswith(b"#EXTM3U") or b"<MPD" in head


def _remux(stream: RecordingInput, target: Path, ends_at: float) -> bool:
    """Copies the streams of an address into a Matroska file, without decoding them. Returns whether
    the address was read to its end."""
    options = {"protocol_whitelist": ",".join(PROTOCOLS), "rtsp_transport": "tcp"}
    with (
        av.open(stream.address, options=options, timeout=STALLED) as container,
        av.open(str(target), "w", format="matroska") as copy,
    ):
        tracks = {s.index: copy.add_stream_from_template(s) for s in container.streams if _fits(s)}
        if not tracks:
            raise InputError(
                f"recording {stream.name}: no sound and no moving pictures in it; "
                "give the address of a recording"
            )
        for packet in container.demux([container.streams[index] for index in tracks]):
            if time.monotonic() >= ends_at:
                return False
            if packet.dts is not None and packet.size:
                packet.stream = tracks[packet.stream.index]
                copy.mux(packet)
    return True


def _fits(stream: Any) -> bool:
    if stream.codec_context is None:
        return False
    return stream.type in ("audio", "video") or stream.codec_context.name in _CAPTIONS
