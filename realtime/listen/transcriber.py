"""The words and the features of an utterance."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from gscon_live.model.encoders.text.normalisation import normalised
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.model.speech.endpoint_detector import TAIL
from gscon_live.realtime.listen.pace import Pace
from gscon_live.realtime.listen.session_language import Language
from gscon_live.realtime.listen.transcriber_parts import (
    AudioFeatures,
    KnownNames,
    Recogniser,
    SpeakerNames,
    TextFeatures,
)
from gscon_live.realtime.listen.whisper import ROOM, NotNeeded, Outdated, Recognised
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.stage import Clock, Gauges, Incoming, Outgoing, Stage, no_clock

Samples = NDArray[np.float32]

#: Why there are no words while somebody speaks, where the machine is too slow to read them.
_NOT_YET = "the words are read when the utterance ends"


class Transcriber(Stage):
    """Stage: segments in, utterances with words and features out.

    A segment at a pause (`final` false) is work ahead: if the pause was the end of the utterance,
    the result is used again. A segment of somebody who speaks gives the words so far. Where there
    is no time to read the sound, the words that were read before are used, and `left_out` says so.
    Messages other than `Segment` pass through in order, except for `End`, which every stage sends
    itself.

    Args:
        whisper: recognises the words of segments without text; None leaves them without words.
        text: the text encoder.
        audio: the audio encoder.
        speakers: names the speakers of segments without a speaker.
        language: the ISO 639-1 code of the captions; None: one that is read.
        clock: measures the processing time.
        media_clock: the present media time; None in a replay, where there is always time.
        answer_within: seconds after the end of speech in which an answer must come; None: no limit.
        enrolled: gives speakers the names of enrolled voices; None: they keep their own.
        overlap: for how many seconds two people speak at once in a sound, float32 [n] at 16 kHz; it
            is asked where the segment does not know. None: nobody is asked.
    """

    def __init__(
        self,
        whisper: Recogniser | None,
        text: TextFeatures,
        audio: AudioFeatures,
        speakers: SpeakerNames,
        language: str | None = None,
        clock: Clock = no_clock,
        media_clock: Clock | None = None,
        answer_within: float | None = None,
        enrolled: KnownNames | None = None,
        overlap: Callable[[Samples], float] | None = None,
    ) -> None:
        self._whisper = whisper
        self._text = text
        self._audio = audio
        self._speakers = speakers
        self._enrolled = enrolled
        self._language = None if language is None else Language(language, 1.0)
        self._clock = clock
        self._pace = Pace(answer_within, media_clock)
        self._overlap = overlap
        self._waiting: Callable[[], Sequence[Incoming]] = tuple
        self.reset()

    def reset(self) -> None:
        """Forgets the conversation, and the work ahead."""
        self._text.reset()
        self._audio.reset()
        self._speakers.reset()
        if self._enrolled is not None:
            self._enrolled.reset()
        if self._whisper is not None:
            self._whisper.reset()
        self._pace.reset()
        # By key: of those who speak at once, each has an utterance that is not over.
        self._heard: dict[int, tuple[messages.Segment, Recognised]] = {}
        self._ahead: dict[int, tuple[messages.Segment, _Work]] = {}
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
        ahead = self._ahead.pop(message.key, None)
        if message.final and ahead is not None and _same(ahead[0], message):
            self._reused += 1
            work = ahead[1]
        else:
            try:
                work = self._work(message)
            except NotNeeded:
                return
        if message.final:
            self._remember(message, work)
            # The conversation has gone on, and what was worked on ahead does not know of it.
            self._ahead.clear()
            self._heard.pop(message.key, None)
            yield msgspec.structs.replace(work.utterance, final=True, at=message.at)
        else:
            if not _speaking(message) and not (self._pace.unlimited and work.words.hasty):
                self._ahead[message.key] = message, work
            yield work.utterance

    def attend(self, waiting: Callable[[], Sequence[Incoming]]) -> None:
        """Provisional work is left off once a later segment of its utterance waits."""
        self._waiting = waiting

    def stale(self, message: Incoming, waiting: Sequence[Incoming]) -> bool:
        """Whether a provisional segment is out of date: a later one of its utterance waits, or its
        words so far come too late."""
        if not isinstance(message, messages.Segment) or message.final:
            return False
        late = _speaking(message) and self._pace.late(message.at)
        return late or _superseded(message, waiting)

    def _work(self, segment: messages.Segment) -> "_Work":
        began = self._clock()
        missing: dict[str, str] = {}
        samples = np.frombuffer(segment.audio or b"", np.float32)
        words = self._words(segment, samples)
        missing |= words.missing
        transcribed = self._clock()
        heard = self._heard.get(segment.key)
        if heard is not None and heard[0] is segment:
            read = heard[1].read or len(samples) / SAMPLE_RATE + ROOM
            self._pace.took(read, _speaking(segment), transcribed - began)
        if self._outdated(segment)():
            raise NotNeeded
        statistics: NDArray[np.float32] | None = None
        if segment.audio is None:
            missing["audio"] = "no audio track"
        elif not np.any(samples):
            missing["audio"] = "silence"
        else:
            statistics = self._audio.statistics(samples)
        overlap = segment.overlap
        # Asked once for an utterance: while somebody speaks, nobody waits for it.
        ask = self._overlap if statistics is not None and not _speaking(segment) else None
        if overlap is None and ask is not None:
            overlap = round(min(ask(samples), segment.end - segment.start), 3)
        speaker = named = segment.speaker
        if speaker is None and statistics is not None:
            speaker = named = self._speakers.provisional(statistics)
            if self._enrolled is not None:
                named = self._enrolled.provisional(speaker, statistics)
        # The encoders know a speaker by the name that does not change.
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
            named,
            _raw(vector),
            _raw(audio),
            missing,
            messages.Timing(transcription=transcribed - began, features=done - transcribed),
            words.language,
            words.stable,
            words.timed(segment, len(samples)),
            words.left_out,
            segment.envelope,
            overlap,
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
                name = self._speakers.final(audio)
                if self._enrolled is not None:
                    self._enrolled.final(name, audio)
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
        recognised, left_out = self._recognise(self._whisper, segment, samples)
        if recognised.reason is not None:
            missing = {"text": recognised.reason}
            return _Words(missing=missing, recognised=recognised, left_out=left_out)
        words = _Words(
            recognised.text,
            "asr",
            language=recognised.language,
            recognised=recognised,
            stable="" if segment.final else recognised.stable,
            left_out=left_out,
        )
        # A recogniser writes punctuation and case by chance.
        plain = normalised(recognised.text) or recognised.text
        return words._replace(read=plain) if recognised.translated else self._read(words, plain)

    def _recognise(
        self, whisper: Recogniser, segment: messages.Segment, samples: Samples
    ) -> tuple[Recognised, str]:
        """The words of a segment, and which of them are left out because there was no time."""
        speaking, seconds = _speaking(segment), len(samples) / SAMPLE_RATE
        if self._pace.allows(seconds, speaking, segment.end):
            again = self._pace.again(seconds, speaking, segment.end, segment.final)
            outdated = self._outdated(segment)
            recognised = whisper(samples, segment.key, speaking, outdated, again)
            self._heard[segment.key] = segment, recognised
            return recognised, ""
        if segment.key in self._heard:
            heard, recognised = self._heard[segment.key]
            after = f"after {heard.end:.1f} s"
        else:
            recognised, after = Recognised("", _NOT_YET if speaking else ""), ""
        if speaking:
            return recognised, ""
        left_out = " ".join(
            f"words {after} left out: they would have come later than "
            f"{self._pace.within:g} s (recognition.answer_within)".split()
        )
        return recognised._replace(reason=None if recognised.text else left_out), left_out

    def _outdated(self, segment: messages.Segment) -> Outdated:
        if segment.final:
            return lambda: False
        return lambda: _superseded(segment, self._waiting())

    def _read(self, words: "_Words", text: str) -> "_Words":
        """The words with what the encoder reads of them, or why it does not."""
        language = words.language
        if language is not None and language.code not in self._text.languages:
            return words._replace(missing={"text": _unread(language)})
        return words._replace(read=text)


class _Words(NamedTuple):
    """The words of an utterance: as they are shown, their source, as the text encoder reads them
    (empty: it does not), why they are missing, their language, those that are stable, and what is
    left out."""

    text: str = ""
    source: str = "none"
    read: str = ""
    missing: Mapping[str, str] = MappingProxyType({})
    language: Language | None = None
    recognised: Recognised | None = None
    stable: str = ""
    left_out: str = ""

    @property
    def hasty(self) -> bool:
        """Whether the words seem wrong and were not read again."""
        return self.recognised is not None and self.recognised.hasty

    def timed(self, segment: messages.Segment, count: int) -> list[messages.TimedWord] | None:
        """The words with media times; the segment has so many samples."""
        if self.recognised is None or self.recognised.words is None:
            return None
        # The sound begins before the first voice, and goes on for a little after the last one.
        origin = min(segment.end + TAIL, segment.at) - count / SAMPLE_RATE

        def media_time(seconds: float) -> float:
            return round(min(max(segment.start, origin + seconds), segment.end), 3)

        return [
            messages.TimedWord(word, media_time(start), media_time(end), round(probability, 4))
            for word, start, end, probability in self.recognised.words
        ]


class _Work(NamedTuple):
    """An utterance, and the words that it was made of."""

    utterance: messages.Utterance
    words: _Words


def _unread(language: Language) -> str:
    """Why the words of a language are no evidence."""
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    name = LANGUAGES.get(language.code, language.code).capitalize()
    return f"the words are {name}; emotions are read from English words only"


def _superseded(segment: messages.Segment, waiting: Sequence[Incoming]) -> bool:
    """Whether a later segment of the same utterance waits."""
    return any(
        isinstance(later, messages.Segment)
        and later.key == segment.key
        and later.end != segment.end
        for later in waiting
    )


def _speaking(segment: messages.Segment) -> bool:
    """Whether somebody speaks at the end of a segment: it is neither final nor at a pause."""
    return not segment.final and segment.at <= segment.end


def _raw(vector: NDArray[np.float32] | None) -> bytes | None:
    return None if vector is None else vector.tobytes()


def _same(ahead: messages.Segment, final: messages.Segment) -> bool:
    """Whether the final segment has the sound and bounds of the one that was worked on ahead."""
    # The words of captions come only with the final segment.
    return final.text is None and msgspec.structs.replace(ahead, at=final.at, final=True) == final
