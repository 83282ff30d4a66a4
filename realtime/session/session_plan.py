"""The plan of a session, and the part of it for a worker process."""

from collections.abc import Callable

import msgspec

from gscon_live.realtime.listen.transcription_source import Words
from gscon_live.realtime.pipeline.bus import Endpoints
from gscon_live.realtime.pipeline.services import Link
from gscon_live.realtime.pipeline.settings import Settings
from gscon_live.realtime.pipeline.stage import Source, Stage
from gscon_live.realtime.pipeline.visitor import Visitor


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A session: sources, words, pace.

    `recording` is the path of a media file, or None with microphone and camera. `captions` is as in
    `RecordingSource`: "auto", "off" or a path. `speed` is the pace of a recording (None: as fast as
    possible). `speakers` has the names of those who have a channel of the sound each; empty where
    voices tell them apart. `visitor` says which of microphone and camera are the browser's.
    `record` is the folder for the recording of sound and pictures. `live` decides on the delivery
    policies, the clock and restarts.
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
    record: str | None = None
    speed: float | None = None
    speakers: tuple[str, ...] = ()
    visitor: Visitor | None = None


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A process: its service, its links, and the addresses of the other processes.

    Args:
        service: the service's name.
        build: `module:function` that builds the stage or source.
        source: whether it is a source.
        answers: whether its events are those of the session.
        takes: the links on which it receives.
        sends: the links on which it sends.
        plan: the session's plan.
        endpoints: the addresses of all sockets.
        restarts: number of restarts of the service so far.
        utterances: the highest number of an utterance so far.
        reached: the media time in seconds up to which the service had heard before its restart.
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
    reached: float = 0.0


#: Gives the start of the session on the monotonic clock; 0 before the start.
StartTime = Callable[[], float]
#: The type of the functions in `Worker.build`.
Builder = Callable[[Worker, StartTime], Stage | Source]
