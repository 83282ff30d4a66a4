"""Segmentation by voice activity: cuts sound into utterances."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.listen.timeline import JUMP, History, Timeline
from gscon_live.realtime.listen.voice_activity import WINDOW, WINDOW_SECONDS, VoiceActivity
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.settings import Segmentation
from gscon_live.realtime.pipeline.stage import Gauges, Incoming, Stage

#: Speech pauses when the voice probability is this much below the threshold.
HYSTERESIS = 0.15
#: Seconds of sound kept after the last voiced window: the detector misses fading consonants.
TAIL = 0.1
#: Seconds without voice after which the detector is reset: long silence makes it miss voice.
RESET_AFTER = 4.0
#: Minimal distance of two marks while sound comes, in seconds.
MARK_INTERVAL = 0.25
#: Longer chunks are processed in pieces of this many samples, a multiple of the window.
PIECE = 32 * WINDOW


def level_in_db(samples: NDArray[np.float32]) -> float:
    """Root-mean-square level in dB of full scale, not below -100."""
    return float(10 * np.log10(max(1e-10, float(np.mean(np.square(samples))))))


class _Speech:
    """The utterance that is being spoken; positions in samples, `begin` in seconds.

    Its times count from `begin`, so that corrections of the timeline do not move its bounds.
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
        """Media time in seconds of a position in or after the utterance."""
        return self.begin + (position - self.start) / SAMPLE_RATE


