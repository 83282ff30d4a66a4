"""Segmentation by voice activity: cuts sound into utterances."""

from collections.abc import Iterable, Iterator
from math import log10

import numpy as np
from numpy.typing import NDArray

from gscon_live.model.speech.endpoint_detector import (
    EndpointDetector,
    Part,
    Segmentation,
    Speech,
    Started,
    VoiceChanges,
)
from gscon_live.model.speech.voice_activity import WINDOW, VoiceActivity
from gscon_live.realtime.listen.timeline import JUMP, History, Timeline
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.stage import Gauges, Incoming, Stage

#: Minimal distance of two marks while sound comes, in seconds.
MARK_INTERVAL = 0.25
#: Longer chunks are processed in pieces of this many samples, a multiple of the window.
PIECE = 32 * WINDOW


def level_in_db(samples: NDArray[np.float32]) -> float:
    """Root-mean-square level in dB of full scale, not below -100."""
    power = float(np.dot(samples, samples)) / len(samples)
    return 10 * log10(max(1e-10, power))


class Segmenter(Stage):
    """Stage: sound in, utterances out.

    It takes `AudioChunk`, `Mark` and `Dropped`, and gives:

    - `SpeechStarted` when speech is long enough for an utterance;
    - `Segment` with `final` false at a pause (so that the next stages work ahead), and at regular
      intervals;
    - `Segment` with `final` true after the hangover, or where another person speaks on;
    - `Mark` with the time before which no utterance starts any more.

    The bounds of a segment are those of the voiced part. Its sound has a pre-roll before it and a
    short tail after it. Only media time counts.

    Args:
        settings: see there.
        detector: the voice activity detector; None makes one.
        changes: whether another person speaks on after a pause; None: it is not asked.
    """

    def __init__(
        self,
        settings: Segmentation,
        detector: VoiceActivity | None = None,
        changes: VoiceChanges | None = None,
    ) -> None:
        self._settings = settings
        self._endpoints = EndpointDetector(settings, detector, self._begin, changes=changes)
        self._level = level_in_db(np.zeros(1, np.float32))
        self.reset()

    @property
    def speech(self) -> Speech | None:
        """The utterance that is being spoken, however short it is so far."""
        return self._endpoints.speech

    @property
    def reached(self) -> float:
        """Media time in seconds up to which the sound is cut."""
        return self._timeline.time(self._pending_position)

    @property
    def voiced(self) -> bool:
        """Whether the last window had a voice."""
        speech = self._endpoints.speech
        return speech is not None and speech.voiced_end >= self._pending_position

    def reset(self) -> None:
        """Forgets all sound."""
        self._endpoints.reset()
        self._timeline = Timeline()
        self._history = History(self._settings.max_utterance + self._settings.pre_roll + 5.0)
        self._pending = np.zeros(0, np.float32)
        self._pending_position = 0
        self._last_mark = self._last_sent_mark = 0.0

    def gauges(self) -> Gauges:
        """Input level in dB of full scale, and whether somebody speaks."""
        return {"level": self._level, "speaking": self._endpoints.speech is not None}

    def process(self, message: Incoming) -> Iterator[messages.Message]:
        """See the class."""
        match message:
            case messages.AudioChunk(time=time, samples=samples):
                yield from self._add_sound(time, np.frombuffer(samples, np.float32))
            case messages.Mark(time=time):
                yield from self._pass_silence(time)
            case messages.Dropped(what=what) if what != "frames":  # those pass with the faces
                self._timeline.known(message)
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
        yield from self._timeline.report(jump)
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
        self._endpoints.discard(position)
        self._pending = np.zeros(0, np.float32)

    def _pass_silence(self, time: float) -> Iterator[messages.Message]:
        """Media time goes on without sound: an utterance ends after the hangover."""
        silence = time - self._timeline.now
        # Sound that is so late counts as lost: it does not continue the utterance.
        if silence >= self._settings.hangover and silence > JUMP:
            yield from self._finish(self._timeline.sample(time))
            self._endpoints.discard(self._timeline.position)
            self._last_mark = max(self._last_mark, time)
            yield messages.Mark(self._last_mark, "segment")
        else:
            yield self._mark()

    def _mark(self) -> messages.Mark:
        speech = self._endpoints.speech
        begin = speech.begin if speech else self._timeline.time(self._pending_position)
        self._last_mark = max(self._last_mark, round(begin - self._settings.pre_roll, 3))
        return messages.Mark(self._last_mark, "segment")

    def _begin(self, position: int) -> float:
        """Media time at which an utterance begins: not before the last mark."""
        return max(self._timeline.time(position), self._last_mark)

    def _windows(self, samples: NDArray[np.float32]) -> Iterator[messages.Message]:
        for offset in range(0, len(samples), WINDOW):
            start = self._pending_position
            self._pending_position += WINDOW
            window = samples[offset : offset + WINDOW]
            yield from self._messages(self._endpoints.step(window, start))

    def _finish(self, at: int) -> Iterator[messages.Message]:
        yield from self._messages(self._endpoints.finish(at))

    def _messages(self, endpoints: Iterable[Started | Part]) -> Iterator[messages.Message]:
        for endpoint in endpoints:
            speech = endpoint.speech
            if isinstance(endpoint, Started):
                yield messages.SpeechStarted(speech.start, round(speech.begin, 3))
                continue
            yield self._segment(endpoint)
            # After a cut, speech continues, and marks follow its second part.
            if self._endpoints.speech is None:
                self._last_mark = max(self._last_mark, round(speech.time(endpoint.end), 3))

    def _segment(self, part: Part) -> messages.Segment:
        speech = part.speech
        # The very last window is filled with silence, so `end` can be after the sound.
        end = min(part.end, self._timeline.position)
        return messages.Segment(
            speech.start,
            round(speech.begin, 3),
            round(speech.time(end), 3),
            round(speech.time(part.at), 3),
            part.final,
            self._history.slice(part.sound_start, part.sound_end).tobytes(),
            envelope=speech.envelope(part.end).tobytes(),
        )
