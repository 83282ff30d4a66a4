"""What a session is made of: everything a worker process needs to know, in one value."""

from collections.abc import Callable

import msgspec

from gscon_live.realtime.listen.transcription_source import Words
from gscon_live.realtime.pipeline.bus import Endpoints
from gscon_live.realtime.pipeline.services import Link
from gscon_live.realtime.pipeline.settings import Settings
from gscon_live.realtime.pipeline.stage import Source, Stage


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


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """One process: its service, what it takes and sends, and where it finds the others.

    Args:
        service: the service's name.
        build: `module:function` that makes the stage or the source.
        source: whether it is a source.
        answers: whether its events are those of the session.
        takes: the links on which it receives.
        sends: the links on which it sends.
        plan: the session.
        endpoints: the addresses of the others.
        restarts: how often the service has been restarted.
        utterances: how many utterances have been numbered in the session so far.
    """

    service: str
    build: str
    source: bool
    answers: bool
    takes: tuple[Link, ...]
    sends: tuple[Link, ...]
    plan: Plan
    endpoints: Endpoints
    restarts: int = 0
    utterances: int = 0


#: Gives the session's time zero on the monotonic clock; 0 before the session has started.
StartTime = Callable[[], float]
#: What `Worker.build` names: makes the stage or the source in its own process.
Builder = Callable[[Worker, StartTime], Stage | Source]
