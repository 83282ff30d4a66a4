"""Chooses the sound of a recording, and who speaks in each part of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gscon_live.common.errors import InputError
from gscon_live.realtime.capture.caption_names import stated_name
from gscon_live.realtime.capture.stream_choice import choose_audio
from gscon_live.realtime.pipeline.settings import Recording

#: Speakers at most, as voices.
MOST = 64
#: What programs write as the names of tracks, which is nobody's name.
_NO_NAMES = ("handler", "media", "sound", "audio", "stereo", "mono", "gpac", "mainconcept", "lavf")


class Sound(NamedTuple):
    """The audio streams in use; how many of their channels are kept (None: they are mixed to one);
    the names of those who speak in them (empty: voices tell); the number of tracks in the file; and
    notices for the user."""

    streams: list[Any]
    channels: int | None
    speakers: list[str]
    tracks: int
    notices: list[str]


def choose_sound(path: Path, container: Any, settings: Recording, source: str) -> Sound:
    """The sound of a recording.

    Args:
        path: the file, for errors.
        container: the open file.
        settings: which audio track.
        source: what tells speakers apart: the setting `speakers.from`.

    Raises:
        InputError: there is no such track, it cannot be decoded, or it has a single speaker.
    """
    if source == "tracks":
        return _of_tracks(path, container, settings.audio_track)
    choice = choose_audio(path, container, settings.audio_track)
    streams = [] if choice.stream is None else [choice.stream]
    if source == "voices":
        return Sound(streams, None, [], choice.tracks, choice.notices)
    count = choice.stream.codec_context.layout.nb_channels if streams else 0
    if count < 2:
        instead = "tracks" if choice.tracks > 1 else "voices"
        what = "its sound has a single channel" if streams else "it has no sound"
        raise _refusal(path, "channels", what, f"give speakers.from={instead}")
    _check_number(path, "channels", count)
    return Sound(streams, count, numbered(count), choice.tracks, choice.notices)


def _of_tracks(path: Path, container: Any, wanted: int | None) -> Sound:
    if wanted is not None:
        raise _refusal(
            path, "tracks", "recording.audio_track takes one of them", "leave one of both out"
        )
    tracks = list(container.streams.audio)
    usable = [track for track in tracks if track.codec_context is not None]
    lacking = len(tracks) - len(usable)
    notices = [f"{lacking} of its {len(tracks)} audio tracks cannot be decoded"] if lacking else []
    check_tracks(path, usable)
    return Sound(usable, None, names_of(usable), len(tracks), notices)


def check_tracks(path: Path, streams: Sequence[Any]) -> None:
    """Refuses a recording that has not several audio tracks."""
    if len(streams) < 2:
        what, instead = "it has no audio track that can be read", "voices"
        if streams:
            what = "it has a single audio track"
            instead = "channels" if streams[0].codec_context.layout.nb_channels > 1 else "voices"
        raise _refusal(path, "tracks", what, f"give speakers.from={instead}")
    _check_number(path, "tracks", len(streams))


def _check_number(path: Path, source: str, count: int) -> None:
    if count > MOST:
        raise _refusal(path, source, f"it has {count} of them", f"{MOST} are the most")


def _refusal(path: Path, source: str, what: str, remedy: str) -> InputError:
    return InputError(f"recording {path}: speakers.from={source}, but {what}; {remedy}")


def numbered(count: int) -> list[str]:
    """The names of speakers without one: S1, S2, ..."""
    return [f"S{number + 1}" for number in range(count)]


def names_of(streams: Sequence[Any]) -> list[str]:
    """Who speaks in each track: its title if that may be a name, else S1, S2, ... by its place."""
    names: list[str] = []
    for number, stream in zip(numbered(len(streams)), streams, strict=True):
        tags = {key.casefold(): value for key, value in stream.metadata.items()}
        stated = (stated_name(tags.get("title")), _person(stated_name(tags.get("handler_name"))))
        name = next(filter(None, stated), number)
        taken = {other.casefold() for other in names}
        names.append(number if name.casefold() in taken else name)
    return names


def _person(name: str | None) -> str | None:
    """A name that no program wrote."""
    if name is None or any(word in name.casefold() for word in _NO_NAMES):
        return None
    return name
