"""The public event stream, schema `gscon.events/1`.

One JSON object per event. Over ZeroMQ an event is one single-part message `topic SPACE json`; in a
file it is a line. Field names are stable within a major version; readers ignore unknown fields.
`python -m realtime.events.schema` prints the JSON Schema, which also ships as
`schema.json` beside this module.
"""

import sys
from typing import Any, Literal

import msgspec

from gscon_live.model.labels import EMOTIONS

SCHEMA: Literal["gscon.events/1"] = "gscon.events/1"

#: Where an utterance's words come from.
TextSource = Literal["captions", "asr", "none"]
#: What a session can write to files.
Kept = Literal["sound", "pictures", "events"]
#: What can be dropped.
What = Literal["audio", "frames", "utterance", "caption", "events"]

#: ZeroMQ topic of each event type.
TOPICS = {
    "session.started": "session",
    "session.ended": "session",
    "speech.started": "speech",
    "provisional": "emotion",
    "utterance": "emotion",
    "gap": "health",
    "health": "health",
}


class UtteranceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Who said what when; times in seconds of media time from the session's start."""

    id: int
    start: float
    end: float
    speaker: str
    text: str
    text_source: TextSource


class Emotion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fused answer. `confidence` is the calibrated probability of `label`; `abstained` says
    that its expected error is above the configured limit, so that `label` should not be acted upon.
    `prior` has the share of each emotion that the probabilities were moved to; without it they are
    at the model's own."""

    label: str
    confidence: float
    probabilities: dict[str, float]
    abstained: bool
    prior: dict[str, float] | None = None


class Modality(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One modality's own opinion, or the reason why it is missing."""

    present: bool = msgspec.field()
    probabilities: dict[str, float] | None = None
    reason: str | None = None
    #: visual only: the tracked face that was used, and how many faces were in view
    face: int | None = None
    faces: int | None = None


class Modalities(msgspec.Struct, frozen=True, kw_only=True):
    text: Modality
    audio: Modality
    visual: Modality


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds from the end of speech to the event, and the parts that are known; live only."""

    end_of_speech_to_event: float
    segmentation: float
    transcription: float
    features: float
    fusion: float


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    version: str


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What every event has: the schema, the session and a number that grows by one per event."""

    schema: Literal["gscon.events/1"] = msgspec.field()
    session: str = msgspec.field()
    seq: int = msgspec.field()

    @property
    def type(self) -> str:
        """What happened: "utterance", "session.started", and so on; see `TOPICS`."""
        return str(self.__struct_config__.tag)


class SessionStarted(Event, frozen=True, kw_only=True, tag="session.started"):
    """`source` describes where the signals come from; `emotions` is the order of the labels.
    `kept` has what the session writes to files; live only."""

    source: str
    emotions: list[str]
    model: ModelInfo
    started_at: str | None = None
    kept: list[Kept] | None = None


class SessionEnded(Event, frozen=True, kw_only=True, tag="session.ended"):
    """`complete` is false where a recording was not replayed to its end, or where utterances may
    be missing because the session failed or had to be cut short."""

    duration: float
    utterances: int
    complete: bool


class SpeechStarted(Event, frozen=True, kw_only=True, tag="speech.started"):
    utterance: int
    start: float


class _Answer(Event, frozen=True, kw_only=True):
    utterance: UtteranceInfo
    emotion: Emotion
    modalities: Modalities
    model: ModelInfo
    latency: Latency | None = None


class UtteranceEvent(_Answer, frozen=True, kw_only=True, tag="utterance"):
    """The final event of an utterance."""


class Provisional(_Answer, frozen=True, kw_only=True, tag="provisional"):
    """An utterance that is still being spoken; everything in it may change."""


class Gap(Event, frozen=True, kw_only=True, tag="gap"):
    """Something was dropped: `what` it was, how many or how long, and why."""

    time: float
    what: What
    count: int
    seconds: float
    reason: str


class Health(Event, frozen=True, kw_only=True, tag="health"):
    """A stage failed, was restarted, fell behind or recovered."""

    time: float
    stage: str
    status: Literal["failed", "restarted", "behind", "recovered", "lost"]
    detail: str


AnyEvent = (
    SessionStarted | SessionEnded | SpeechStarted | UtteranceEvent | Provisional | Gap | Health
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def topic(event: AnyEvent) -> str:
    """The ZeroMQ topic under which the event is published."""
    return TOPICS[event.type]


def encode(event: AnyEvent) -> bytes:
    """The event as one line of JSON, without the line end."""
    return _encoder.encode(event)


def decode(line: bytes | str) -> AnyEvent:
    """Reads one event. Raises `msgspec.DecodeError` where the line is none."""
    return _decoder.decode(line)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of one event."""
    schema = msgspec.json.schema(AnyEvent)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SCHEMA,
        "description": f"One event. Emotions, in order: {', '.join(EMOTIONS)}.",
        **schema,
    }


if __name__ == "__main__":
    sys.stdout.buffer.write(
        msgspec.json.format(msgspec.json.encode(json_schema()), indent=2) + b"\n"
    )
