"""The caption tracks in a recording: which is read, and its cues."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import numpy.typing as npt

from gscon_live.common.errors import InputError
from gscon_live.realtime.capture.caption_cues import Item, utterances
from gscon_live.realtime.capture.caption_markup import plain
from gscon_live.realtime.capture.caption_written import Unreadable, Written
from gscon_live.realtime.pipeline.messages import Cue

#: FFmpeg's names of text codecs; all others are pictures of text.
_TEXT = {"webvtt", "subrip", "srt", "text", "mov_text", "ass", "ssa"}
#: By index of a track: seconds by which each of its packets is moved, in file order.
Shifts = Mapping[int, Sequence[float] | npt.NDArray[np.float64]]
#: A track with less than this share of the cues of the largest one has only some of the words.
_FULL = 0.5


class _Track(msgspec.Struct):
    """A text track; `number` counts all caption tracks of the file, from 0."""

    number: int
    stream: Any
    written: list[Written | Unreadable] = []


def read_track(
    recording: Path, wanted: int | None = None, shifts: Shifts | None = None
) -> tuple[list[Item], list[str]]:
    """The captions of a track of the recording, and notices for the user.

    Without `wanted`, it is the default track, else the first one. A track that is forced (only what
    is spoken in another language), or that has few cues beside a full one, is not taken.

    Args:
        recording: the media file.
        wanted: number of the caption track, from 0.
        shifts: seconds by which the packets with a time are moved, by the track's index.

    Raises:
        InputError: no such track, or its captions are pictures.
    """
    with av.open(f"file:{recording}", metadata_errors="replace") as container:
        streams = list(container.streams.subtitles)
        tracks = [
            _Track(number, stream, [])
            for number, stream in enumerate(streams)
            if stream.codec_context is not None and stream.codec_context.name in _TEXT
        ]
        if wanted is not None:
            tracks = [_named(recording, wanted, len(streams), tracks)]
        if not tracks:
            notices = []
            if streams:
                notices.append(
                    f"{recording.name}: its subtitles are pictures or unknown, not text; "
                    "they are not used"
                )
            return [], notices
        _read_cues(container, tracks, shifts or {})
        track = _fullest(tracks)
        items, notices = utterances(track.written)
        notices = [f"{recording.name}: {notice}" for notice in notices]
        if len(tracks) > 1:
            other = next(each.number for each in tracks if each is not track)
            notices.insert(
                0,
                f"{recording.name}: has {len(streams)} caption tracks, using number "
                f"{track.number}{_about(track)}; choose with recording.caption_track={other}",
            )
    if not any(isinstance(item, Cue) for item in items):
        notices.append(f"{recording.name}: its caption track has no words")
    return items, notices


def _named(recording: Path, wanted: int, count: int, tracks: list[_Track]) -> _Track:
    if wanted >= count:
        has = f"{count} caption track{'s' * (count != 1)}"
        raise InputError(
            f"recording {recording}: recording.caption_track={wanted}, but the file has {has}; "
            "counting starts at 0"
        )
    track = next((track for track in tracks if track.number == wanted), None)
    if track is None:
        raise InputError(
            f"recording {recording}: caption track {wanted} has pictures or an unknown format, "
            "not text; choose another track, or a caption file with --captions"
        )
    return track


def _fullest(tracks: list[_Track]) -> _Track:
    """The default track, else the first one, of those that have most of the words."""
    most = max(len(track.written) for track in tracks)
    full = [track for track in tracks if len(track.written) >= _FULL * most]
    disposition = av.stream.Disposition
    unforced = [track for track in full if not track.stream.disposition & disposition.forced]
    full = unforced or full
    return next(
        (track for track in full if track.stream.disposition & disposition.default), full[0]
    )


def _about(track: _Track) -> str:
    """Language and title of a track, bounded, as they come from the file."""
    metadata = track.stream.metadata
    parts = [plain(metadata.get(key, ""))[:40] for key in ("language", "title")]
    parts = [part for part in parts if part and part != "und"]
    return f" ({', '.join([*parts, f'{len(track.written)} captions'])})"


def _read_cues(container: Any, tracks: list[_Track], shifts: Shifts) -> None:
    """Reads all tracks in a single pass, up to where the recording can be read."""
    start = Fraction(container.start_time or 0, 1_000_000)
    by_index = {track.stream.index: track for track in tracks}
    moved = {index: iter(shifts.get(index, ())) for index in by_index}
    try:
        for packet in container.demux([track.stream for track in tracks]):
            if packet.pts is None or not packet.size:
                continue
            track = by_index[packet.stream.index]
            begin = packet.pts * packet.time_base - start + next(moved[track.stream.index], 0.0)
            end = begin + (packet.duration or 0) * packet.time_base
            body = _embedded(bytes(packet), track.stream.codec_context.name)
            if body is not None:
                track.written.append(Written(float(begin), float(end), *body))
    except av.error.FFmpegError:
        pass  # a truncated recording: its captions end where it ends


def _embedded(payload: bytes, codec: str) -> tuple[str, str | None] | None:
    """Text and speaker field of a packet of a text track; None if it only clears the screen."""
    if codec == "mov_text":
        size = int.from_bytes(payload[:2], "big")
        text = payload[2 : 2 + size]
        wide = text[:2] in (b"\xfe\xff", b"\xff\xfe")
        return (text.decode("utf-16", "replace") if wide else _decode(text), None) if size else None
    if codec in ("ass", "ssa"):
        fields = _decode(payload).split(",", 8)
        return (fields[8], fields[3].strip() or None) if len(fields) == 9 else ("", None)
    return _decode(payload), None


def _decode(payload: bytes) -> str:
    return payload.decode("utf-8", "replace")
