"""Where utterances begin and end, from the voice activity of one window after the other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.model.speech.voice_activity import WINDOW, WINDOW_SECONDS, VoiceActivity

#: How far below the threshold the voice probability must fall before speech counts as paused.
HYSTERESIS = 0.15
#: Seconds of sound kept after the last voiced window: consonants fade below the detector.
TAIL = 0.1
#: Seconds without voice after which the detector starts afresh: in long silence it goes numb.
FRESH = 4.0

#: No setting in seconds is longer than a day; infinity is none.
DAY = 86_400.0

Positive = Annotated[float, Meta(gt=0, le=DAY)]
NotNegative = Annotated[float, Meta(ge=0, le=DAY)]
Probability = Annotated[float, Meta(ge=0, le=1)]


class Segmentation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Voice activity and utterance bounds; times in seconds.

    Speech starts where the voice probability reaches `threshold` and pauses where it stays below
    `threshold - 0.15`. After `pause` of it the words so far are worked on ahead; after `hangover`
    the utterance has ended. `pre_roll` is kept before the first voiced window. Utterances shorter
    than `min_utterance` (voiced time) are discarded, those reaching `max_utterance` are cut.
    While speech goes on, a provisional event is made every `provisional_every` (0: never).
    """

    threshold: Probability = 0.5
    pause: Positive = 0.16
    hangover: Positive = 0.5
    pre_roll: NotNegative = 0.2
    min_utterance: NotNegative = 0.2
    max_utterance: Positive = 15.0
    provisional_every: NotNegative = 2.0


@dataclass
class Speech:
    """An utterance that is being spoken; positions in samples, `begin` in seconds.

    Its times count from `begin`: a timeline that follows a drifting clock must not move the bounds
    of what has been worked on ahead.
    """

    start: int
    begin: float
    voiced_end: int = -1
    voiced: float = 0.0
    announced: bool = False
    worked_ahead_until: int = -1
    last_provisional: int = -1
    probabilities: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.voiced_end < 0:
            self.voiced_end = self.last_provisional = self.start

    def time(self, position: int) -> float:
        """Media time in seconds of a sample position in or after the utterance."""
        return self.begin + (position - self.start) / SAMPLE_RATE


@dataclass(frozen=True)
class Started:
    """Speech is long enough to be an utterance."""

    speech: Speech


@dataclass(frozen=True)
class Part:
    """An utterance up to `end`, as it is known at the position `at`. Its bounds are those of the
    voiced part; its sound, from `sound_start` to `sound_end`, has a pre-roll before and a short
    tail after it. `final` is false while it may go on."""

    speech: Speech
    end: int
    at: int
    sound_start: int
    sound_end: int
    final: bool


class EndpointDetector:
    """Finds utterances in windows of 512 samples that come in order.

    Args:
        settings: see there.
        detector: the voice activity detector; None makes one.
        begin: media time in seconds at which an utterance begins whose first window has this
            position; None counts samples.
    """

    def __init__(
        self,
        settings: Segmentation,
        detector: VoiceActivity | None = None,
        begin: Callable[[int], float] | None = None,
    ) -> None:
        self._settings = settings
        self._shortest = max(settings.min_utterance, WINDOW_SECONDS)
        self._tail = round(min(TAIL, settings.pause, settings.hangover) * SAMPLE_RATE)
        self._pre_roll = round(settings.pre_roll * SAMPLE_RATE)
        self._detector = detector or VoiceActivity()
        self._begin = begin or (lambda position: position / SAMPLE_RATE)
        self.reset()

    @property
    def speech(self) -> Speech | None:
        """What is being spoken, however short it is so far."""
        return self._speech

    def reset(self) -> None:
        """Forgets everything heard so far."""
        self._speech: Speech | None = None
        self._earliest = 0
        self.refresh()

    def refresh(self) -> None:
        """Clears the voice activity detector's memory."""
        self._detector.reset()
        self._idle = 0

    def break_off(self, position: int) -> None:
        """No utterance's sound begins before this position: what is there is lost."""
        self._earliest = max(self._earliest, position)

    def step(self, window: NDArray[np.float32], start: int) -> Iterator[Started | Part]:
        """One decision: the window float32 [512] at the position `start`."""
        probability = float(self._detector(window)[0])
        settings, speech, end = self._settings, self._speech, start + WINDOW
        if speech is None:
            if probability < settings.threshold:
                self._idle += 1
                if self._idle * WINDOW_SECONDS >= FRESH:
                    self.refresh()
                return
            speech = self._speech = Speech(start, self._begin(start))
        speech.probabilities.append(probability)
        paused = (end - speech.voiced_end) / SAMPLE_RATE - WINDOW_SECONDS
        if probability >= settings.threshold - (HYSTERESIS if paused <= 0 else 0.0):
            speech.voiced_end = end
            speech.voiced += WINDOW_SECONDS
        silence = (end - speech.voiced_end) / SAMPLE_RATE
        if not speech.announced and speech.voiced >= self._shortest:
            speech.announced = True
            yield Started(speech)
        too_long = (end - speech.start) / SAMPLE_RATE >= settings.max_utterance
        if silence >= settings.hangover or (too_long and silence >= settings.pause):
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

    def finish(self, at: int) -> Iterator[Part]:
        """Ends what is being spoken, at the position `at`; what is too short is discarded."""
        speech, self._speech = self._speech, None
        if speech is None:
            return
        # What the detector remembers of loud speech makes it deaf to the quiet speech that follows.
        self.refresh()
        if speech.announced:
            part = self._part(speech, speech.voiced_end, at, final=True)
            self._earliest = min(speech.voiced_end + self._tail, at)
            yield part

    def _cut(self, speech: Speech, at: int) -> Iterator[Started | Part]:
        """The utterance is too long: cut it where the voice is weakest in its last third."""
        tail = max(1, len(speech.probabilities) // 3)
        last = speech.probabilities[-tail:]
        weakest = len(speech.probabilities) - tail + int(np.argmin(last))
        position = speech.start + (weakest + 1) * WINDOW
        end = min(position, speech.voiced_end)
        yield self._part(speech, end, at, final=True, until=position)
        self._earliest = position
        following = Speech(position, speech.time(position))
        following.probabilities = speech.probabilities[weakest + 1 :]
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
        # What has been heard beyond `at` depends on how the sound was cut into chunks.
        sound_end = min(end + self._tail, at if until is None else until)
        sound_start = max(self._earliest, speech.start - self._pre_roll)
        return Part(speech, end, at, sound_start, sound_end, final)
