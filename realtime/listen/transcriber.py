"""The words and the features of an utterance."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from gscon_live.model.encoders.text.normalisation import normalised
from gscon_live.realtime.listen.session_language import Language
from gscon_live.realtime.listen.whisper import Recognised
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.stage import Clock, Gauges, Incoming, Outgoing, Stage, no_clock

Samples = NDArray[np.float32]


class TextFeatures(Protocol):
    """A text encoder: words to a vector, in the context of the conversation. `languages` has the
    ISO 639-1 codes of those that it reads."""

    languages: Sequence[str]

    def has_words(self, text: str) -> bool: ...
    def provisional(self, text: str, speaker: str) -> NDArray[np.float32]: ...
    def final(self, text: str, speaker: str) -> NDArray[np.float32]: ...
    def reset(self) -> None: ...


class AudioFeatures(Protocol):
    """An audio encoder: mono 16 kHz sound to statistics, and these to a vector that begins with
    them, relative to the speaker's usual voice."""

    def statistics(self, samples: Samples) -> NDArray[np.float32]: ...
    def provisional(self, statistics: NDArray[np.float32], speaker: str) -> NDArray[np.float32]: ...
    def final(self, statistics: NDArray[np.float32], speaker: str) -> NDArray[np.float32]: ...
    def reset(self) -> None: ...


class SpeakerNames(Protocol):
    """Names speakers by the acoustic statistics of their utterances, with which a vector begins."""

    def provisional(self, audio: NDArray[np.float32]) -> str: ...
    def final(self, audio: NDArray[np.float32]) -> str: ...
    def reset(self) -> None: ...


class Recogniser(Protocol):
    """Speech recognition: mono 16 kHz sound to words."""

    def __call__(self, samples: Samples) -> Recognised: ...
    def final(self, recognised: Recognised) -> None: ...
    def reset(self) -> None: ...


