"""The configuration of a live or replay set-up: every key, its type, unit and default.

`configs/live.yaml` is the one that ships. Any key can be overridden on the command line, for
example `segmentation.hangover=0.4`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from gscon_live.configs.loader import Renamed
from gscon_live.model.speech.endpoint_detector import Segmentation
from gscon_live.realtime.events.endpoint import DEFAULT

#: No number in a set-up is larger than a day has seconds; infinity is none.
DAY = 86_400.0

Positive = Annotated[float, Meta(gt=0, le=DAY)]
NotNegative = Annotated[float, Meta(ge=0, le=DAY)]
Probability = Annotated[float, Meta(ge=0, le=1)]


class Microphone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sound capture: device name or index (None: the system's default), block length in s."""

    device: str | int | None = None
    block: Positive = 0.02


class Camera(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Picture capture: index, URL or file (None: no camera), requested size and rate.

    `rate` is the number of pictures per second that are analysed; `retry` the seconds between
    attempts to reopen a camera that has gone.
    """

    device: str | int | None = 0
    width: Annotated[int, Meta(ge=64)] = 640
    height: Annotated[int, Meta(ge=48)] = 480
    rate: Positive = 10.0
    retry: Positive = 1.0


class Recording(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Reading a media file: which audio track (None: the default one), how wide a frame may be."""

    audio_track: Annotated[int, Meta(ge=0)] | None = None
    max_width: Annotated[int, Meta(ge=64)] = 640


def _after_captions(model: str | None, transcriber: Any) -> Any:
    """The transcriber that takes captions first and this model where there are none."""
    if model is None or not (transcriber is None or str(transcriber).startswith("auto")):
        return "auto" if transcriber is None else transcriber
    return f"auto:{model}"


class Transcription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where words come from.

    `transcriber` is one of
    - `auto`: captions, else the faster-whisper model `small`, else no words;
    - `auto:MODEL`: the same with another model, by name or directory;
    - `MODEL`: this model, by name or directory, also where there are captions;
    - `off`: captions, else no words.

    `language` None lets the model detect it. `max_no_speech`, `min_log_probability` and
    `max_compression` are the guards against words invented in silence.
    """

    deprecated: ClassVar[Mapping[str, Renamed]] = {
        "name": Renamed("transcriber", _after_captions),
        "directory": Renamed("transcriber", _after_captions),
    }

    transcriber: str = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compute_type: str = "int8"
    language: str | None = None
    beam_size: Annotated[int, Meta(ge=1)] = 1
    max_no_speech: Probability = 0.6
    min_log_probability: float = -1.0
    max_compression: Positive = 2.4


class Features(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Encoders: a local `transformers` directory for text (None: the shipped MiniLM), the YuNet
    model file (None: the cached one if there is one, otherwise OpenCV's cascade), and the smallest
    face in pixels that is used."""

    text_model: str | None = None
    face_detector: str | None = None
    min_face: Annotated[int, Meta(ge=16)] = 32


class Speakers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is speaking, where captions do not say so: at most so many voices are told apart (1: none
    are, and everybody is S1)."""

    deprecated: ClassVar[Mapping[str, str]] = {"most": "max_speakers"}

    max_speakers: Annotated[int, Meta(ge=1, le=64)] = 4


class Recognition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The emotion model: checkpoint name or path, context length in utterances (None: the one it
    was trained with), the confidence below which an answer is marked as abstained, how often
    utterances are neutral in conversations such as this one (None: as where the model was
    calibrated), and the time constant in seconds of the average over a speaker's answers (0: each
    utterance is answered for itself)."""

    checkpoint: str = "live"
    context: Annotated[int, Meta(ge=1)] | None = None
    abstain_below: Probability = 0.35
    neutral_prior: Annotated[float, Meta(gt=0, lt=1)] | None = None
    smoothing: NotNegative = 0.0


class Curve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """CURVE key files (made with `gscon-live keys DIR`); needed beyond loopback.

    `secret` is this publisher's own secret key file; `clients` the directory of the public keys
    of those who may subscribe.
    """

    secret: str
    clients: str


class Publish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The event stream: ZeroMQ endpoint (None: not published), CURVE keys, and whether the words
    are in the events."""

    endpoint: str | None = DEFAULT
    curve: Curve | None = None
    text: bool = True


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole set-up."""

    microphone: Microphone = Microphone()
    camera: Camera = Camera()
    recording: Recording = Recording()
    segmentation: Segmentation = Segmentation()
    transcription: Transcription = Transcription()
    features: Features = Features()
    speakers: Speakers = Speakers()
    recognition: Recognition = Recognition()
    publish: Publish = Publish()
