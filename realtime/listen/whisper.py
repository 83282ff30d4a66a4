"""Speech recognition with Whisper, which reads the speech and little more.

Whisper was trained on windows of 30 s, and its usual callers fill every utterance up to that. The
encoder's cost grows with what it reads, so here it reads the speech and some room after it. Where
the answer is unsure, repeats itself, or runs into its limit of tokens, all 30 s are read.
"""

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
from gscon_live.realtime.pipeline.settings import Transcription

if TYPE_CHECKING:
    from ctranslate2 import StorageView
    from faster_whisper import WhisperModel

Samples = NDArray[np.float32]

#: The language to which Whisper translates.
ENGLISH = "en"
#: Seconds that are read after the speech. With less, Whisper repeats itself.
ROOM = 3.0
#: Seconds of sound for which Whisper was trained.
WINDOW = 30.0
#: Limits of the decoder, per second and in all. Fast speech has about six tokens per second.
TOKENS_PER_SECOND, MAX_TOKENS = 12, 224
#: Tokens that a prompt may have, see `Transcription.prompt`.
MAX_PROMPT = 100


class Recognised(NamedTuple):
    """What a recogniser understood: the words, or no words and the reason; the language of the
    session as far as it is known, and whether the words are translated from it to English; and what
    this sound tells of it."""

    text: str
    reason: str | None = None
    language: Language | None = None
    translated: bool = False
    evidence: Evidence | None = None


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
        self._decoders: dict[str, _Decoder] = {}

    def reset(self) -> None:
        """Forgets the language of the session."""
        self._language.reset()

    def __call__(self, samples: Samples) -> Recognised:
        """Recognises mono 16 kHz sound."""
        if not np.any(samples):
            return Recognised("", "silence")
        seconds = len(samples) / SAMPLE_RATE
        pieces: list[Piece] = []
        evidence: Evidence | None = None
        language: Language | None = None
        for part in np.array_split(samples, int(np.ceil(seconds / (WINDOW - ROOM)))):
            features = self._model.feature_extractor(part)
            encoded = self._encode(features, len(part) / SAMPLE_RATE + ROOM)
            if language is None:
                evidence = self._evidence(encoded, seconds)
                language = self._language.provisional(evidence)
            pieces.append(self._decode(features, encoded, language.code, len(part) / SAMPLE_RATE))
        text, reason = believe(pieces, seconds, self._settings)
        translated = language is not None and self._translates(language.code)
        return Recognised(text, reason, language, translated, evidence)

    def final(self, recognised: Recognised) -> None:
        """Remembers what a final utterance tells of the session's language."""
        if recognised.evidence is not None and recognised.text:
            self._language.final(recognised.evidence)

    def _translates(self, language: str) -> bool:
        return self._settings.translate and language != ENGLISH

    def _encode(self, features: NDArray[np.float32], seconds: float) -> "_Encoded":
        """What the encoder makes of some seconds of log-mel features [mels, frames]."""
        from ctranslate2 import StorageView

        extractor = self._model.feature_extractor
        # The encoder halves the number of frames.
        pairs = round(seconds * extractor.sampling_rate / extractor.hop_length / 2)
        frames = min(extractor.nb_max_frames, 2 * pairs)
        read = np.full((1, len(features), frames), features.min(), np.float32)
        known = features[:, :frames]
        read[0, :, : known.shape[1]] = known
        sound = StorageView.from_array(read)
        return _Encoded(self._model.model.encode(sound), frames == extractor.nb_max_frames)

    def _evidence(self, encoded: "_Encoded", seconds: float) -> Evidence | None:
        """What the sound tells of the language; None where the language is known."""
        if self._language.known:
            return None
        (likely,) = self._model.model.detect_language(encoded.output)
        return Evidence({token[2:-2]: probability for token, probability in likely}, seconds)

    def _decode(
        self, features: NDArray[np.float32], encoded: "_Encoded", language: str, seconds: float
    ) -> Piece:
        """The words of what was encoded."""
        if language not in self._decoders:
            task = "translate" if self._translates(language) else "transcribe"
            self._decoders[language] = _Decoder(self._model, self._settings, language, task)
        decoder = self._decoders[language]
        limit = min(MAX_TOKENS, round(16 + TOKENS_PER_SECOND * seconds))
        piece, tokens = decoder(encoded.output, limit)
        fast = len(piece.text.split()) > MAX_WORDS_PER_SECOND * max(seconds, 0.2)
        unsure = piece.log_probability < self._settings.reread_below
        if (tokens >= limit or fast or unsure or repeats(piece.text)) and not encoded.full:
            piece, _ = decoder(self._encode(features, WINDOW).output, limit)
        return piece


class _Encoded(NamedTuple):
    """The encoder's output, and whether it read a whole window."""

    output: "StorageView"
    full: bool


class _Decoder:
    """Whisper's decoder for a language and a task: `transcribe` or `translate`."""

    def __init__(
        self, model: "WhisperModel", settings: Transcription, language: str, task: str
    ) -> None:
        from faster_whisper.tokenizer import Tokenizer
        from faster_whisper.transcribe import get_suppressed_tokens

        self._model = model
        self._beam = settings.beam_size
        self._tokens = Tokenizer(
            model.hf_tokenizer, model.model.is_multilingual, task=task, language=language
        )
        self._suppressed = get_suppressed_tokens(self._tokens, [-1])
        known = self._tokens.encode(f" {settings.prompt.strip()}") if settings.prompt else []
        before = [self._tokens.sot_prev, *known[-MAX_PROMPT:]] if known else []
        self._prompt = [*before, *self._tokens.sot_sequence, self._tokens.no_timestamps]

    def __call__(self, encoded: "StorageView", limit: int) -> tuple[Piece, int]:
        """The words, and their number of tokens, at most `limit`."""
        from faster_whisper.transcribe import get_compression_ratio

        (answer,) = self._model.model.generate(
            encoded,
            [self._prompt],
            beam_size=self._beam,
            max_length=len(self._prompt) + limit,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._suppressed,
        )
        tokens: list[int] = answer.sequences_ids[0]
        text = self._tokens.decode(tokens)
        return Piece(
            text,
            # The score is the mean over the tokens without the end, which counts here as well.
            answer.scores[0] * len(tokens) / (len(tokens) + 1),
            answer.no_speech_prob,
            get_compression_ratio(text),
        ), len(tokens)
