"""Cues as a caption file or track has them, before their markup is read."""

import msgspec


class Written(msgspec.Struct, frozen=True):
    """A cue with its markup.

    `start` and `end` are in seconds; `speaker` is the format's own field for a name; `where` is the
    place in the file, for messages.
    """

    start: float
    end: float
    payload: str
    speaker: str | None = None
    where: str = ""


class Unreadable(msgspec.Struct, frozen=True):
    """A cue that cannot be read; `start` is a guess: the start of the cue before it, in seconds."""

    start: float
    where: str
