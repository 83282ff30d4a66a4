"""Cutting sound into utterances by voice activity."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.listen.timeline import JUMP, History, Timeline
from gscon_live.realtime.listen.voice_activity import WINDOW, WINDOW_SECONDS, VoiceActivity
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.settings import Segmentation
from gscon_live.realtime.pipeline.stage import Gauges, Incoming, Stage

#: How far below the threshold the voice probability must fall before speech counts as paused.
HYSTERESIS = 0.15
#: Seconds of sound kept after the last voiced window: consonants fade below the detector.
TAIL = 0.1
#: Seconds without voice after which the detector starts afresh: in long silence it goes numb.
FRESH = 4.0
#: Least progress in seconds that is worth telling the stages behind.
MARK_EVERY = 0.25
#: Longer chunks are heard in pieces of so many samples, each whole windows.
PIECE = 32 * WINDOW


def level_in_db(samples: NDArray[np.float32]) -> float:
    """Root-mean-square level in dB of full scale, not below -100."""
    return float(10 * np.log10(max(1e-10, float(np.mean(np.square(samples))))))


class _Speech:
    """An utterance that is being spoken; positions in samples, `begin` in seconds.

    Its times count from `begin`: a timeline that follows a drifting clock must not move the bounds
    of what has been worked on ahead.
    """

    def __init__(self, start: int, begin: float) -> None:
        self.key = start
        self.start = start
        self.begin = begin
        self.voiced_end = start
        self.voiced = 0.0
        self.announced = False
        self.worked_ahead_until = -1
        self.last_provisional = start
        self.probabilities: list[float] = []

    def time(self, position: int) -> float:
        """Media time in seconds of a sample position in or after the utterance."""
        return self.begin + (position - self.start) / SAMPLE_RATE


class Segmenter(Stage):
    """Stage: sound in, utterances out.

    Takes `AudioChunk`, `Mark`, `Dropped` and `End`; gives `SpeechStarted` once speech is long
    enough to be an utterance, `Segment` with `final` false at a pause (work ahead) and at regular
    intervals, `Segment` with `final` true once the hangover has passed, and `Mark` with the time
    before which no utterance starts any more. Everything depends on media time alone.

    The bounds of a segment are those of the voiced part; its sound has a pre-roll before and a
    short tail after it.
    """

    def __init__(self, settings: Segmentation, detector: VoiceActivity | None = None) -> None:
        self._settings = settings
        self._shortest = max(settings.min_utterance, WINDOW_SECONDS)
        self._tail = round(min(TAIL, settings.pause, settings.hangover) * SAMPLE_RATE)
        self._detector = detector or VoiceActivity()
        self._level = level_in_db(np.zeros(1, np.float32))
        self.reset()

    def reset(self) -> None:
        """Forgets everything heard so far."""
        self._refresh()
        self._timeline = Timeline()
        self._history = History(self._settings.max_utterance + self._settings.pre_roll + 5.0)
        self._pending = np.zeros(0, np.float32)
        self._pending_position = 0
        self._speech: _Speech | None = None
        self._earliest = 0
        self._marked = self._mark_sent = 0.0

    def gauges(self) -> Gauges:
        """Input level in dB of full scale, and whether somebody speaks."""
        return {"level": self._level, "speaking": self._speech is not None}

    def process(self, message: Incoming) -> Iterator[messages.Message]:
        """See the class."""
        match message:
            case messages.AudioChunk(time=time, samples=samples):
                yield from self._hear(time, np.frombuffer(samples, np.float32))
            case messages.Mark(time=time):
                yield from self._pass_silence(time)
            case messages.Dropped():
                yield message

    def flush(self) -> Iterator[messages.Message]:
        """Ends the utterance that is being spoken."""
        if len(self._pending):
            missing = WINDOW - len(self._pending)
            yield from self._windows(np.append(self._pending, np.zeros(missing, np.float32)))
            self._pending = np.zeros(0, np.float32)
        yield from self._finish(self._timeline.position)

    def _hear(self, time: float, samples: NDArray[np.float32]) -> Iterator[messages.Message]:
        if not len(samples):
            return
        jump = self._timeline.arrive(time, len(samples))
        if jump > 0:
            yield from self._after_loss()
        if jump:
            yield self._timeline.report(jump)
        self._level = level_in_db(samples)
        for start in range(0, len(samples), PIECE):
            yield from self._take(samples[start : start + PIECE])
        mark = self._mark()
        if mark.time - self._mark_sent >= MARK_EVERY:
            self._mark_sent = mark.time
            yield mark

    def _take(self, samples: NDArray[np.float32]) -> Iterator[messages.Message]:
        position = self._timeline.position
        self._history.append(position, samples)
        if not len(self._pending):
            self._pending_position = position
        joined = np.concatenate([self._pending, samples])
        whole = len(joined) // WINDOW * WINDOW
        self._timeline.advance(len(samples))
        self._pending = joined[whole:].copy()
        yield from self._windows(joined[:whole])

    def _after_loss(self) -> Iterator[messages.Message]:
        """Sound is missing: what was being said ends where it broke off."""
        position = self._timeline.position
        yield from self._finish(position)
        self._detector.reset()
        self._pending = np.zeros(0, np.float32)
        self._earliest = position

    def _pass_silence(self, time: float) -> Iterator[messages.Message]:
        """Media time goes on without sound: an utterance ends once the hangover has passed."""
        silence = time - self._timeline.now
        # Sound that comes this late counts as having been lost: it does not go on the utterance.
        if silence >= self._settings.hangover and silence > JUMP:
            yield from self._finish(self._timeline.sample(time))
            self._earliest = max(self._earliest, self._timeline.position)
            self._marked = max(self._marked, time)
            yield messages.Mark(self._marked, "segment")
        else:
            yield self._mark()

    def _mark(self) -> messages.Mark:
        speech = self._speech
        begin = speech.begin if speech else self._timeline.time(self._pending_position)
        self._marked = max(self._marked, round(begin - self._settings.pre_roll, 3))
        return messages.Mark(self._marked, "segment")

    def _windows(self, samples: NDArray[np.float32]) -> Iterator[messages.Message]:
        # One by one: the end of an utterance resets the detector, wherever a chunk ends.
        for first in range(0, len(samples), WINDOW):
            probability = float(self._detector(samples[first : first + WINDOW])[0])
            start = self._pending_position
            self._pending_position += WINDOW
            yield from self._step(probability, start, start + WINDOW)

    def _step(self, probability: float, start: int, end: int) -> Iterator[messages.Message]:
        """One decision: the window from `start` to `end` has voice with this probability."""
        settings = self._settings
        speech = self._speech
        if speech is None:
            if probability < settings.threshold:
                self._idle += 1
                if self._idle * WINDOW_SECONDS >= FRESH:
                    self._refresh()
                return
            speech = self._speech = _Speech(start, max(self._timeline.time(start), self._marked))
        speech.probabilities.append(probability)
        paused = (end - speech.voiced_end) / SAMPLE_RATE - WINDOW_SECONDS
        voiced = probability >= settings.threshold - (HYSTERESIS if paused <= 0 else 0.0)
        if voiced:
            speech.voiced_end = end
            speech.voiced += WINDOW_SECONDS
        silence = (end - speech.voiced_end) / SAMPLE_RATE
        if not speech.announced and speech.voiced >= self._shortest:
            speech.announced = True
            yield messages.SpeechStarted(speech.key, round(speech.begin, 3))
        too_long = (end - speech.start) / SAMPLE_RATE >= settings.max_utterance
        if silence >= settings.hangover or (too_long and silence >= settings.pause):
            yield from self._finish(end)
        elif speech.announced:
            if too_long:
                yield from self._cut(end)
            elif silence >= settings.pause and speech.worked_ahead_until != speech.voiced_end:
                speech.worked_ahead_until = speech.last_provisional = speech.voiced_end
                yield self._segment(speech, speech.voiced_end, end, final=False)
            elif (
                settings.provisional_every
                and silence == 0
                and (end - speech.last_provisional) / SAMPLE_RATE >= settings.provisional_every
            ):
                speech.last_provisional = end
                yield self._segment(speech, end, end, final=False)

    def _finish(self, at: int) -> Iterator[messages.Message]:
        speech, self._speech = self._speech, None
        if speech is None:
            return
        # What the detector remembers of loud speech makes it deaf to the quiet speech that follows.
        self._refresh()
        if not speech.announced:
            return
        yield self._segment(speech, speech.voiced_end, at, final=True)
        self._earliest = min(speech.voiced_end + self._tail, at)
        self._marked = max(self._marked, round(speech.time(speech.voiced_end), 3))

    def _refresh(self) -> None:
        self._detector.reset()
        self._idle = 0

    def _cut(self, at: int) -> Iterator[messages.Message]:
        """The utterance is too long: cut it where the voice is weakest in its last third."""
        speech = self._speech
        assert speech is not None
        tail = max(1, len(speech.probabilities) // 3)
        last = speech.probabilities[-tail:]
        weakest = len(speech.probabilities) - tail + int(np.argmin(last))
        position = speech.start + (weakest + 1) * WINDOW
        end = min(position, speech.voiced_end)
        yield self._segment(speech, end, at, final=True, until=position)
        self._earliest = position
        rest = _Speech(position, speech.time(position))
        rest.probabilities = speech.probabilities[weakest + 1 :]
        rest.voiced_end = max(position, speech.voiced_end)
        rest.voiced = (rest.voiced_end - position) / SAMPLE_RATE
        rest.last_provisional = at
        self._speech = rest
        if rest.voiced >= self._shortest:
            rest.announced = True
            yield messages.SpeechStarted(rest.key, round(rest.begin, 3))

    def _segment(
        self, speech: _Speech, end: int, at: int, *, final: bool, until: int | None = None
    ) -> messages.Segment:
        """The segment up to `end` as it is known at `at`; its sound reaches no further than
        `until` (None: `at`)."""
        # The last window of all is filled up: the utterance ends with the sound at the latest.
        end = min(end, self._timeline.position)
        pre_roll = round(self._settings.pre_roll * SAMPLE_RATE)
        # What has been heard beyond `at` depends on how the sound was cut into chunks.
        until = min(end + self._tail, at if until is None else until)
        sound = self._history.slice(max(self._earliest, speech.start - pre_roll), until)
        return messages.Segment(
            speech.key,
            round(speech.begin, 3),
            round(speech.time(end), 3),
            round(speech.time(at), 3),
            final,
            sound.tobytes(),
        )