class Transcriber(Stage):
    """Stage: segments in, utterances with words and features out.

    A segment at a pause (`final` false) is work ahead: if the pause was the end of the utterance,
    the result is used again. Messages other than `Segment` pass through in order, except for `End`,
    which every stage sends itself.

    Args:
        whisper: recognises the words of segments without text; None leaves them without words.
        text: the text encoder.
        audio: the audio encoder.
        speakers: names the speakers of segments without a speaker.
        language: the ISO 639-1 code of the captions; None: one that is read.
        clock: measures the processing time.
    """

    def __init__(
        self,
        whisper: Recogniser | None,
        text: TextFeatures,
        audio: AudioFeatures,
        speakers: SpeakerNames,
        language: str | None = None,
        clock: Clock = no_clock,
    ) -> None:
        self._whisper = whisper
        self._text = text
        self._audio = audio
        self._speakers = speakers
        self._language = None if language is None else Language(language, 1.0)
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Forgets the conversation, and the work ahead."""
        self._text.reset()
        self._audio.reset()
        self._speakers.reset()
        if self._whisper is not None:
            self._whisper.reset()
        self._ahead: tuple[messages.Segment, _Work] | None = None
        self._busy = 0.0
        self._reused = 0

    def gauges(self) -> Gauges:
        """Seconds of work on the last utterance, and how often work ahead was used."""
        return {"busy": round(self._busy, 3), "reused": float(self._reused)}

    def process(self, message: Incoming) -> Iterator[Outgoing]:
        """See the class."""
        if isinstance(message, messages.End):
            return
        if not isinstance(message, messages.Segment):
            yield message
            return
        ahead, self._ahead = self._ahead, None
        if message.final and ahead is not None and _same(ahead[0], message):
            self._reused += 1
            work = ahead[1]
        else:
            work = self._work(message)
        if message.final:
            self._remember(message, work)
            yield _as_final(work.utterance, message.at)
        else:
            self._ahead = message, work
            yield work.utterance

    def stale(self, message: Incoming, waiting: Sequence[Incoming]) -> bool:
        """Whether a provisional segment is out of date: a later one of its utterance waits."""
        return (
            isinstance(message, messages.Segment)
            and not message.final
            and any(
                isinstance(later, messages.Segment)
                and later.key == message.key
                and later.end != message.end
                for later in waiting
            )
        )

    def _work(self, segment: messages.Segment) -> "_Work":
        began = self._clock()
        missing: dict[str, str] = {}
        samples = (
            np.frombuffer(segment.audio, np.float32)
            if segment.audio is not None
            else np.zeros(0, np.float32)
        )
        words = self._words(segment, samples)
        missing |= words.missing
        transcribed = self._clock()
        statistics: NDArray[np.float32] | None = None
        if segment.audio is None:
            missing["audio"] = "no audio track"
        elif not np.any(samples):
            missing["audio"] = "silence"
        else:
            statistics = self._audio.statistics(samples)
        speaker = segment.speaker
        if speaker is None and statistics is not None:
            speaker = self._speakers.provisional(statistics)
        name = speaker or messages.UNNAMED
        audio = None if statistics is None else self._audio.provisional(statistics, name)
        vector = self._text.provisional(words.read, name) if words.read else None
        done = self._clock()
        self._busy = done - began
        utterance = messages.Utterance(
            segment.key,
            segment.start,
            segment.end,
            segment.at,
            segment.final,
            words.text,
            words.source,
            speaker,
            _raw(vector),
            _raw(audio),
            missing,
            messages.Timing(transcription=transcribed - began, features=done - transcribed),
            words.language,
            segment.envelope,
        )
        return _Work(utterance, words)

    def _remember(self, segment: messages.Segment, work: "_Work") -> None:
        """Adds a final utterance to the conversation. The encoders have its result already, so this
        costs nothing."""
        utterance, words = work
        name = utterance.speaker or messages.UNNAMED
        if utterance.audio_features is not None:
            audio = np.frombuffer(utterance.audio_features, np.float32)
            if segment.speaker is None:
                self._speakers.final(audio)
            self._audio.final(audio, name)
        if words.read:
            self._text.final(words.read, name)
        if self._whisper is not None and words.recognised is not None:
            self._whisper.final(words.recognised)

    def _words(self, segment: messages.Segment, samples: Samples) -> "_Words":
        if segment.text is not None:
            if self._text.has_words(segment.text):
                words = _Words(segment.text, "captions", language=self._language)
                return self._read(words, segment.text)
            without = "the caption has no words" if segment.final else "the caption is not over yet"
            return _Words(missing={"text": without})
        if self._whisper is None:
            return _Words(missing={"text": "no transcriber"})
        recognised = self._whisper(samples)
        if recognised.reason is not None:
            return _Words(missing={"text": recognised.reason}, recognised=recognised)
        words = _Words(recognised.text, "asr", language=recognised.language, recognised=recognised)
        # A recogniser writes punctuation and case by chance.
        plain = normalised(recognised.text) or recognised.text
        return words._replace(read=plain) if recognised.translated else self._read(words, plain)

    def _read(self, words: "_Words", text: str) -> "_Words":
        """The words with what the encoder reads of them, or why it does not."""
        language = words.language
        if language is not None and language.code not in self._text.languages:
            return words._replace(missing={"text": _unread(language)})
        return words._replace(read=text)


class _Words(NamedTuple):
    """The words of an utterance: as they are shown, their source, as the text encoder reads them
    (empty: it does not), why they are missing, and their language."""

    text: str = ""
    source: str = "none"
    read: str = ""
    missing: Mapping[str, str] = MappingProxyType({})
    language: Language | None = None
    recognised: Recognised | None = None


class _Work(NamedTuple):
    """An utterance, and the words that it was made of."""

    utterance: messages.Utterance
    words: _Words


def _unread(language: Language) -> str:
    """Why the words of a language are no evidence."""
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    name = LANGUAGES.get(language.code, language.code).capitalize()
    return f"the words are {name}; emotions are read from English words only"


def _raw(vector: NDArray[np.float32] | None) -> bytes | None:
    return None if vector is None else vector.tobytes()


def _same(ahead: messages.Segment, final: messages.Segment) -> bool:
    """Whether the final segment has the sound and bounds of the one that was worked on ahead."""
    # The words of captions come only with the final segment.
    return final.text is None and msgspec.structs.replace(ahead, at=final.at, final=True) == final


def _as_final(utterance: messages.Utterance, at: float) -> messages.Utterance:
    return msgspec.structs.replace(utterance, final=True, at=at)
