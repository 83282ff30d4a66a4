"""Speech recognition with Whisper, which reads the speech and little more.

Whisper was trained on windows of 30 s, and its usual callers fill every utterance up to that. The
encoder's cost grows with what it reads, so here it reads the speech and some room after it. Where
the answer is unsure, repeats itself, or runs into its limit of tokens, a longer window is read, and
30 s at last.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gscon_live.common.errors import InputError
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.listen.hallucination_guards import (
    MAX_WORDS_PER_SECOND,
    Piece,
    believe,
    repeats,
)
from gscon_live.realtime.listen.session_language import Evidence, Language, SessionLanguage
from gscon_live.realtime.listen.whisper_decoder import NOTHING, Decoder, Prefix, Unit, Word
from gscon_live.realtime.pipeline.settings import Transcription

if TYPE_CHECKING:
    from ctranslate2 import StorageView

Samples = NDArray[np.float32]

#: The language to which Whisper translates.
ENGLISH = "en"
#: Seconds that are read after the speech. With less, Whisper repeats itself.
ROOM = 3.0
#: Seconds of sound for which Whisper was trained.
WINDOW = 30.0
#: Lengths of windows in seconds.
Windows = tuple[float, ...]
#: Windows in which doubtful words are read again, one after the other, until they are clear. The
#: first clears up most short sentences, at a quarter of the cost.
AGAIN: Windows = (12.0, WINDOW)
#: Limits of the decoder, per second and in all. Fast speech has about six tokens per second.
TOKENS_PER_SECOND, MAX_TOKENS = 12, 224
#: Hypotheses that the decoder follows while somebody speaks.
QUICK_BEAM = 1


#: Says whether words are not needed any more.
Outdated = Callable[[], bool]


class NotNeeded(Exception):
    """A reading was left off, as its words are not needed any more."""


class Recognised(NamedTuple):
    """What a recogniser understood: the words, or no words and the reason; the language of the
    session as far as it is known, and whether the words are translated from it to English; and what
    this sound tells of it. `stable` is the beginning of the text that will stay, empty where none
    is. `words` has times in seconds from the beginning of the sound, if they are asked for. `read`
    is how many seconds the encoder read in all; 0: not known. `hasty`: something says that the
    words are wrong, and they were not read again."""

    text: str
    reason: str | None = None
    language: Language | None = None
    translated: bool = False
    evidence: Evidence | None = None
    stable: str = ""
    words: tuple[Word, ...] | None = None
    read: float = 0.0
    hasty: bool = False


class Part(NamedTuple):
    """A part of a sound as it was read: the words, their tokens, what the encoder made of it, its
    beginning and length in seconds, whether something says that the words are wrong, and how many
    seconds the encoder read."""

    piece: Piece
    tokens: tuple[int, ...]
    encoded: "StorageView"
    start: float
    seconds: float
    doubtful: bool
    read: float


class Reading(NamedTuple):
    """A sound as it was read: its parts in order, their language, and what it tells of that."""

    parts: tuple[Part, ...]
    language: Language
    evidence: Evidence | None


class Whisper:
    """Speech recognition with faster-whisper, and guards against hallucinations.

    Args:
        directory: a CTranslate2 Whisper model.
        settings: device, language, beam, and the limits of the guards.

    Raises:
        InputError: the directory has no usable model, or the device does not exist.
    """

    def __init__(self, directory: str, settings: Transcription) -> None:
        from faster_whisper import WhisperModel

        self._settings = settings
        try:
            self._model = WhisperModel(
                directory,
                device=settings.device,
                compute_type=settings.compute_type,
                cpu_threads=1,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise InputError(
                f"transcriber {directory}: cannot load it on {settings.device} "
                f"({' '.join(str(error).split())[:160]}); give another model, "
                "transcription.device or transcription.compute_type"
            ) from error
        language = settings.language
        if language is not None and language not in self._model.supported_languages:
            raise InputError(
                f"transcription.language {language!r}: this model knows "
                f"{', '.join(self._model.supported_languages[:12])}…"
            )
        if not self._model.model.is_multilingual:
            language = ENGLISH
        self._language = SessionLanguage(language)
        self._decoders: dict[str, Decoder] = {}

    def reset(self) -> None:
        """Forgets the language of the session."""
        self._language.reset()

    @property
    def settings(self) -> Transcription:
        """The settings."""
        return self._settings

    @property
    def language_known(self) -> bool:
        """Whether the language of the session is held."""
        return self._language.known

    def __call__(self, samples: Samples) -> Recognised:
        """Recognises mono 16 kHz sound."""
        if not np.any(samples):
            return Recognised("", "silence")
        reading = self.read(samples)
        seconds = len(samples) / SAMPLE_RATE
        text, reason = believe([part.piece for part in reading.parts], seconds, self._settings)
        words = tuple(self.words(reading)) if text and self._settings.word_times else None
        return self.recognised(reading, text, reason)._replace(words=words)

    def recognised(self, reading: Reading, text: str, reason: str | None) -> Recognised:
        """The result of a reading, with the text of it that is believed."""
        translated = self._translates(reading.language.code)
        read = sum(part.read for part in reading.parts)
        hasty = any(part.doubtful and part.read < WINDOW for part in reading.parts)
        return Recognised(
            text, reason, reading.language, translated, reading.evidence, read=read, hasty=hasty
        )

    def read(
        self,
        samples: Samples,
        prefix: Prefix = NOTHING,
        *,
        quick: bool = False,
        again: Windows = AGAIN,
        outdated: Outdated = lambda: False,
    ) -> Reading:
        """Reads mono 16 kHz sound that is not all zeros.

        Args:
            samples: the sound.
            prefix: words that are known already.
            quick: read once, with the fewest hypotheses.
            again: the windows in which it may be read again where something says that the words are
                wrong; a quick reading is not.
            outdated: asked now and then.

        Raises:
            NotNeeded: the words are outdated.
        """
        seconds = len(samples) / SAMPLE_RATE
        parts: list[Part] = []
        evidence: Evidence | None = None
        language: Language | None = None
        for sound in np.array_split(samples, int(np.ceil(seconds / (WINDOW - ROOM)))):
            features = self._model.feature_extractor(sound)
            own = len(sound) / SAMPLE_RATE
            encoded = self._encode(features, own + ROOM)
            if language is None:
                evidence = self._evidence(encoded, seconds)
                language = self._language.provisional(evidence)
            start = parts[-1].start + parts[-1].seconds if parts else 0.0
            known = NOTHING if parts else prefix
            decoder = self._decoder(language.code)
            _check(outdated)
            part = self._decode(decoder, encoded, start, own, known, quick)
            _check(outdated)
            for length in () if quick else again:
                if part.doubtful and length > own + ROOM:
                    encoded = self._encode(features, length)
                    _check(outdated)
                    longer = self._decode(decoder, encoded, start, own, known, quick)
                    _check(outdated)
                    part = longer._replace(read=part.read + length)
            parts.append(part)
        assert language is not None
        return Reading(tuple(parts), language, evidence)

    def units(self, reading: Reading) -> list[Unit]:
        """The words and punctuation marks of a reading."""
        decoder = self._decoder(reading.language.code)
        return [unit for part in reading.parts for unit in decoder.units(part.tokens)]

    def bounds(self, reading: Reading, units: Sequence[Unit]) -> list[float]:
        """Where the units of a reading with one part begin, in seconds, and where the last ends."""
        (part,) = reading.parts
        return self._decoder(reading.language.code).bounds(part.encoded, units, part.seconds)

    def words(self, reading: Reading) -> Iterator[Word]:
        """The words of a reading, with times in seconds from the beginning of the sound."""
        decoder = self._decoder(reading.language.code)
        for part in reading.parts:
            units = decoder.units(part.tokens)
            for word in decoder.words(part.encoded, units, part.seconds):
                yield word._replace(start=part.start + word.start, end=part.start + word.end)

    def final(self, recognised: Recognised) -> None:
        """Remembers what a final utterance tells of the session's language."""
        if recognised.evidence is not None and recognised.text:
            self._language.final(recognised.evidence)

    def _translates(self, language: str) -> bool:
        return self._settings.translate and language != ENGLISH

    def _encode(self, features: NDArray[np.float32], seconds: float) -> "StorageView":
        """What the encoder makes of some seconds of log-mel features [mels, frames]."""
        from ctranslate2 import StorageView

        extractor = self._model.feature_extractor
        # The encoder halves the number of frames.
        pairs = round(seconds * extractor.sampling_rate / extractor.hop_length / 2)
        frames = min(extractor.nb_max_frames, 2 * pairs)
        # What follows on the sound: in a whole window zeros, as faster-whisper has it, which read
        # best there; in a shorter one the lowest value, as silence.
        after = 0.0 if frames == extractor.nb_max_frames else features.min()
        read = np.full((1, len(features), frames), after, np.float32)
        known = features[:, :frames]
        read[0, :, : known.shape[1]] = known
        return self._model.model.encode(StorageView.from_array(read))

    def _evidence(self, encoded: "StorageView", seconds: float) -> Evidence | None:
        """What the sound tells of the language; None where the language is known."""
        if self._language.known:
            return None
        (likely,) = self._model.model.detect_language(encoded)
        return Evidence({token[2:-2]: probability for token, probability in likely}, seconds)

    def _decoder(self, language: str) -> Decoder:
        if language not in self._decoders:
            task = "translate" if self._translates(language) else "transcribe"
            self._decoders[language] = Decoder(self._model, self._settings, language, task)
        return self._decoders[language]

    def _decode(
        self,
        decoder: Decoder,
        encoded: "StorageView",
        start: float,
        seconds: float,
        prefix: Prefix,
        quick: bool,
    ) -> Part:
        """The words of what was encoded."""
        limit = min(MAX_TOKENS, round(16 + TOKENS_PER_SECOND * seconds))
        beam = min(QUICK_BEAM, self._settings.beam_size) if quick else self._settings.beam_size
        piece, tokens = decoder(encoded, limit, beam, prefix)
        fast = len(piece.text.split()) > MAX_WORDS_PER_SECOND * max(seconds, 0.2)
        unsure = piece.log_probability < self._settings.reread_below
        doubtful = len(tokens) >= limit or fast or unsure or repeats(piece.text)
        return Part(piece, tokens, encoded, start, seconds, doubtful, seconds + ROOM)


def _check(outdated: Outdated) -> None:
    if outdated():
        raise NotNeeded
