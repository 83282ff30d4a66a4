"""Where utterances begin and end, from the voice activity of one window after the other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import log10, nan
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.model.speech import finished
from gscon_live.model.speech.voice_activity import WINDOW, WINDOW_SECONDS, VoiceActivity

#: Speech pauses when the voice probability is this much below the threshold.
HYSTERESIS = 0.15
#: Seconds of sound kept after the last voiced window: the detector misses fading consonants.
TAIL = 0.1
#: After a pause of so many seconds, another person may speak ...
TURN_PAUSE = 0.3
#: ... and so many seconds of the voice before and after it are compared.
VOICE_BEFORE, VOICE_AFTER = 3.0, 0.8
#: Seconds without voice after which the detector is reset: long silence makes it miss voice.
RESET_AFTER = 4.0

#: Seconds of a day: the limit of all times in a configuration.
DAY = 86_400.0

Positive = Annotated[float, Meta(gt=0, le=DAY)]
NotNegative = Annotated[float, Meta(ge=0, le=DAY)]
Probability = Annotated[float, Meta(ge=0, le=1)]
#: Whether another person speaks in the second of two sounds, float32 [n] and [m] at 16 kHz, with a
#: pause of so many seconds between them.
VoiceChanges = Callable[[NDArray[np.float32], NDArray[np.float32], float], bool]


class Segmentation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Voice activity and the bounds of utterances; times in seconds.

    Speech begins when the probability of voice reaches `threshold`. It pauses while the probability
    is below `threshold - 0.15`.
    """

    #: probability of voice at which speech begins
    threshold: Probability = 0.5
    #: after this much silence, the next stages work ahead on the utterance
    pause: Positive = 0.16
    #: after this much silence, an utterance that sounds finished has ended
    hangover: Positive = 0.5
    #: after this much silence, every utterance has ended; not above `hangover`: the same for all
    max_hangover: NotNegative = 0.9
    #: sound that is kept from before the first voice
    pre_roll: NotNegative = 0.2
    #: utterances with less voice are discarded
    min_utterance: NotNegative = 0.2
    #: longer utterances are cut
    max_utterance: Positive = 15.0
    #: time between provisional events while somebody speaks; 0: none
    provisional_every: NotNegative = 2.0