class Segmenter(Stage):
    """Stage: sound in, utterances out.

    It takes `AudioChunk`, `Mark` and `Dropped`, and gives:

    - `SpeechStarted` when speech is long enough for an utterance;
    - `Segment` with `final` false at a pause (so that the next stages work ahead), and at regular
      intervals;
    - `Segment` with `final` true after the hangover;
    - `Mark` with the time before which no utterance starts any more.

    The bounds of a segment are those of the voiced part. Its sound has a pre-roll before it and a
    short tail after it. Only media time counts.
    """

    def __init__(self, settings: Segmentation, detector: VoiceActivity | None = None) -> None:
        self._settings = settings
        self._shortest = max(settings.min_utterance, WINDOW_SECONDS)
        self._tail = round(min(TAIL, settings.pause, settings.hangover) * SAMPLE_RATE)
        self._detector = detector or VoiceActivity()
        self._level = level_in_db(np.zeros(1, np.float32))
        self.reset()

    def reset(self) -> None:
        """Forgets all sound."""
        self._reset_detector()
        self._timeline = Timeline()
        self._history = History(self._settings.max_utterance + self._settings.pre_roll + 5.0)
        self._pending = np.zeros(0, np.float32)
        self._pending_position = 0
        self._speech: _Speech | None = None
        self._earliest = 0
        self._last_mark = self._last_sent_mark = 0.0

    def gauges(self) -> Gauges:
        """Input level in dB of full scale, and whether somebody speaks."""
        return {"level": self._level, "speaking": self._speech is not None}

    def process(self, message: Incoming) -> Iterator[messages.Message]:
        """See the class."""
        match message:
            case messages.AudioChunk(time=time, samples=samples):
                yield from self._add_sound(time, np.frombuffer(samples, np.float32))
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

    def _add_sound(self, time: float, samples: NDArray[np.float32]) -> Iterator[messages.Message]:
        if not len(samples):
            return
        jump = self._timeline.arrive(time, len(samples))
        if jump > 0:
            yield from self._after_loss()
        if jump:
            yield self._timeline.report(jump)
        self._level = level_in_db(samples)
        for start in range(0, len(samples), PIECE):
            yield from self._add_piece(samples[start : start + PIECE])
        mark = self._mark()
        if mark.time - self._last_sent_mark >= MARK_INTERVAL:
            self._last_sent_mark = mark.time
            yield mark

    def _add_piece(self, samples: NDArray[np.float32]) -> Iterator[messages.Message]:
        position = self._timeline.position
        self._history.append(position, samples)
        if not len(self._pending):
            self._pending_position = position
        joined = np.concatenate([self._pending, samples])
        end = len(joined) // WINDOW * WINDOW
        self._timeline.advance(len(samples))
        self._pending = joined[end:].copy()
        yield from self._windows(joined[:end])

    def _after_loss(self) -> Iterator[messages.Message]:
        """Sound is missing: the utterance ends where it breaks off."""
        position = self._timeline.position
        yield from self._finish(position)
        self._detector.reset()
        self._pending = np.zeros(0, np.float32)
        self._earliest = position

    def _pass_silence(self, time: float) -> Iterator[messages.Message]:
        """Media time goes on without sound: an utterance ends after the hangover."""
        silence = time - self._timeline.now
        # Sound that is so late counts as lost: it does not continue the utterance.
        if silence >= self._settings.hangover and silence > JUMP:
            yield from self._finish(self._timeline.sample(time))
            self._earliest = max(self._earliest, self._timeline.position)
            self._last_mark = max(self._last_mark, time)
            yield messages.Mark(self._last_mark, "segment")
        else:
            yield self._mark()

    def _mark(self) -> messages.Mark:
        speech = self._speech
        begin = speech.begin if speech else self._timeline.time(self._pending_position)
        self._last_mark = max(self._last_mark, round(begin - self._settings.pre_roll, 3))
        return messages.Mark(self._last_mark, "segment")

    def _windows(self, samples: NDArray[np.float32]) -> Iterator[messages.Message]:
        # One at a time, as the end of an utterance in the middle of a chunk resets the detector.
        for offset in range(0, len(samples), WINDOW):
            probability = float(self._detector(samples[offset : offset + WINDOW])[0])
            start = self._pending_position
            self._pending_position += WINDOW
            yield from self._step(probability, start, start + WINDOW)

    def _step(self, probability: float, start: int, end: int) -> Iterator[messages.Message]:
        """Takes the voice probability of the window from `start` to `end`."""
        settings = self._settings
        speech = self._speech
        if speech is None:
            if probability < settings.threshold:
                self._idle += 1
                if self._idle * WINDOW_SECONDS >= RESET_AFTER:
                    self._reset_detector()
                return
            begin = max(self._timeline.time(start), self._last_mark)
            speech = self._speech = _Speech(start, begin)
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
        # After loud speech the detector misses quiet speech, unless it is reset.
        self._reset_detector()
        if not speech.announced:
            return
        yield self._segment(speech, speech.voiced_end, at, final=True)
        self._earliest = min(speech.voiced_end + self._tail, at)
        self._last_mark = max(self._last_mark, round(speech.time(speech.voiced_end), 3))

    def _reset_detector(self) -> None:
        self._detector.reset()
        self._idle = 0

    def _cut(self, at: int) -> Iterator[messages.Message]:
        """Cuts an utterance that is too long, where the voice is weakest in its last third."""
        speech = self._speech
        assert speech is not None
        tail = max(1, len(speech.probabilities) // 3)
        last = speech.probabilities[-tail:]
        weakest = len(speech.probabilities) - tail + int(np.argmin(last))
        position = speech.start + (weakest + 1) * WINDOW
        end = min(position, speech.voiced_end)
        yield self._segment(speech, end, at, final=True, until=position)
        self._earliest = position
        following = _Speech(position, speech.time(position))
        following.probabilities = speech.probabilities[weakest + 1 :]
        following.voiced_end = max(position, speech.voiced_end)
        following.voiced = (following.voiced_end - position) / SAMPLE_RATE
        following.last_provisional = at
        self._speech = following
        if following.voiced >= self._shortest:
            following.announced = True
            yield messages.SpeechStarted(following.key, round(following.begin, 3))

    def _segment(
        self, speech: _Speech, end: int, at: int, *, final: bool, until: int | None = None
    ) -> messages.Segment:
        """The segment up to `end`, as known at `at`; its sound ends at `until` (None: at `at`) at
        the latest."""
        # The very last window is filled with silence, so `end` can be after the sound.
        end = min(end, self._timeline.position)
        pre_roll = round(self._settings.pre_roll * SAMPLE_RATE)
        # How much sound there is beyond `at` depends on the chunks.
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
