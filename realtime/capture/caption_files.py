"""Captions of a recording: from a text track in the file, or from a .vtt or .srt file beside it.

FFmpeg's demuxers read both. Cues that are no utterance (only sounds, no length, after the end) are
reported as `Dropped`, never left out silently.
"""

import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import msgspec

from gscon_live.common.errors import InputError
from gscon_live.realtime.capture.caption_cues import parse
from gscon_live.realtime.pipeline.messages import Cue, Dropped

_FORMATS = {".vtt": "webvtt", ".srt": "srt"}
#: FFmpeg's names of text codecs; all others are pictures of text.
_TEXT = {"webvtt", "subrip", "srt", "text", "mov_text", "ass", "ssa"}
_TIMING = re.compile(r"^\s*((?:\d+:)?\d+:\d+[.,]\d+)[ \t]*-->[ \t]*((?:\d+:)?\d+:\d+[.,]\d+)")

Item = Cue | Dropped


class Captions(msgspec.Struct):
    """The captions of a recording.

    `messages` are cues and drops, sorted by start; `path` the caption file (None: from a track of
    the recording, or no captions); `notices` lines for the user.
    """

    messages: list[Item] = []
    path: Path | None = None
    notices: list[str] = []

    @property
    def cues(self) -> list[Cue]:
        return [message for message in self.messages if isinstance(message, Cue)]


def find(recording: Path, choice: str | Path) -> Captions:
    """The captions to use for a recording.

    Args:
        recording: the media file.
        choice: "off"; "auto": a text track of the file, else a caption file of the same stem
            (`talk.vtt`, `talk.srt`, `talk.en.vtt`); or the path of a caption file.

    Raises:
        InputError: a caption file that the user named is missing or unusable.
    """
    if choice == "off":
        return Captions()
    if choice != "auto":
        return Captions(read_file(Path(choice)), Path(choice))
    messages, notices = _read_tracks(recording)
    if any(isinstance(message, Cue) for message in messages):
        return Captions(messages, None, notices)
    beside = sidecars(recording)
    for path in beside:
        try:
            items = read_file(path)
        except InputError as error:
            notices.append(f"not used: {error}")
            continue
        if len(beside) > 1:
            notices.append(
                f"{recording.name}: {len(beside)} caption files beside it, using {path.name}; "
                "choose with --captions"
            )
        return Captions(items, path, notices)
    return Captions(messages, None, notices)


def read_file(path: Path) -> list[Item]:
    """Cues and drops of a .vtt or .srt file, sorted by start.

    Raises:
        InputError: no such file, another format, not UTF-8, or no cue in it.
    """
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"captions {path}: expected a .vtt or .srt file; convert it")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"captions {path}: no such file, or not readable") from error
    except UnicodeDecodeError as error:
        raise InputError(f"captions {path}: not UTF-8; save it as UTF-8") from error
    if "\0" in text:
        raise InputError(f"captions {path}: not a text; give a .vtt or .srt file in UTF-8")
    if kind == "webvtt" and not text.startswith("WEBVTT"):
        raise InputError(f"captions {path}: does not begin with WEBVTT; mend it or rename to .srt")
    try:
        with av.open(f"file:{path}", format=kind) as container:
            raw = _packets(container, container.streams.subtitles[0], Fraction(0))
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise InputError(f"captions {path}: cannot be read as {kind}; mend the file") from error
    timings = _timings(text)
    ends: dict[int, set[int]] = {}
    for _, times in timings:
        if times is not None:
            ends.setdefault(times[0], set()).add(times[1])
    raw = [(start, _stated_end(start, end, ends), payload) for start, end, payload in raw]
    items = [_item(start, end, *parse(_decode(payload))) for start, end, payload in raw]
    if not raw:
        raise InputError(f"captions {path}: not one caption in it; give a complete {kind} file")
    return _sorted([*items, *_unread(timings, {(start, end) for start, end, _ in raw})])


def within(messages: Iterable[Item], duration: float) -> list[Item]:
    """The captions within a recording of `duration` seconds: those that begin after its end become
    a single `Dropped`, those that end after it are shortened."""
    kept: list[Item] = []
    late: list[Cue] = []
    for message in messages:
        if isinstance(message, Dropped):
            kept.append(message)
        elif message.start >= duration:
            late.append(message)
        else:
            kept.append(msgspec.structs.replace(message, end=min(message.end, duration)))
    if late:
        seconds = sum(cue.end - cue.start for cue in late)
        reason = "after the end of the recording"
        kept.append(Dropped(late[0].start, "caption", len(late), seconds, reason))
    return kept


def sidecars(recording: Path) -> list[Path]:
    """Caption files with the recording's stem: the plain name first, .vtt before .srt."""
    stem = recording.stem
    try:
        beside = list(recording.parent.iterdir())
    except OSError:  # the folder may be entered, but not listed
        return []
    paths = [path for path in beside if _has_name_of(path, recording) and path.is_file()]
    return sorted(paths, key=lambda p: (p.stem != stem, p.suffix.lower() != ".vtt", p.name))


