"""The words of an utterance while it is being spoken, and at its end."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.listen.agreement import Agreement, common
from gscon_live.realtime.listen.hallucination_guards import Piece, believe
from gscon_live.realtime.listen.session_language import Language
from gscon_live.realtime.listen.whisper import (
    AGAIN,
    Outdated,
    Reading,
    Recognised,
    Whisper,
    Windows,
)
from gscon_live.realtime.listen.whisper_decoder import Prefix, Unit, Word

Samples = NDArray[np.float32]

#: Sound of more seconds is not read again from its beginning: what is stable stays behind.
LONGEST = 8.0
#: Seconds of sound that are read again in any case.
KEPT = 2.5
#: A cut is moved by so many seconds at most, to where the sound is quietest for so many.
_AROUND, _QUIET = 0.15, 0.03
#: Before the language is held, words are stable from so many seconds of speech on, where the
#: language is so probable.
_SPEECH, _PROBABLE = 3.0, 0.8
#: Utterances that are remembered beside the last one: those who speak at once take turns in being
#: read.
_OTHERS = 64
#: Marks after which a cut is best.
_ENDS = frozenset(".!?;:,。！？、，")


class WordsSoFar:
    """Reads the growing sound of an utterance again and again.

    Words on which two successive readings agree are stable: all later readings begin with them.
    Where the sound becomes long, it is cut after stable words, so that what a reading costs does
    not grow.

    Args:
        whisper: reads the sound.
    """

    def __init__(self, whisper: Whisper) -> None:
        self._whisper = whisper
        self._utterance = _Utterance(-1)
        self._others: dict[int, _Utterance] = {}

    def reset(self) -> None:
        """Forgets the session."""
        self._whisper.reset()
        self._utterance = _Utterance(-1)
        self._others.clear()

    def final(self, recognised: Recognised) -> None:
        """Remembers what a final utterance tells of the session's language."""
        self._whisper.final(recognised)

    def __call__(
        self,
        samples: Samples,
        key: int,
        speaking: bool,
        outdated: Outdated = lambda: False,
        again: Windows = AGAIN,
    ) -> Recognised:
        """Recognises mono 16 kHz sound.

        Args:
            samples: the utterance so far, from its beginning.
            key: identifies the utterance.
            speaking: whether somebody speaks at its end. Then the reading is quick.
            outdated: asked now and then.
            again: the windows in which it may be read again where something says that the words are
                wrong.

        Raises:
            NotNeeded: the words are outdated. The next reading goes on from the last one.
        """
        self._turn_to(key)
        if len(samples) <= self._utterance.cut:
            self._utterance = _Utterance(key)
        if not np.any(samples[self._utterance.cut :]):
            return self._of_silence()
        reading = self._read(samples, speaking, outdated, again)
        units = self._whisper.units(reading)
        self._utterance.agree(reading, units, self._sure(reading, len(samples) / SAMPLE_RATE))
        recognised = self._believed(reading, len(samples) / SAMPLE_RATE)
        if len(samples) - self._utterance.cut > LONGEST * SAMPLE_RATE:
            self._cut(samples, reading, units)
        return recognised

    def _turn_to(self, key: int) -> None:
        """Takes up another utterance, where its last reading ended."""
        if key == self._utterance.key:
            return
        self._others[self._utterance.key] = self._utterance
        self._utterance = self._others.pop(key, _Utterance(key))
        if len(self._others) > _OTHERS:
            del self._others[next(iter(self._others))]

    def _of_silence(self) -> Recognised:
        stable = self._utterance.text
        if not stable:
            return Recognised("", "silence")
        return Recognised(stable, stable=stable, language=self._utterance.language)

    def _read(self, samples: Samples, quick: bool, outdated: Outdated, again: Windows) -> Reading:
        utterance, whisper = self._utterance, self._whisper
        read = partial(whisper.read, quick=quick, again=again, outdated=outdated)
        reading = read(samples[utterance.cut :], utterance.prefix)
        language = utterance.language
        if utterance.text and language is not None and reading.language.code != language.code:
            # The words were read in a language that nobody speaks.
            self._utterance = _Utterance(utterance.key)
            reading = read(samples)
        return reading

    def _sure(self, reading: Reading, seconds: float) -> bool:
        """Whether words of a reading may become stable."""
        doubtful = len(reading.parts) > 1 or any(part.doubtful for part in reading.parts)
        probable = reading.language.probability >= _PROBABLE and seconds >= _SPEECH
        return not doubtful and (self._whisper.language_known or probable)

    def _believed(self, reading: Reading, seconds: float) -> Recognised:
        utterance, settings = self._utterance, self._whisper.settings
        pieces = [*utterance.behind, *(part.piece for part in reading.parts)]
        text, reason = believe(pieces, seconds, settings)
        stable = utterance.text
        if not text.startswith(stable):
            text, reason = stable, None
        recognised = self._whisper.recognised(reading, text, reason)
        words = self._timed(reading, text) if text and settings.word_times else None
        return recognised._replace(stable=stable, words=words)

    def _timed(self, reading: Reading, text: str) -> tuple[Word, ...]:
        """The words with their times; none where the text is not what was read, as repetitions were
        left out."""
        cut = self._utterance.cut
        words = [*self._utterance.words]
        words += [_later(word, cut) for word in self._whisper.words(reading)]
        same = "".join(word.word for word in words) == "".join(text.split())
        return tuple(words) if same else ()

    def _cut(self, samples: Samples, reading: Reading, units: Sequence[Unit]) -> None:
        """Leaves stable words behind, where enough sound comes after them."""
        utterance = self._utterance
        stable = utterance.agreement.stable
        if len(reading.parts) > 1 or common([unit.text for unit in units], stable) < len(stable):
            return
        bounds = self._whisper.bounds(reading, units)
        latest = (len(samples) - utterance.cut) / SAMPLE_RATE - KEPT
        fitting = [n for n in range(1, len(stable) + 1) if bounds[n] <= latest]
        if not fitting:
            return
        # The last half of them has room for a better place than the last one.
        ends = [n for n in fitting[len(fitting) // 2 :] if units[n - 1].text.strip() in _ENDS]
        number = (ends or fitting)[-1]
        at = utterance.cut + round(bounds[number] * SAMPLE_RATE)
        words: list[Word] = []
        if self._whisper.settings.word_times:
            words = [word for word in self._whisper.words(reading) if word.start < bounds[number]]
        utterance.leave(number, _quietest(samples, at), words)


class _Utterance:
    """What is known of an utterance. Of its first `cut` samples, the words are kept `behind`, with
    their times if these are asked for; `prefix` is what the sound after them begins with."""

    def __init__(self, key: int) -> None:
        self.key = key
        self.cut = 0
        self.behind: list[Piece] = []
        self.words: list[Word] = []
        self.agreement = Agreement()
        self.language: Language | None = None
        self._units: list[Unit] = []
        self._log_probability = 0.0

    @property
    def text(self) -> str:
        """The stable words."""
        here = "".join(unit.text for unit in self._units)
        return " ".join(filter(None, (text.strip() for text in (self._before, here))))

    @property
    def _before(self) -> str:
        return " ".join(piece.text for piece in self.behind)

    @property
    def prefix(self) -> Prefix:
        """The known words of the sound after the cut."""
        tokens = tuple(token for unit in self._units for token in unit.tokens)
        return Prefix(self._before, tokens, self._log_probability)

    def agree(self, reading: Reading, units: Sequence[Unit], sure: bool) -> None:
        """Takes a reading of the sound after the cut."""
        if not sure:
            self.agreement.doubt()
            return
        self.language = reading.language
        self.agreement.read([unit.text for unit in units])
        count = len(self.agreement.stable)
        if count > len(self._units):
            self._units = list(units[:count])
            self._log_probability = reading.parts[0].piece.log_probability

    def leave(self, number: int, cut: int, words: Sequence[Word]) -> None:
        """Leaves the first stable units, `number` of them, behind, and the sound up to `cut`."""
        text = "".join(unit.text for unit in self._units[:number]).strip()
        self.behind.append(Piece(text, self._log_probability, 0.0, 0.0))
        latest = cut / SAMPLE_RATE
        self.words += [
            word._replace(start=min(word.start, latest), end=min(word.end, latest))
            for word in (_later(word, self.cut) for word in words)
        ]
        self.cut = cut
        self._units = self._units[number:]
        self.agreement.drop(number)


def _later(word: Word, samples: int) -> Word:
    seconds = samples / SAMPLE_RATE
    return word._replace(start=word.start + seconds, end=word.end + seconds)


def _quietest(samples: Samples, at: int) -> int:
    """The middle of the quietest sound near a position."""
    around, size = round(_AROUND * SAMPLE_RATE), round(_QUIET * SAMPLE_RATE)
    first = max(0, at - around)
    energy = np.square(samples[first : at + around], dtype=np.float64)
    if len(energy) <= size:
        return at
    sums = np.convolve(energy, np.ones(size), "valid")
    return first + int(np.argmin(sums)) + size // 2
