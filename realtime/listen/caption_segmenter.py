"""Cutting sound into utterances by the bounds of captions."""

import heapq
from collections.abc import Iterator

import numpy as np

from gscon_live.model.speech.endpoint_detector import Segmentation
from gscon_live.realtime.listen.segmenter import level_in_db
from gscon_live.realtime.listen.timeline import History, Timeline
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.stage import Gauges, Incoming, Stage

#: Longest caption whose sound is remembered whole, in seconds; of a longer one, its end is used.
LONGEST = 60.0


class _Open:
    """A caption whose time has come; `key` is unique in the session."""

    def __init__(self, key: int, cue: messages.Cue) -> None:
        self.key = key
        self.cue = cue
        self.last_provisional = cue.start


class CaptionSegmenter(Stage):
    """Stage: sound and captions in, utterances out, one per caption.

    The same messages as `Segmenter`; captions give bounds, words and, where they name one, the
    speaker. Captions may overlap. While a caption runs, its words are not used: provisional
    segments carry none (`text` is empty), as nobody has said them to the end yet.
    """

    def __init__(self, settings: Segmentation, has_audio: bool) -> None:
        self._settings = settings
        self._has_audio = has_audio
        self._level = level_in_db(np.zeros(1, np.float32))
        self.reset()

    def reset(self) -> None:
        """Forgets everything heard so far."""
        self._timeline = Timeline()
        self._history = History(LONGEST + self._settings.pre_roll + 5.0)
        self._waiting: list[tuple[float, int, messages.Cue]] = []
        self._open: list[_Open] = []
        self._count = 0
        self._last_key = -1
        self._marked = 0.0

    def gauges(self) -> Gauges:
        """Input level in dB of full scale, and whether somebody speaks."""
        return {"level": self._level, "speaking": bool(self._open)}

    def process(self, message: Incoming) -> Iterator[messages.Message]:
        """See the class."""
        match message:
            case messages.Cue():
                heapq.heappush(self._waiting, (message.start, self._count, message))
                self._count += 1
            case messages.AudioChunk(time=time, samples=raw):
                samples = np.frombuffer(raw, np.float32)
                if len(samples):
                    self._level = level_in_db(samples)
                    jump = self._timeline.arrive(time, len(samples))
                    if jump:
                        yield self._timeline.report(jump)
                    self._history.append(self._timeline.position, samples)
                    self._timeline.advance(len(samples))
                    yield from self._reach(self._timeline.now)
            case messages.Mark(time=time):
                if not self._has_audio or time > self._timeline.now:
                    yield from self._reach(time)
            case messages.Dropped():
                yield message

    def flush(self) -> Iterator[messages.Message]:
        """Ends all captions, those that reach beyond the recording's end too."""
        yield from self._reach(float("inf"))

    def _reach(self, now: float) -> Iterator[messages.Message]:
        """Media time has come to `now`: starts and ends what starts and ends by then, in order."""
        while True:
            ending = min(
                self._open, key=lambda caption: (caption.cue.end, caption.key), default=None
            )
            starts = self._waiting[0][0] if self._waiting else float("inf")
            ends = ending.cue.end if ending else float("inf")
            if min(starts, ends) > now or (starts == ends == float("inf")):
                break
            if ending and ends <= starts:
                self._open.remove(ending)
                yield self._segment(ending, ending.cue.end, final=True)
            else:
                yield from self._start(heapq.heappop(self._waiting)[2])
        if now == float("inf"):
            return
        every = self._settings.provisional_every
        for caption in self._open:
            if every and now - caption.last_provisional >= every:
                caption.last_provisional += every
                yield self._segment(caption, caption.last_provisional, final=False)
        # Marks of the capture and the sound's own time may differ by their jitter.
        reached = round(min([now, *(caption.cue.start for caption in self._open)]), 3)
        self._marked = max(self._marked, reached)
        yield messages.Mark(self._marked, "segment")

    def _start(self, cue: messages.Cue) -> Iterator[messages.Message]:
        key = max(self._last_key + 1, round(cue.start * 1000))
        self._last_key = key
        self._open.append(_Open(key, cue))
        yield messages.SpeechStarted(key, round(cue.start, 3))

    def _segment(self, caption: _Open, end: float, *, final: bool) -> messages.Segment:
        sound = None
        if self._has_audio:
            start_position = self._timeline.sample(caption.cue.start - self._settings.pre_roll)
            sound = self._history.slice(start_position, self._timeline.sample(end)).tobytes()
        return messages.Segment(
            caption.key,
            round(caption.cue.start, 3),
            round(end, 3),
            round(end, 3),
            final,
            sound,
            caption.cue.text if final else "",
            caption.cue.speaker,
        )
