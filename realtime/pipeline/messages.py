"""The messages inside the pipeline.

Times are seconds of media time from the session's start. Audio is mono float32 at 16 kHz, frames
are BGR uint8, features float32, all as raw little-endian bytes: a message is a MessagePack frame
and is decoded without a copy. Public events are in `realtime.events.schema`.
"""

import msgspec

from gscon_live.model.labels import SAMPLE_RATE

#: Seconds of a level in an envelope: a window of the voice activity detector.
LEVEL_SECONDS = 512 / SAMPLE_RATE
#: The speaker's name if neither captions nor the voice give one.
UNNAMED = "S1"


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Base of all pipeline messages."""


class Control(Message, frozen=True):
    """Base of messages about the stream itself. No link drops them."""


class AudioChunk(Message, frozen=True):
    """Captured sound; `time` is the time of its first sample. With several `channels`, each is
    another speaker's; all samples of the first come before those of the second."""

    time: float
    samples: bytes
    channels: int = 1


class VideoFrame(Message, frozen=True):
    """A captured picture, rows of BGR pixels. `full_width` is its width before it was scaled down;
    0: the same."""

    time: float
    width: int
    height: int
    pixels: bytes
    full_width: int = 0


class Cue(Message, frozen=True):
    """A caption: words, bounds of the utterance, and the speaker, if the captions have names."""

    start: float
    end: float
    text: str
    speaker: str | None = None


class Mark(Control, frozen=True):
    """A watermark: nothing with an earlier time follows on this link.

    `source` is the service that sends it. The mark of a source holds for all its media.
    """

    time: float
    source: str


class Dropped(Control, frozen=True):
    """Something was lost at `time`: `what` (as in `schema.Gap`), how many, how long, and why."""

    time: float
    what: str
    count: int
    seconds: float
    reason: str


class End(Control, frozen=True):
    """The sender has ended; `source` is its service."""

    source: str
    time: float


class Restarted(Control, frozen=True):
    """The service `source` was restarted; its unfinished work is lost."""

    source: str


class SpeechStarted(Message, frozen=True):
    """Speech began; `key` identifies the utterance inside the pipeline."""

    key: int
    start: float


class Segment(Message, frozen=True):
    """The sound of an utterance: complete (`final` true), or so far (false).

    `at` is the media time at which the segmenter knew it. `text` and `speaker` come from captions;
    without `text` the transcriber recognises the words. `audio` is None without an audio track.
    `envelope` has the level in dB of every 32 ms from `start` on, as float32, NaN where the voice
    paused; empty where it is not known. `overlap` has the seconds in which somebody else spoke too,
    where every speaker has a channel; else None.
    """

    key: int
    start: float
    end: float
    at: float
    final: bool
    audio: bytes | None
    text: str | None = None
    speaker: str | None = None
    envelope: bytes = b""
    overlap: float | None = None


class Timing(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Processing time of an utterance in seconds, by stage; zeros in a replay."""

    transcription: float = 0.0
    features: float = 0.0
    fusion: float = 0.0


class TimedWord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A recognised word, its bounds in seconds of media time, and its probability."""

    word: str
    start: float
    end: float
    probability: float


class Utterance(Message, frozen=True):
    """An utterance with its words and its text and audio features.

    The features of a missing modality are None; `missing` has the reasons by modality. `language`
    has the ISO 639-1 code of the recognised words and its probability, as far as they are known.
    While somebody speaks, `stable` is the beginning of the text that will stay. `words` are there
    if they were asked for. `left_out` says which words are left out, and why. `envelope` is that of
    the `Segment`. `overlap` has the seconds in which two people spoke at once; None: not known.
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
    language: tuple[str, float] | None = None
    stable: str = ""
    words: list[TimedWord] | None = None
    left_out: str = ""
    envelope: bytes = b""
    overlap: float | None = None


class Face(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A tracked face in a frame: identity, box (x, y, width, height in pixels), features, and the
    movement of its mouth since the last frame, in grey levels (see `watch.mouth`). The features are
    empty where others of many faces were encoded."""

    track: int
    box: tuple[int, int, int, int]
    features: bytes
    mouth: float = 0.0


class Faces(Message, frozen=True):
    """The faces of a frame, possibly none; also a watermark for `time`.

    Where all faces were too small, `too_small` is the width in pixels of the largest, and `remedy`
    says what helps. `left_out` counts large enough faces that were not encoded, as they were too
    many. `width` and `height` are those of the frame in pixels; 0: not known.
    """

    time: float
    faces: list[Face]
    too_small: int = 0
    remedy: str = ""
    left_out: int = 0
    width: int = 0
    height: int = 0


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
    """The media time in seconds at which a captured message is complete; 0 if it has no time."""
    match message:
        case AudioChunk(time=time, samples=samples, channels=channels):
            return time + len(samples) / 4 / channels / SAMPLE_RATE
        case VideoFrame(time=time) | Mark(time=time) | Dropped(time=time) | End(time=time):
            return time
    return 0.0
