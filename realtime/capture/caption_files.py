"""Captions of a recording: from a text track in the file, or from a caption file beside it."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from gscon_live.common.errors import InputError
from gscon_live.realtime.capture.caption_cues import Item, utterances
from gscon_live.realtime.capture.caption_encoding import decode
from gscon_live.realtime.capture.caption_formats import read_ass, read_sbv, read_srt, read_vtt
from gscon_live.realtime.capture.caption_tracks import Shifts, read_track
from gscon_live.realtime.capture.caption_ttml import read_ttml
from gscon_live.realtime.pipeline.messages import Cue, Dropped

#: The readers by ending. Of several files beside a recording, the first ending is taken.
_READERS = {
    ".vtt": read_vtt,
    ".srt": read_srt,
    ".ass": read_ass,
    ".ssa": read_ass,
    ".ttml": read_ttml,
    ".dfxp": read_ttml,
    ".sbv": read_sbv,
}
#: The endings of caption files.
ENDINGS = list(_READERS)
#: Bytes of a caption file at most. A day of speech has about 2 MB.
_LARGEST = 50_000_000


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


def find(
    recording: Path, choice: str | Path, track: int | None = None, shifts: Shifts | None = None
) -> Captions:
    """The captions to use for a recording.

    Args:
        recording: the media file.
        choice: "off"; "auto": a text track of the file, else a caption file of the same stem
            (`talk.vtt`, `talk.srt`, `talk.en.vtt`); or the path of a caption file.
        track: number of the caption track that "auto" takes, from 0; None: the default track, if
            it is a full one.
        shifts: seconds by which the packets of a track in the file are moved, by its index.

    Raises:
        InputError: a caption file or a track that the user named is missing or unusable.
    """
    if choice == "off":
        return Captions()
    if choice != "auto":
        return _read(Path(choice))
    messages, notices = read_track(recording, track, shifts)
    if track is not None or any(isinstance(message, Cue) for message in messages):
        return Captions(messages, None, notices)
    beside = sidecars(recording)
    for path in beside:
        try:
            captions = _read(path)
        except InputError as error:
            notices.append(f"not used: {error}")
            continue
        if len(beside) > 1:
            notices.append(
                f"{recording.name}: {len(beside)} caption files beside it, using {path.name}; "
                "choose with --captions"
            )
        return Captions(captions.messages, path, notices + captions.notices)
    return Captions(messages, None, notices)


def read_file(path: Path) -> list[Item]:
    """Cues and drops of a caption file, sorted by start.

    Raises:
        InputError: no such file, another format, not a text, or no cue in it.
    """
    return _read(path).messages


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


def _read(path: Path) -> Captions:
    ending = path.suffix.lower()
    if ending not in _READERS:
        endings = ", ".join(ENDINGS[:-1]) + f" or {ENDINGS[-1]}"
        raise InputError(f"captions {path}: expected a {endings} file; convert it")
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= _LARGEST else b""
    except OSError as error:
        raise InputError(f"captions {path}: no such file, or not readable") from error
    if size > _LARGEST:
        raise InputError(
            f"captions {path}: has {size / 1e6:.0f} MB, which no captions have; give another file"
        )
    try:
        text, guess = decode(data)
    except ValueError as error:
        raise InputError(f"captions {path}: {error}; give a {ending} file in UTF-8") from error
    is_vtt = text.startswith("WEBVTT")
    if ending == ".vtt" and not is_vtt:
        raise InputError(f"captions {path}: does not begin with WEBVTT; mend it or rename to .srt")
    reader = read_vtt if is_vtt else _READERS[ending]
    try:
        entries = reader(text)
    except ValueError as error:
        raise InputError(f"captions {path}: {error}; mend the file") from error
    if not entries:
        raise InputError(f"captions {path}: not one caption in it; give a complete {ending} file")
    messages, notices = utterances(entries)
    notices = [f"{path.name}: {notice}" for notice in notices]
    if guess is not None:
        notices.insert(0, f"{path.name}: not UTF-8, read as {guess}; if that is wrong, convert it")
    return Captions(messages, path, notices)


def sidecars(recording: Path) -> list[Path]:
    """Caption files with the recording's stem: the plain name first, forced ones last. For a link,
    those beside the link, then those beside the file that it points to."""
    target = Path(os.path.realpath(recording))
    paths = _beside(recording)
    if target != Path(os.path.abspath(recording)):
        paths += [path for path in _beside(target) if not _has(paths, path)]
    return paths


def _beside(recording: Path) -> list[Path]:
    stem = recording.stem
    try:
        beside = list(recording.parent.iterdir())
    except OSError:  # the folder may be entered, but not listed
        return []
    paths = [path for path in beside if has_name_of(path, recording) and path.is_file()]

    def key(path: Path) -> tuple[bool, bool, int, str]:
        forced = ".forced" in path.stem[len(stem) :].lower()
        return forced, path.stem != stem, ENDINGS.index(path.suffix.lower()), path.name

    return sorted(paths, key=key)


def _has(paths: Iterable[Path], path: Path) -> bool:
    """Whether a file is among others, by links too."""
    return any(os.path.samefile(path, other) for other in paths)


def is_sidecar(path: Path, recording: Path) -> bool:
    """Whether a file at this path would be taken for the recording's captions."""
    places = (recording, Path(os.path.realpath(recording)))
    return any(has_name_of(path, place) and _same_folder(path, place) for place in places)


def _same_folder(path: Path, other: Path) -> bool:
    try:
        return path.parent.samefile(other.parent)
    except OSError:
        return False


def has_name_of(path: Path, recording: Path) -> bool:
    """Whether it is named as captions of the recording: `talk.vtt`, `talk.en.vtt` or
    `talk.en.forced.vtt`."""
    name = re.escape(recording.stem) + r"(\.[\w-]{2,15}(\.(forced|sdh|cc|hi))?)?"
    return path.suffix.lower() in _READERS and re.fullmatch(name, path.stem) is not None
