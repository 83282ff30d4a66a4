"""Segmentation of sound in which every speaker has a channel."""

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from math import inf

import msgspec
import numpy as np
from numpy.typing import NDArray

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.model.speech.endpoint_detector import Segmentation
from gscon_live.model.speech.leakage import Leakage
from gscon_live.model.speech.voice_activity import WINDOW, WINDOW_SECONDS, VoiceActivity
from gscon_live.realtime.listen.segmenter import Segmenter, level_in_db
from gscon_live.realtime.listen.timeline import JUMP
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.stage import Gauges, Incoming, Stage

Samples = NDArray[np.float32]


class ChannelSegmenter(Stage):
    """Stage: sound with several channels in, utterances of their speakers out.

    It gives the same messages as `Segmenter`, which cuts each channel. Those who speak at once have
    an utterance each, which tells for how long. A channel that hears only another's speaker is
    taken for silent (see `Leakage`).

    Args:
        settings: see there.
        speakers: the name of each channel's speaker.
        detectors: the voice activity detector of each channel; None makes them.
        in_order: whether utterances wait for others that end before them. Then they come in order
            of their ends; else each comes as soon as it is known.
    """

    def __init__(
        self,
        settings: Segmentation,
        speakers: Sequence[str],
        detectors: Sequence[VoiceActivity] | None = None,
        in_order: bool = True,
    ) -> None:
        self._settings = settings
        self._speakers = speakers
        self._in_order = in_order
        count = len(speakers)
        self._detectors = [_Muted(own) for own in detectors or _activities(count)]
        self._channels = [Segmenter(settings, own) for own in self._detectors]
        self._leakage = Leakage(count)
        #: Windows in which an utterance may have been, and a little more.
        self._remembered = round((settings.max_utterance + 5.0) / WINDOW_SECONDS)
        self._level = level_in_db(np.zeros(1, np.float32))
        self.reset()

    def reset(self) -> None:
        """Forgets all sound."""
        for channel in self._channels:
            channel.reset()
        self._leakage.reset()
        count = len(self._speakers)
        self._pending = np.zeros((count, 0), np.float32)
        self._end = 0.0  # media time after the sound that came ...
        self._reached = 0.0  # ... and after that which was cut into windows
        self._voiced: deque[tuple[float, NDArray[np.bool_]]] = deque(maxlen=self._remembered)
        self._held: list[tuple[float, int, messages.Segment]] = []
        self._count = 0
        self._marks = [0.0] * count
        self._last_mark = 0.0

    def gauges(self) -> Gauges:
        """Input level in dB of full scale of the loudest channel, and whether somebody speaks."""
        return {
            "level": self._level,
            "speaking": any(channel.speech is not None for channel in self._channels),
        }

    def process(self, message: Incoming) -> Iterator[messages.Message]:
        """Takes `AudioChunk`, `Mark` and `Dropped`; see the class."""
        match message:
            case messages.AudioChunk(time=time, samples=raw):
                sound = np.frombuffer(raw, np.float32).reshape(len(self._channels), -1)
                if sound.shape[1]:
                    yield from self._add_sound(time, sound)
            case messages.Mark() | messages.Dropped():
                for given in self._each(lambda own, _: own.process(message)):
                    yield from self._give(given)
            case _:
                return
        yield from self._release(self._earliest_end())
        yield from self._mark()

    def flush(self) -> Iterator[messages.Message]:
        """Ends the utterances that are being spoken."""
        if self._pending.shape[1]:
            rest, self._pending = self._pending, self._pending[:, :0]
            yield from self._window(self._end - rest.shape[1] / SAMPLE_RATE, rest)
        for given in self._each(lambda own, _: own.flush()):
            yield from self._give(given)
        yield from self._release(inf)

    def _add_sound(self, time: float, sound: Samples) -> Iterator[messages.Message]:
        self._level = max(level_in_db(own) for own in sound)
        if abs(time - self._end) > JUMP:
            # What is left belongs to a window of which the rest is lost.
            self._pending = self._pending[:, :0]
        begin = time - self._pending.shape[1] / SAMPLE_RATE
        self._pending = np.concatenate([self._pending, sound], axis=1)
        self._end = time + sound.shape[1] / SAMPLE_RATE
        count = self._pending.shape[1] // WINDOW
        for number in range(count):
            window = self._pending[:, number * WINDOW : (number + 1) * WINDOW]
            yield from self._window(begin + number * WINDOW_SECONDS, window)
        self._pending = self._pending[:, count * WINDOW :].copy()

    def _window(self, time: float, window: Samples) -> Iterator[messages.Message]:
        for detector, mute in zip(self._detectors, self._leakage(window), strict=True):
            detector.mute = bool(mute)
        chunks = [messages.AudioChunk(time, np.ascontiguousarray(own).tobytes()) for own in window]
        # All channels first: what overlaps is known once the last one has heard its window.
        heard = list(self._each(lambda own, number: own.process(chunks[number])))
        # By the clock of the utterances, which never goes back.
        self._reached = self._channels[0].reached
        self._voiced.append(
            (
                self._reached - WINDOW_SECONDS,
                np.array([channel.voiced for channel in self._channels]),
            )
        )
        for message in heard:
            yield from self._give(message)
        yield from self._release(self._earliest_end())

    def _each(
        self, give: Callable[[Segmenter, int], Iterator[messages.Message]]
    ) -> Iterator[messages.Message]:
        """What all channels give: with keys of their own, names, and what is lost only once."""
        count = len(self._channels)
        for number, channel in enumerate(self._channels):
            for message in give(channel, number):
                match message:
                    case messages.Mark(time=time):
                        self._marks[number] = time
                    case messages.SpeechStarted(key=key):
                        yield msgspec.structs.replace(message, key=key * count + number)
                    case messages.Segment(key=key):
                        speaker = self._speakers[number]
                        yield msgspec.structs.replace(
                            message, key=key * count + number, speaker=speaker
                        )
                    case _ if number == 0:
                        yield message

    def _give(self, message: messages.Message) -> Iterator[messages.Message]:
        """Gives a message, or keeps the end of an utterance."""
        if not isinstance(message, messages.Segment):
            yield message
            return
        segment = msgspec.structs.replace(message, overlap=self._overlap(message))
        if segment.final and self._in_order:
            self._count += 1
            heapq.heappush(self._held, (segment.end, self._count, segment))
        else:
            yield segment

    def _overlap(self, segment: messages.Segment) -> float:
        """Seconds of an utterance in which its speaker and another one have a voice."""
        own = segment.key % len(self._channels)
        count = sum(
            bool(voiced[own]) and int(voiced.sum()) > 1
            for time, voiced in self._voiced
            if segment.start - WINDOW_SECONDS / 2 <= time < segment.end - WINDOW_SECONDS / 2
        )
        return round(min(count * WINDOW_SECONDS, segment.end - segment.start), 3)

    def _release(self, until: float) -> Iterator[messages.Message]:
        """Gives the utterances that end until a media time."""
        while self._held and self._held[0][0] <= until:
            yield heapq.heappop(self._held)[2]

    def _earliest_end(self) -> float:
        """The media time in seconds before which no utterance that is not known yet ends."""
        ends = [self._reached]
        for channel in self._channels:
            if (speech := channel.speech) is not None:
                # One that is too long is cut in its last third.
                cut = speech.begin + self._settings.max_utterance * 2 / 3
                ends.append(min(speech.time(speech.voiced_end), cut))
        return round(min(ends), 3)

    def _mark(self) -> Iterator[messages.Message]:
        starts = [segment.start - self._settings.pre_roll for _, _, segment in self._held]
        mark = round(min([*self._marks, *starts]), 3)
        if mark > self._last_mark:
            self._last_mark = mark
            yield messages.Mark(mark, "segment")


def _activities(count: int) -> list[VoiceActivity]:
    return [VoiceActivity() for _ in range(count)]


class _Muted(VoiceActivity):
    """A detector that hears silence while its channel hears only other speakers."""

    def __init__(self, detector: VoiceActivity) -> None:
        self._detector = detector
        self.mute = False

    def reset(self) -> None:
        """Forgets all sound."""
        self._detector.reset()

    def __call__(self, samples: Samples) -> Samples:
        """The voice probability of each window."""
        return self._detector(np.zeros_like(samples) if self.mute else samples)
