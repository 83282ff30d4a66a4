"""What a session is made of: everything a worker process needs to know, in one value."""

from collections.abc import Callable
from typing import Any

import msgspec

from gscon_live.realtime.listen.transcription_source import Words
from gscon_live.realtime.pipeline.bus import Endpoints
from gscon_live.realtime.pipeline.settings import Settings


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A session, decided: sources, words, pace.

    `recording` is the path of a media file, or None in a live session with microphone and camera.
    `captions` is what `RecordingSource` takes: "auto", "off" or a path. `speed` paces a recording
    (None: as fast as it goes). `record` is the folder in which sound and picture are kept. `live`
    chooses the delivery policies, the clock and restarts.
    """

    session: str
    settings: Settings
    live: bool
    words: Words
    has_audio: bool
    has_video: bool
    recording: str | None = None
    captions: str = "auto"
    microphone: bool = False
    camera: bool = False
    preview: bool = False
    record: str | None = None
    speed: float | None = None

    def services(self) -> frozenset[str]:
        """The services that run in this session."""
        names = {"segment", "transcribe", "recognise"}
        if self.recording is not None:
            names.add("recording")
        if self.microphone:
            names.add("microphone")
        if self.camera:
            names.add("camera")
        if self.has_video:
            names.add("watch")
        if self.preview:
            names.add("preview")
        if self.record is not None:
            names.add("record")
        return frozenset(names)


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """One process: the service, what builds it, and where it finds the others.

    `build` is a module-level function `(worker, t0) -> Stage` or, for sources, `-> Source`.
    `restarts` counts how often the service has been restarted; `utterances` how many have been
    numbered in the session so far.
    """

    service: str
    build: Callable[..., Any]
    plan: Plan
    endpoints: Endpoints
    restarts: int = 0
    utterances: int = 0
