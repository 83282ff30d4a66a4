"""Chooses the sound and the pictures of a recording among the streams of its file."""

from pathlib import Path
from typing import Any, NamedTuple

import av

from gscon_live.common.errors import InputError


class Choice(NamedTuple):
    """The chosen stream or None, the number of streams of its kind, and notices for the user."""

    stream: Any
    tracks: int
    notices: list[str]


def choose_audio(path: Path, container: Any, wanted: int | None) -> Choice:
    """The sound of a recording: the track that the user named, else the file's default.

    Args:
        path: the file, for errors.
        container: the open file.
        wanted: the number of the audio track, from 0; None: the default.

    Raises:
        InputError: there is no such track, or it cannot be decoded.
    """
    tracks = list(container.streams.audio)
    if wanted is not None:
        return Choice(_named(path, tracks, wanted), len(tracks), [])
    usable = [track for track in tracks if track.codec_context is not None]
    notices = []
    if len(usable) < len(tracks):
        notices.append("an audio track has a codec that cannot be decoded")
    if not usable:
        return Choice(None, len(tracks), notices)
    chosen = next((t for t in usable if t.disposition & _flag("default")), usable[0])
    if len(tracks) > 1:
        which = tracks.index(chosen)
        other = next(i for i in range(len(tracks)) if i != which)
        notices.append(
            f"has {len(tracks)} audio tracks, using number {which}; "
            f"choose with recording.audio_track={other}"
        )
    return Choice(chosen, len(tracks), notices)


def _named(path: Path, tracks: list[Any], wanted: int) -> Any:
    if wanted >= len(tracks):
        has = f"{len(tracks)} audio track{'s' * (len(tracks) != 1)}"
        raise InputError(
            f"recording {path}: recording.audio_track={wanted}, but the file has {has}; "
            "counting starts at 0"
        )
    if tracks[wanted].codec_context is None:
        raise InputError(
            f"recording {path}: audio track {wanted} has a codec that FFmpeg cannot decode; "
            "convert the file, or choose another track"
        )
    return tracks[wanted]


def choose_video(container: Any) -> Choice:
    """The moving pictures of a recording; covers, thumbnails and stills are none."""
    still = _flag("attached_pic") | _flag("timed_thumbnails") | _flag("still_image")
    moving = [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None and not stream.disposition & still
    ]
    notices = [f"has {len(moving)} video tracks, using one"] if len(moving) > 1 else []
    chosen = next((s for s in moving if s.disposition & _flag("default")), [*moving, None][0])
    return Choice(chosen, len(moving), notices)


def _flag(name: str) -> Any:
    return getattr(av.stream.Disposition, name)
