"""The messages that travel inside the pipeline.

Times are seconds of media time from the session's start. Audio is mono float32 at 16 kHz, frames
are BGR uint8, features float32; all as raw little-endian bytes, so that a message is one
MessagePack frame and decodes without a copy. Public events are in `realtime.events.schema`.
"""

import msgspec

from gscon_live.model.labels import SAMPLE_RATE

#: The speaker of an utterance whose speaker nobody names.
UNNAMED = "S1"


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Base of all pipeline messages."""


class Control(Message, frozen=True):
    """Base of what holds the stream together. It travels on every link unless the link says
    otherwise, and no link drops it."""


class AudioChunk(Message, frozen=True):
    """Captured sound; `time` is that of its first sample."""

    time: float
    samples: bytes


class VideoFrame(Message, frozen=True):
    """One captured picture, rows of BGR pixels."""

    time: float
    width: int
    height: int
    pixels: bytes


class Cue(Message, frozen=True):
    """One caption: words with utterance bounds, and the speaker where the captions name one."""

    start: float
    end: float
    text: str
    speaker: str | None = None


class Mark(Control, frozen=True):
    """A watermark: nothing with an earlier time follows on this link.

    `source` names the service that says it. A source's mark is about all media that it captures.
    """

    time: float
    source: str


class Dropped(Control, frozen=True):
    """Something was lost at `time`: `what` (as in `events.Gap`), how many, how long, and why."""

    time: float
    what: str
    count: int
    seconds: float
    reason: str


class End(Control, frozen=True):
    """The sender has nothing more to send; `source` is its service name."""

    source: str
    time: float


class Restarted(Control, frozen=True):
    """The stage `source` was restarted: what it was working on is lost."""

    source: str


class SpeechStarted(Message, frozen=True):
    """Speech began; `key` names the utterance inside the pipeline (its first sample)."""

    key: int
    start: float


class Segment(Message, frozen=True):
    """The sound of an utterance: so far, at a pause (`final` false), or complete (`final` true).

    `at` is the media time at which the segmenter could know this. `text` and `speaker` come from
    captions; `text` None asks for transcription. `audio` is None where there is no audio track.
    """

    key: int
    start: float
    end: float
    at: float
    final: bool
    audio: bytes | None
    text: str | None = None
    speaker: str | None = None


class Timing(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Seconds of processing spent on an utterance, by stage; zeros where no clock runs."""

    transcription: float = 0.0
    features: float = 0.0
    fusion: float = 0.0


class Utterance(Message, frozen=True):
    """An utterance with its words and its text and audio features.

    A feature is None where its modality is missing; `missing` says why, by modality.
    """

    key: int
    start: float
    end: float
    at: float
    final: bool
    text: str
    text_source: str
    speaker: str | None
    text_features: bytes | None
    audio_features: bytes | None
    missing: dict[str, str]
    timing: Timing = Timing()


class Face(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One tracked face in a frame: identity, box (x, y, width, height in pixels), features, and how
    much more its mouth has moved since the frame before than the rest of it, in grey levels."""

    track: int
    box: tuple[int, int, int, int]
    features: bytes
    mouth: float = 0.0


class Faces(Message, frozen=True):
    """The faces of one frame, possibly none; also a watermark for `time`."""

    time: float
    faces: list[Face]


AnyMessage = (
    AudioChunk
    | VideoFrame
    | Cue
    | Mark
    | Dropped
    | End
    | Restarted
    | SpeechStarted
    | Segment
    | Utterance
    | Faces
)


def complete_at(message: object) -> float:
    """The media time in seconds at which a captured message is complete; 0 where it has none."""
    match message:
        case AudioChunk(time=time, samples=samples):
            return time + len(samples) / 4 / SAMPLE_RATE
        case VideoFrame(time=time) | Mark(time=time) | Dropped(time=time) | End(time=time):
            return time
    return 0.0
