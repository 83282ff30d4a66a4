"""The public event stream, schema `gscon.events/1`.

One JSON object per event. Over ZeroMQ an event is one single-part message `topic SPACE json`; in a
file it is a line. Field names are stable within a major version; readers ignore unknown fields.
`python -m realtime.events.schema` prints the JSON Schema, which also ships as
`schema.json` beside this module.
"""

import sys
from typing import Annotated, Any, Literal

import msgspec

from gscon_live.model.labels import EMOTIONS

SCHEMA: Literal["gscon.events/1"] = "gscon.events/1"

#: Seconds of media time. The first sound may have been captured just before the session's start.
#: What is beyond the bounds, 3,000 years, is no time.
Seconds = Annotated[float, msgspec.Meta(ge=-1.0, le=1e11)]
#: Seconds of work or delay.
Delay = Annotated[float, msgspec.Meta(ge=-1e11, le=1e11)]
Probability = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
#: A number that every language has: JavaScript's integers end there.
Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 53) - 1)]

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
    "face": "face",
}


class TimedWord(msgspec.Struct, frozen=True, kw_only=True):
    """A recognised word with the punctuation after it, its bounds, and its probability."""

    word: str
    start: Seconds
    end: Seconds
    probability: Probability


class UtteranceInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who said what when; times in seconds of media time from the session's start. `language` is
    the ISO 639-1 code of the session's language as recognition knows it so far, with its
    probability; 1 where a setting or the model fixes it. `stable_text` is the beginning of the text
    that all later events of the utterance have too; provisional events only. `words` are there
    where a setting asks for them. `overlap` has the seconds in which two people speak at once;
    absent where that is not known."""

    id: Count
    start: Seconds
    end: Seconds
    speaker: str
    text: str
    text_source: TextSource
    language: str | None = None
    language_probability: float | None = None
    stable_text: str | None = None
    words: list[TimedWord] | None = None
    overlap: Seconds | None = None


class Emotion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fused answer. `confidence` is the calibrated probability of `label`; `abstained` says
    that its expected error is above the configured limit, so that `label` should not be acted upon.
    `prior` has the share of each emotion that the probabilities were moved to; without it they are
    at the model's own. `model_label` is the model's answer where a person confirmed or corrected
    `label`; only in files with corrections."""

    label: str
    confidence: Probability
    probabilities: dict[str, Probability]
    abstained: bool
    prior: dict[str, Probability] | None = None
    model_label: str | None = None


class Modality(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One modality's own opinion, or the reason why it is missing."""

    present: bool = msgspec.field()
    probabilities: dict[str, Probability] | None = None
    reason: str | None = None
    #: visual only: the tracked face that was used, and how many faces were in view
    face: Count | None = None
    faces: Count | None = None
    #: visual only: so many more faces were in view and not compared; absent where there were none
    faces_left_out: Count | None = None
    #: text only: which words were left out so that the answer was in time, and why
    left_out: str | None = None


class Modalities(msgspec.Struct, frozen=True, kw_only=True):
    text: Modality
    audio: Modality
    visual: Modality


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds from the end of speech to the event, and the parts that are known; live only."""

    end_of_speech_to_event: Delay
    segmentation: Delay
    transcription: Delay
    features: Delay
    fusion: Delay


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    version: str


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What every event has: the schema, the session and a number that grows by one per event."""

    schema: Literal["gscon.events/1"] = msgspec.field()
    session: str = msgspec.field()
    seq: Count = msgspec.field()

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

    duration: Seconds
    utterances: Count
    complete: bool


class SpeechStarted(Event, frozen=True, kw_only=True, tag="speech.started"):
    utterance: Count
    start: Seconds


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

    time: Seconds
    what: What
    count: Count
    seconds: Seconds
    reason: str


class Health(Event, frozen=True, kw_only=True, tag="health"):
    """A stage failed, was restarted, fell behind or recovered."""

    time: Seconds
    stage: str
    status: Literal["failed", "restarted", "behind", "recovered", "lost"]
    detail: str


class TrackedFace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A face in a picture: its track, its box (left, top, width and height as shares of the
    picture's width and height), what its expression looks like in this picture alone, and whether
    it is likely to be the one that speaks. `probabilities` are absent where it was not encoded, as
    many faces were in view."""

    track: Count
    box: tuple[Probability, Probability, Probability, Probability]
    speaks: bool = msgspec.field()
    probabilities: dict[str, Probability] | None = None


class FaceEvent(Event, frozen=True, kw_only=True, tag="face"):
    """The faces of a picture, at most ten times a second; live only, for subscribers to the topic
    `face` alone. These events have numbers of their own, and are in no file."""

    time: Seconds
    faces: list[TrackedFace]


AnyEvent = (
    SessionStarted
    | SessionEnded
    | SpeechStarted
    | UtteranceEvent
    | Provisional
    | Gap
    | Health
    | FaceEvent
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
    """Reads one event.

    Raises:
        msgspec.DecodeError: the line is none, or has a number out of its bounds.
        UnicodeDecodeError: the line is no UTF-8.
    """
    try:
        return _decoder.decode(line)
    except RecursionError as error:
        raise msgspec.DecodeError("nested too deeply") from error


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