@dataclass
class Speech:
    """The utterance that is being spoken; positions in samples, `begin` in seconds.

    Its times count from `begin`, so that corrections of the timeline do not move its bounds. Each
    window has a probability of voice, and a level in dB, which is NaN where it is not voiced.
    `resumption` is the last one after a long pause that was not judged yet. `rested` is whether the
    detector was reset in this pause.
    """

    start: int
    begin: float
    voiced_end: int = -1
    voiced: float = 0.0
    announced: bool = False
    worked_ahead_until: int = -1
    last_provisional: int = -1
    probabilities: list[float] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)
    sound: list[NDArray[np.float32]] = field(default_factory=list)
    resumption: "Resumption | None" = None
    rested: bool = False

    def __post_init__(self) -> None:
        if self.voiced_end < 0:
            self.voiced_end = self.last_provisional = self.start

    def time(self, position: int) -> float:
        """Media time in seconds of a position in or after the utterance."""
        return self.begin + (position - self.start) / SAMPLE_RATE

    def add(self, window: NDArray[np.float32], probability: float, voiced: bool) -> None:
        """Takes a window."""
        self.probabilities.append(probability)
        level = 10 * log10(float(np.dot(window, window)) / WINDOW + 1e-10) if voiced else nan
        self.levels.append(level)
        self.sound.append(window)

    def envelope(self, end: int) -> NDArray[np.float32]:
        """The levels of its windows up to a position, float32 [n]."""
        return np.array(self.levels[: (end - self.start) // WINDOW], np.float32)

    def pause(self) -> finished.Pause:
        """What is known at its last pause."""
        levels = np.array(self.levels)
        seconds = max(self.voiced_end - self.start, WINDOW) / SAMPLE_RATE
        return finished.pause(levels[~np.isnan(levels)], seconds)


@dataclass(frozen=True)
class Resumption:
    """The voice ended at one position, and came back at another."""

    end: int
    start: int


@dataclass(frozen=True)
class Started:
    """Speech is long enough to be an utterance."""

    speech: Speech


@dataclass(frozen=True)
class Part:
    """An utterance up to `end`, as known at the position `at`; `final` is false while it can
    continue. Its bounds are those of the voiced part. Its sound, from `sound_start` to `sound_end`,
    has a pre-roll before it and a short tail after it."""

    speech: Speech
    end: int
    at: int
    sound_start: int
    sound_end: int
    final: bool


def sounds_finished(speech: Speech) -> float:
    """The probability that an utterance is finished, by its sound."""
    return finished.FITTED.probability(speech.pause())


class EndpointDetector:
    """Finds utterances in windows of 512 samples that come in order.

    Args:
        settings: see there.
        detector: the voice activity detector; None makes one.
        begin: media time in seconds at which an utterance begins whose first window has this
            position; None counts samples.
        is_finished: the probability, 0 to 1, that an utterance which pauses is finished. It is
            asked for every window of the pause, so that it may come to know more.
        changes: whether another person speaks after a pause; the utterance is then cut at the
            pause, as soon as that is known. None: it is not.
    """

    def __init__(
        self,
        settings: Segmentation,
        detector: VoiceActivity | None = None,
        begin: Callable[[int], float] | None = None,
        is_finished: Callable[[Speech], float] = sounds_finished,
        changes: VoiceChanges | None = None,
    ) -> None:
        self._settings = settings
        self._changes = changes
        self._is_finished = is_finished
        self._shortest = max(settings.min_utterance, WINDOW_SECONDS)
        self._tail = round(min(TAIL, settings.pause, settings.hangover) * SAMPLE_RATE)
        self._pre_roll = round(settings.pre_roll * SAMPLE_RATE)
        self._detector = detector or VoiceActivity()
        self._begin = begin or (lambda position: position / SAMPLE_RATE)
        self.reset()

    @property
    def speech(self) -> Speech | None:
        """The utterance that is being spoken, however short it is so far."""
        return self._speech

    def reset(self) -> None:
        """Forgets all sound."""
        self._speech: Speech | None = None
        self._earliest = 0
        self._reset_detector()

    def discard(self, position: int) -> None:
        """Sound before a position is lost or belongs to another utterance: no utterance's sound
        begins before it."""
        self._earliest = max(self._earliest, position)
        self._reset_detector()

    def _reset_detector(self) -> None:
        self._detector.reset()
        self._idle = 0

    def step(self, window: NDArray[np.float32], start: int) -> Iterator[Started | Part]:
        """Takes the window float32 [512] at the position `start`."""
        probability = float(self._detector(window)[0])
        settings, speech, end = self._settings, self._speech, start + WINDOW
        if speech is None:
            if probability < settings.threshold:
                self._idle += 1
                if self._idle * WINDOW_SECONDS >= RESET_AFTER:
                    self._reset_detector()
                return
            speech = self._speech = Speech(start, self._begin(start))
        paused = (end - speech.voiced_end) / SAMPLE_RATE - WINDOW_SECONDS
        voiced = probability >= settings.threshold - (HYSTERESIS if paused <= 0 else 0.0)
        speech.add(window, probability, voiced)
        if voiced:
            if paused >= TURN_PAUSE and speech.resumption is None:
                speech.resumption = Resumption(speech.voiced_end, start)
            speech.voiced_end, speech.rested = end, False
            speech.voiced += WINDOW_SECONDS
        silence = (end - speech.voiced_end) / SAMPLE_RATE
        if not speech.announced and speech.voiced >= self._shortest:
            speech.announced = True
            yield Started(speech)
        if self._turned(speech):
            yield from self._take_turn(speech, end)
            return
        too_long = (end - speech.start) / SAMPLE_RATE >= settings.max_utterance
        if self._ended(speech, silence) or (too_long and silence >= settings.pause):
            yield from self.finish(end)
        elif speech.announced:
            if too_long:
                yield from self._cut(speech, end)
            elif silence >= settings.pause and speech.worked_ahead_until != speech.voiced_end:
                speech.worked_ahead_until = speech.last_provisional = speech.voiced_end
                yield self._part(speech, speech.voiced_end, end, final=False)
            elif (
                settings.provisional_every
                and silence == 0
                and (end - speech.last_provisional) / SAMPLE_RATE >= settings.provisional_every
            ):
                speech.last_provisional = end
                yield self._part(speech, end, end, final=False)

    def _ended(self, speech: Speech, silence: float) -> bool:
        shortest, longest = self._settings.hangover, self._settings.max_hangover
        if silence < shortest:
            return False
        self._rest(speech)
        # Noise that is too short for an utterance is not waited for.
        if longest <= shortest or silence >= longest or not speech.announced:
            return True
        return silence >= finished.hangover(self._is_finished(speech), shortest, longest)

    def _turned(self, speech: Speech) -> bool:
        """Whether another person spoke on after a pause. Each pause is judged once, when there is
        enough voice after it."""
        resumption = speech.resumption
        if resumption is None or self._changes is None:
            return False
        if (speech.voiced_end - resumption.start) / SAMPLE_RATE < VOICE_AFTER:
            return False
        speech.resumption = None
        paused, resumed = (
            (position - speech.start) // WINDOW for position in (resumption.end, resumption.start)
        )
        before = speech.sound[max(0, paused - round(VOICE_BEFORE / WINDOW_SECONDS)) : paused]
        after = speech.sound[resumed : (speech.voiced_end - speech.start) // WINDOW]
        if len(before) * WINDOW_SECONDS < VOICE_AFTER:
            return False
        pause = (resumption.start - resumption.end) / SAMPLE_RATE
        if not self._changes(np.concatenate(before), np.concatenate(after), pause):
            return False
        speech.resumption = resumption
        return True

    def _take_turn(self, speech: Speech, at: int) -> Iterator[Started | Part]:
        """Ends an utterance where its voice paused; that of the next person goes on."""
        resumption = speech.resumption
        assert resumption is not None
        if speech.announced:
            yield self._part(speech, resumption.end, at, final=True, until=resumption.start)
        self._earliest = min(resumption.end + self._tail, resumption.start)
        yield from self._go_on(speech, resumption.start, at)

    def finish(self, at: int) -> Iterator[Part]:
        """Ends the utterance at the position `at`; it is discarded if it is too short."""
        speech, self._speech = self._speech, None
        if speech is None:
            return
        self._rest(speech)
        if speech.announced:
            part = self._part(speech, speech.voiced_end, at, final=True)
            self._earliest = min(speech.voiced_end + self._tail, at)
            yield part

    def _rest(self, speech: Speech) -> None:
        """Resets the detector, once in a pause: after loud speech it misses quiet speech, and just
        after a reset it is slow."""
        if not speech.rested:
            speech.rested = True
            self._reset_detector()

    def _cut(self, speech: Speech, at: int) -> Iterator[Started | Part]:
        """Cuts an utterance that is too long, where the voice is weakest in its last third."""
        tail = max(1, len(speech.probabilities) // 3)
        last = speech.probabilities[-tail:]
        weakest = len(speech.probabilities) - tail + int(np.argmin(last))
        position = speech.start + (weakest + 1) * WINDOW
        end = min(position, speech.voiced_end)
        yield self._part(speech, end, at, final=True, until=position)
        self._earliest = position
        yield from self._go_on(speech, position, at)

    def _go_on(self, speech: Speech, position: int, at: int) -> Iterator[Started | Part]:
        """Begins an utterance at a position in another that is over."""
        windows = (position - speech.start) // WINDOW
        following = Speech(position, speech.time(position))
        following.probabilities = speech.probabilities[windows:]
        following.levels = speech.levels[windows:]
        following.sound = speech.sound[windows:]
        following.voiced_end = max(position, speech.voiced_end)
        following.voiced = (following.voiced_end - position) / SAMPLE_RATE
        following.last_provisional = at
        self._speech = following
        if following.voiced >= self._shortest:
            following.announced = True
            yield Started(following)

    def _part(
        self, speech: Speech, end: int, at: int, *, final: bool, until: int | None = None
    ) -> Part:
        # How much sound there is beyond `at` depends on the chunks.
        sound_end = min(end + self._tail, at if until is None else until)
        sound_start = max(self._earliest, speech.start - self._pre_roll)
        return Part(speech, end, at, sound_start, sound_end, final)
