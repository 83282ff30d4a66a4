"""Opening a media file safely, and what can be learnt of it without decoding."""

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from gscon_live.common.errors import InputError
from gscon_live.realtime.capture.media import packet_time

_MISSING = 0.5  # seconds by which a file must fall short of its header to be called truncated
#: Containers whose header states the length; others only have it estimated.
_STATED = {"mov", "mp4", "matroska", "webm", "avi", "flac", "wav"}
#: What FFmpeg opens although it is no recording: text drawn as pictures, still pictures, lists of
#: other files.
_NOT_MEDIA = {"tty", "image2", "concat", "hls", "dash", "ico", "svg", "bin", "lrc"}


def open_media(path: Path) -> Any:
    """Opens a media file for reading; only local files, never what they may refer to elsewhere.

    Raises:
        InputError: there is no such file, or FFmpeg finds no recording in it.
    """
    if not path.exists():
        raise InputError(f"recording {path}: no such file; give the path of a video or audio file")
    if not path.is_file():
        raise InputError(f"recording {path}: not a file; give the path of a video or audio file")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"recording {path}: the file is empty; record or copy it again")
        container = av.open(
            f"file:{path}", metadata_errors="replace", options={"protocol_whitelist": "file"}
        )
    except PermissionError as error:
        raise InputError(f"recording {path}: not readable; change its permissions") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise InputError(
            f"recording {path}: no recording that FFmpeg can read, or cut off before its index; "
            "give a complete video or audio file"
        ) from error
    names = set(container.format.name.split(","))
    if names & _NOT_MEDIA or any(name.endswith("_pipe") for name in names):
        container.close()
        raise InputError(
            f"recording {path}: a text, a still picture or a playlist; give a video or audio file"
        )
    return container


def survey(path: Path, wanted: set[int], start: Fraction) -> tuple[dict[int, Any], float, float]:
    """Reads all packets without decoding them.

    Returns the packets' times by stream, the length in seconds of what can be read, and the
    seconds by which that falls short of what the header states: zero where the file is complete,
    not a number where it breaks off and nobody knows how much is missing.
    """
    times: dict[int, list[float]] = {index: [] for index in wanted}
    length = reach = 0.0
    broken = False
    with open_media(path) as container:
        try:
            for packet in container.demux():
                if not packet.size:
                    continue
                broken = packet.is_corrupt  # of the last packet: the file ends inside it
                index = packet.stream.index
                stamp = packet_time(packet, start)
                time = (times.get(index) or [0.0])[-1] if stamp is None else stamp
                end = time + float((packet.duration or 0) * (packet.time_base or 0))
                reach = max(reach, end)
                if index in wanted:
                    times[index].append(time)
                    length = max(length, end)
        except av.error.FFmpegError:
            broken = True
        stated = (container.duration or 0) / 1_000_000
        known = bool(set(container.format.name.split(",")) & _STATED)
    short = stated - reach
    if known and short > (0.0 if broken else _MISSING):
        missing = short
    else:
        missing = math.nan if broken else 0.0
    return {index: np.array(stamps) for index, stamps in times.items()}, length, missing
