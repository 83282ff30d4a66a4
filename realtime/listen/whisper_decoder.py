"""Whisper's decoder: from what its encoder read to words, with their times and probabilities."""

import string
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gscon_live.realtime.listen.hallucination_guards import Piece
from gscon_live.realtime.pipeline.settings import Transcription

if TYPE_CHECKING:
    from ctranslate2 import StorageView
    from faster_whisper import WhisperModel

#: Tokens that hot words, a prompt and the words before may have. The decoder takes 223 in all.
MAX_HOT_WORDS, MAX_PROMPT, MAX_BEFORE = 60, 100, 60
#: The decoder's positions per second of sound, and mel frames for each.
POSITIONS_PER_SECOND, FRAMES_PER_POSITION = 50, 2
#: Languages that are written without spaces, as the tokenizer has them.
UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue"})


class Prefix(NamedTuple):
    """Words that are known already: `before` those of earlier sound, for context; `tokens` with
    which the words of this sound begin, and their mean log probability."""

    before: str = ""
    tokens: tuple[int, ...] = ()
    log_probability: float = 0.0


#: No word is known.
NOTHING = Prefix()


class Unit(NamedTuple):
    """A word, or a punctuation mark, as the decoder writes it: with the space before it."""

    text: str
    tokens: tuple[int, ...]


class Word(NamedTuple):
    """A word with the punctuation after it, its bounds in seconds, and its probability."""

    word: str
    start: float
    end: float
    probability: float


class Decoder:
    """Whisper's decoder for a language and a task: `transcribe` or `translate`."""

    def __init__(
        self, model: "WhisperModel", settings: Transcription, language: str, task: str
    ) -> None:
        from faster_whisper.tokenizer import Tokenizer
        from faster_whisper.transcribe import get_suppressed_tokens

        self._model = model.model
        self._tokens = Tokenizer(
            model.hf_tokenizer, model.model.is_multilingual, task=task, language=language
        )
        self._spaced = language not in UNSPACED
        self._suppressed = get_suppressed_tokens(self._tokens, [-1])
        self._known = [
            *self._encoded(settings.hot_words)[:MAX_HOT_WORDS],
            *self._encoded(settings.prompt)[-MAX_PROMPT:],
        ]

    def _encoded(self, text: str | None) -> list[int]:
        tokens: list[int] = self._tokens.encode(f" {text.strip()}") if text else []
        return tokens

    def __call__(
        self, encoded: "StorageView", limit: int, beam: int, prefix: Prefix
    ) -> tuple[Piece, tuple[int, ...]]:
        """The words and their tokens, at most `limit` and those of the prefix, with which they
        begin."""
        from faster_whisper.transcribe import get_compression_ratio

        known = [*self._known, *self._encoded(prefix.before)[-MAX_BEFORE:]]
        prompt = [self._tokens.sot_prev, *known] if known else []
        prompt += [*self._tokens.sot_sequence, self._tokens.no_timestamps, *prefix.tokens]
        (answer,) = self._model.generate(
            encoded,
            [prompt],
            beam_size=beam,
            max_length=len(prompt) + limit,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._suppressed,
        )
        tokens = tuple(answer.sequences_ids[0])
        text = self._tokens.decode(list(tokens))
        # The score is the sum over the tokens that were chosen, divided by the number of all.
        total = answer.scores[0] * len(tokens) + prefix.log_probability * len(prefix.tokens)
        piece = Piece(
            text,
            # The end counts as a token as well.
            total / (len(tokens) + 1),
            answer.no_speech_prob,
            get_compression_ratio(text),
        )
        return piece, tokens

    def text(self, tokens: Sequence[int]) -> str:
        """The text of some tokens."""
        return str(self._tokens.decode(list(tokens)))

    def units(self, tokens: Sequence[int]) -> list[Unit]:
        """The words and punctuation marks of some tokens."""
        texts, parts = self._tokens.split_to_word_tokens(list(tokens))
        return [Unit(text, tuple(part)) for text, part in zip(texts, parts, strict=True)]

    def words(self, encoded: "StorageView", units: Sequence[Unit], seconds: float) -> list[Word]:
        """The words of units, with times in the sound. Each ends where the next begins.

        Args:
            encoded: the encoder's output for the sound.
            units: what was understood.
            seconds: the length of the sound.
        """
        bounds, probabilities = self._align(encoded, units, seconds)
        words: list[Word] = []
        for number, unit in enumerate(units):
            start, end = bounds[number : number + 2]
            if words and self._belongs_to_the_last(unit.text):
                words[-1] = words[-1]._replace(word=words[-1].word + unit.text, end=end)
            else:
                words.append(Word(unit.text.strip(), start, end, probabilities[number]))
        return words

    def bounds(self, encoded: "StorageView", units: Sequence[Unit], seconds: float) -> list[float]:
        """Where units begin, in seconds of the sound, and where the last ends; as `words`."""
        return self._align(encoded, units, seconds)[0]

    def _align(
        self, encoded: "StorageView", units: Sequence[Unit], seconds: float
    ) -> tuple[list[float], list[float]]:
        """The bounds of units, one more than there are, and their probabilities."""
        tokens = [token for unit in units for token in unit.tokens]
        if not tokens:
            return [seconds], []
        frames = max(1, round(seconds * POSITIONS_PER_SECOND)) * FRAMES_PER_POSITION
        (alignment,) = self._model.align(encoded, self._tokens.sot_sequence, [tokens], [frames])
        starts = np.full(len(tokens) + 1, seconds)
        for token, position in reversed(alignment.alignments):
            if token < len(tokens):
                starts[token] = min(seconds, position / POSITIONS_PER_SECOND)
        edges = np.cumsum([0, *(len(unit.tokens) for unit in units)])
        chances = np.split(np.asarray(alignment.text_token_probs, float)[: edges[-1]], edges[1:-1])
        return [float(starts[edge]) for edge in edges], [float(np.mean(each)) for each in chances]

    def _belongs_to_the_last(self, text: str) -> bool:
        """Whether a unit is punctuation after a word, or a part of it."""
        if self._spaced:
            return not text.startswith(" ") or all(c in string.punctuation for c in text.strip())
        return not any(map(str.isalnum, text))
