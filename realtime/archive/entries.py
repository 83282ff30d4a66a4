"""What an archive knows of its recordings: the records of its journal."""

from typing import Literal

import msgspec

FORMAT: Literal["gscon.archive/1"] = "gscon.archive/1"


class Header(msgspec.Struct, frozen=True, kw_only=True, tag="archive"):
    """The first record of a journal; `version` is the package's that began it."""

    format: Literal["gscon.archive/1"]
    version: str


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a recording is; all results depend on it.

    `name` is its file's name, which the events contain. `content` is a hash of the recording and of
    the captions in use. `duration` is in seconds.
    """

    name: str
    content: str
    duration: float
    has_audio: bool
    has_video: bool
    has_captions: bool


class Voice(msgspec.Struct, frozen=True, kw_only=True):
    """A speaker in a recording.

    `seconds` is the speaking time, `confidence` the mean, `labels` counts the utterances by their
    likeliest emotion, and `probabilities` has the mean of each.
    """

    utterances: int
    seconds: float
    confidence: float
    abstained: int
    labels: dict[str, int]
    probabilities: dict[str, float]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A recording in short.

    `missing` counts the utterances without a modality. `shape` and `heights` are the sparkline: for
    each of equal parts of the duration, the number of the likeliest emotion (`.`: nobody speaks),
    and the confidence in tenths. `notices` were printed for the user.
    """

    session: str
    duration: float
    utterances: int
    gaps: int
    speakers: dict[str, Voice]
    missing: dict[str, int]
    model: str
    shape: str
    heights: str
    notices: list[str]


class Entry(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """A recording whose results are there.

    `path` is absolute. `stamp` tells whether the file and its captions are as they were. `key`
    names all that the results depend on, `folder` is where they are, and `views` is the version of
    the code that wrote report and table from the events.
    """

    path: str
    stamp: str
    key: str
    folder: str
    views: str
    facts: Facts
    summary: Summary


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """A recording or a folder without results, and why, with the remedy."""

    path: str
    reason: str


class Cleared(msgspec.Struct, frozen=True, kw_only=True, tag="cleared"):
    """A failure that a later run tries again."""

    path: str


Line = Header | Entry | Failed | Cleared
