"""Opens a media file safely, and scans its packets without decoding them."""

import math
import stat
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import numpy.typing as npt

from gscon_live.common.errors import InputError
from gscon_live.realtime.capture.media import decoding_time, packet_time
from gscon_live.realtime.capture.streamed_sound import is_streamed
from gscon_live.realtime.capture.time_stamps import (
    LONGEST_HOLE,
    LONGEST_HOLE_UNTIMED,
    UNTIMED,
    Join,
    TimeStamps,
)
from gscon_live.realtime.capture.unread_parts import Unread, unread_parts

#: Seconds by which a file must fall short of its header to count as truncated.
_TOLERANCE = 0.5
#: Containers whose header states the length; for others FFmpeg estimates it.
_STATED = {"mov", "mp4", "matroska", "webm", "avi", "flac", "wav"}
#: Formats that FFmpeg opens although they are no recordings: text, still pictures, playlists.
_NOT_MEDIA = {"tty", "image2", "concat", "hls", "dash", "ico", "svg", "bin", "lrc"}


def check_file(path: Path) -> None:
    """Refuses a path at which nothing can be a recording, without looking into it.

    Raises:
        InputError: no such file, no file, or an empty one.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = "no such file"
        if isinstance(error, PermissionError):
            reason = "its folder may not be entered"
        raise InputError(
            f"recording {path}: {reason}; give the path of a video or audio file"
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"recording {path}: not a file; give the path of a video or audio file")
    if status.st_size == 0:
        raise InputError(f"recording {path}: the file is empty; record or copy it again")


def open_media(path: Path) -> Any:
    """Opens a local media file for reading; never files or addresses that it refers to.

    Raises:
        InputError: no such file, or FFmpeg finds no recording in it.
    """
    check_file(path)
    try:
        options = {"protocol_whitelist": "file"}
        if is_streamed(path):
            options["ignore_length"] = "1"  # an option of WAV alone; other formats leave it
        container = av.open(f"file:{path}", metadata_errors="replace", options=options)
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


class PacketScan(NamedTuple):
    """What the packets of a media file tell without decoding.

    Args:
        times: media times of the packets in file order, by index of the stream.
        shifts: seconds by which the time stamps of these packets are moved, by index; also those of
            packets with a time in caption tracks.
        joins: where the time stamps start anew or jump.
        duration: length in seconds of what can be read.
        missing: seconds by which that falls short of the header; 0 for a complete file, NaN if the
            file breaks off and the missing length is unknown.
        encrypted: indexes of the streams that hold encrypted packets.
        unread: what follows the recording in its file and is not read, if anything does.
    """

    times: dict[int, npt.NDArray[np.float64]]
    shifts: dict[int, npt.NDArray[np.float64]]
    joins: list[Join]
    duration: float
    missing: float
    encrypted: set[int]
    unread: Unread | None = None


def scan_packets(path: Path, streams: set[int], start: Fraction, has_audio: bool) -> PacketScan:
    """Reads all packets of a media file without decoding them.

    Args:
        path: the media file.
        streams: the indexes of the streams to scan.
        start: the container's start in seconds, where media time is 0.
        has_audio: whether one of them is sound. In pictures alone, no hole is too long.
    """
    captions: set[int] = set()
    times: dict[int, list[float]] = {index: [] for index in streams}
    ends: dict[int, list[float]] = {index: [] for index in streams}
    end_of_all = 0.0
    read_to = 0
    broken = False
    encrypted: set[int] = set()
    with open_media(path) as container:
        names = set(container.format.name.split(","))
        longest = LONGEST_HOLE_UNTIMED if names & UNTIMED else LONGEST_HOLE
        stamps = TimeStamps(longest if has_audio else math.inf)
        try:
            for packet in container.demux():
                if not packet.size:
                    continue
                broken = packet.is_corrupt  # in the end: whether the file ends inside a packet
                index = packet.stream.index
                read_to = max(read_to, (packet.pos or 0) + packet.size)
                if packet.has_sidedata("encryption_info"):
                    encrypted.add(index)
                shown = packet_time(packet, start)
                time = (times.get(index) or [0.0])[-1] if shown is None else shown
                end = time + float((packet.duration or 0) * (packet.time_base or 0))
                end_of_all = max(end_of_all, end)
                if packet.stream.type == "subtitle" and shown is not None:
                    captions.add(index)
                    stamps.follow(index, shown)
                if index in streams:
                    stamps.add(index, decoding_time(packet, start), time, end)
                    times[index].append(time)
                    ends[index].append(end)
        except av.error.FFmpegError:
            broken = True
        stated = (container.duration or 0) / 1_000_000
        known = bool(names & _STATED)
    if broken and is_streamed(path):
        broken = False
    joins = stamps.joins()
    shifts = {index: stamps.shifts(index) for index in streams | captions}
    moved = {index: np.array(times[index]) + shifts[index] for index in streams}
    lasts = [np.array(ends[index]) + shifts[index] for index in streams]
    duration = max([0.0, *(float(last.max()) for last in lasts if len(last))])
    difference = stated - end_of_all
    if known and not joins and difference > (0.0 if broken else _TOLERANCE):
        missing = difference
    else:
        missing = math.nan if broken else 0.0
    unread = None if broken else unread_parts(path, names, read_to)
    return PacketScan(moved, shifts, joins, duration, missing, encrypted, unread)