def is_sidecar(path: Path, recording: Path) -> bool:
    """Whether a file at this path would be taken for the recording's captions."""
    try:
        beside = path.parent.samefile(recording.parent)
    except OSError:
        return False
    return beside and _has_name_of(path, recording)


def _has_name_of(path: Path, recording: Path) -> bool:
    """Whether it is named as captions of the recording: `talk.vtt` or `talk.en.vtt`."""
    name = re.escape(recording.stem) + r"(\.[\w-]{2,15})?"
    return path.suffix.lower() in _FORMATS and re.fullmatch(name, path.stem) is not None


def _read_tracks(recording: Path) -> tuple[list[Item], list[str]]:
    """The captions of the default text track (else the first one), and notices for the user."""
    notices: list[str] = []
    with av.open(f"file:{recording}", metadata_errors="replace") as container:
        tracks = [s for s in container.streams.subtitles if s.codec_context is not None]
        usable = [s for s in tracks if s.codec_context.name in _TEXT]
        if not usable:
            if container.streams.subtitles:
                notices.append(
                    f"{recording.name}: its subtitles are pictures or unknown, not text; "
                    "they are not used"
                )
            return [], notices
        default = av.stream.Disposition.default
        track = next((s for s in usable if s.disposition & default), usable[0])
        if len(usable) > 1:
            notices.append(f"{recording.name}: has {len(usable)} caption tracks, using one")
        start = Fraction(container.start_time or 0, 1_000_000)
        codec = track.codec_context.name
        items = []
        for begin, end, payload in _packets(container, track, start):
            body = _embedded(payload, codec)
            if body is not None:
                items.append(_item(begin, end, *parse(*body)))
    if not any(isinstance(item, Cue) for item in items):
        notices.append(f"{recording.name}: its caption track has no words")
    return _sorted(items), notices


def _packets(container: Any, track: Any, start: Fraction) -> list[tuple[float, float, bytes]]:
    """Start and end in seconds, and the payload, of all cues that can be read."""
    packets = []
    try:
        for packet in container.demux(track):
            if packet.pts is None:
                continue
            begin = packet.pts * packet.time_base - start
            end = begin + (packet.duration or 0) * packet.time_base
            packets.append((float(begin), float(end), bytes(packet)))
    except av.error.FFmpegError:
        pass  # a truncated recording: its captions end where it ends
    return packets


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


def _item(start: float, end: float, text: str, speaker: str | None) -> Item:
    if end <= start:
        wrong = "ends before it begins" if end < start else "has no length"
        return Dropped(start, "caption", 1, 0.0, f"{wrong}: {_short(text)}")
    if not text:
        return Dropped(start, "caption", 1, end - start, "no words: only sounds or nothing")
    return Cue(start, end, text, speaker)


def _timings(text: str) -> list[tuple[int, tuple[int, int] | None]]:
    """The timing lines of a caption file: line number, start and end in ms (None: unreadable)."""
    timings = []
    for number, line in enumerate(text.splitlines(), 1):
        if "-->" in line:
            timing = _TIMING.match(line)
            times = (_milliseconds(timing[1]), _milliseconds(timing[2])) if timing else None
            timings.append((number, times))
    return timings


def _stated_end(start: float, end: float, ends: dict[int, set[int]]) -> float:
    """The end in the file, from `ends`, the ends in ms by start. The demuxer gives another one for
    captions that end before they begin: the start of the next caption."""
    first = round(start * 1000)
    stated = ends.get(first, set())
    if not stated or round(end * 1000) in stated or min(stated) >= first:
        return end
    return min(stated) / 1000


def _unread(
    timings: list[tuple[int, tuple[int, int] | None]], read: set[tuple[float, float]]
) -> list[Item]:
    """Captions with a timing in the file that the demuxer did not give."""
    known = {(round(start * 1000), round(end * 1000)) for start, end in read}
    return [
        Dropped(
            times[0] / 1000 if times else 0.0, "caption", 1, 0.0, f"line {number} cannot be read"
        )
        for number, times in timings
        if times is None or times not in known
    ]


def _milliseconds(clock: str) -> int:
    *hours, minutes, seconds = clock.replace(",", ".").split(":")
    total = int(hours[0]) * 60 + int(minutes) if hours else int(minutes)
    return total * 60_000 + round(float(seconds) * 1000)


def _sorted(items: list[Item]) -> list[Item]:
    """Sorted by start, then end, without exact duplicates."""

    def key(item: Item) -> tuple[float, float]:
        return (item.start, item.end) if isinstance(item, Cue) else (item.time, item.time)

    cues: set[Cue] = set()
    kept: list[Item] = []
    for item in sorted(items, key=key):
        if isinstance(item, Cue):
            if item in cues:
                continue
            cues.add(item)
        kept.append(item)
    return kept


def _decode(payload: bytes) -> str:
    return payload.decode("utf-8", "replace")


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")
