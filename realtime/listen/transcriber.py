"""The words and the features of an utterance."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.text.normalisation import normalised
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.listen.hallucination_guards import Piece, believe
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.settings import Transcription
from gscon_live.realtime.pipeline.stage import Clock, Gauges, Incoming, Outgoing, Stage, no_clock

#: Limits of the decoder, per second and in all. Fast speech has about six tokens per second.
TOKENS_PER_SECOND, MAX_TOKENS = 12, 224

Samples = NDArray[np.float32]


class TextFeatures(Protocol):
    """A text encoder: words to a vector, in the context of the conversation."""

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

    def __call__(self, samples: Samples) -> tuple[str, str | None]:
        """The words in mono 16 kHz sound, and None; or no words, and the reason."""
        if not np.any(samples):
            return "", "silence"
        seconds = len(samples) / SAMPLE_RATE
        segments, _ = self._model.transcribe(
            samples,
            language=self._settings.language,
            beam_size=self._settings.beam_size,
            temperature=0.0,
            without_timestamps=True,
            condition_on_previous_text=False,
            vad_filter=False,
            max_new_tokens=min(MAX_TOKENS, round(16 + TOKENS_PER_SECOND * seconds)),
        )
        pieces = [
            Piece(part.text, part.avg_logprob, part.no_speech_prob, part.compression_ratio)
            for part in segments
        ]
        return believe(pieces, seconds, self._settings)


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
        clock: measures the processing time.
    """

    def __init__(
        self,
        whisper: Whisper | None,
        text: TextFeatures,
        audio: AudioFeatures,
        speakers: SpeakerNames,
        clock: Clock = no_clock,
    ) -> None:
        self._whisper = whisper
        self._text = text
        self._audio = audio
        self._speakers = speakers
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Forgets the conversation, and the work ahead."""
        self._text.reset()
        self._audio.reset()
        self._speakers.reset()
        self._ahead: tuple[messages.Segment, messages.Utterance] | None = None
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
            utterance = _as_final(ahead[1], message.at)
        else:
            utterance = self._work(message)
        if message.final:
            self._remember(message, utterance)
        else:
            self._ahead = message, utterance
        yield utterance

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

    def _work(self, segment: messages.Segment) -> messages.Utterance:
        began = self._clock()
        missing: dict[str, str] = {}
        samples = (
            np.frombuffer(segment.audio, np.float32)
            if segment.audio is not None
            else np.zeros(0, np.float32)
        )
        text, source = self._words(segment, samples, missing)
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
        words = self._text.provisional(_as_read(text, source), name) if text else None
        done = self._clock()
        self._busy = done - began
        return messages.Utterance(
            segment.key,
            segment.start,
            segment.end,
            segment.at,
            segment.final,
            text,
            source,
            speaker,
            _raw(words),
            _raw(audio),
            missing,
            messages.Timing(transcription=transcribed - began, features=done - transcribed),
        )

    def _remember(self, segment: messages.Segment, utterance: messages.Utterance) -> None:
        """Adds a final utterance to the conversation. The encoders have its result already, so this
        costs nothing."""
        name = utterance.speaker or messages.UNNAMED
        if utterance.audio_features is not None:
            audio = np.frombuffer(utterance.audio_features, np.float32)
            if segment.speaker is None:
                self._speakers.final(audio)
            self._audio.final(audio, name)
        if utterance.text:
            self._text.final(_as_read(utterance.text, utterance.text_source), name)

    def _words(
        self, segment: messages.Segment, samples: Samples, missing: dict[str, str]
    ) -> tuple[str, str]:
        if segment.text is not None:
            if not self._text.has_words(segment.text):
                missing["text"] = (
                    "the caption has no words" if segment.final else "the caption is not over yet"
                )
                return "", "none"
            return segment.text, "captions"
        if self._whisper is None:
            missing["text"] = "no transcriber"
            return "", "none"
        text, reason = self._whisper(samples)
        if reason is not None:
            missing["text"] = reason
            return "", "none"
        return text, "asr"


def _as_read(text: str, source: str) -> str:
    """The words as the text encoder reads them: of recognised speech without punctuation and case,
    which a recogniser writes by chance."""
    return (normalised(text) or text) if source == "asr" else text


def _raw(vector: NDArray[np.float32] | None) -> bytes | None:
    return None if vector is None else vector.tobytes()


def _same(ahead: messages.Segment, final: messages.Segment) -> bool:
    """Whether the final segment has the sound and bounds of the one that was worked on ahead."""
    # The words of captions come only with the final segment.
    return final.text is None and msgspec.structs.replace(ahead, at=final.at, final=True) == final


def _as_final(ahead: messages.Utterance, at: float) -> messages.Utterance:
    return msgspec.structs.replace(ahead, final=True, at=at)
