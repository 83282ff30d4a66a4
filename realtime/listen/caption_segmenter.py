"""Segmentation by captions: an utterance for each caption."""

import heapq
from collections.abc import Iterator, Sequence

import numpy as np

from gscon_live.model.speech.endpoint_detector import Segmentation
from gscon_live.realtime.listen.segmenter import level_in_db
from gscon_live.realtime.listen.timeline import History, Timeline
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.stage import Gauges, Incoming, Stage

#: Seconds of sound that are kept. Of a longer caption, only the end of the sound is used.
LONGEST = 60.0


class _Open:
    """A caption that has begun; `key` is unique in the session."""

    def __init__(self, key: int, cue: messages.Cue) -> None:
        self.key = key
        self.cue = cue
        self.last_provisional = cue.start


class CaptionSegmenter(Stage):
    """Stage: sound and captions in, utterances out, one per caption.

    It gives the same messages as `Segmenter`. Captions give the bounds, the words and, if they name
    one, the speaker. Captions may overlap. Provisional segments have no words (`text` is empty), as
    the caption's words are not all spoken yet.

    Args:
        settings: see there.
        has_audio: whether sound will come.
        speakers: the name of each channel's speaker, where every speaker has one. The loudest
            channel in a caption is the sound of it, and names the speaker if the caption does not.
    """

    def __init__(
        self, settings: Segmentation, has_audio: bool, speakers: Sequence[str] = ()
    ) -> None:
        self._settings = settings
        self._has_audio = has_audio
        self._speakers = speakers
        self._level = level_in_db(np.zeros(1, np.float32))
        self.reset()

    def reset(self) -> None:
        """Forgets all sound and captions."""
        self._timeline = Timeline()
        seconds = LONGEST + self._settings.pre_roll + 5.0
        self._histories = [History(seconds) for _ in self._speakers or [""]]
        self._waiting: list[tuple[float, int, messages.Cue]] = []
        self._open: list[_Open] = []
        self._count = 0
        self._last_key = -1
        self._last_mark = 0.0

    def gauges(self) -> Gauges:
        """Input level in dB of full scale, and whether a caption runs."""
        return {"level": self._level, "speaking": bool(self._open)}

    def process(self, message: Incoming) -> Iterator[messages.Message]:
        """Takes `AudioChunk`, `Cue`, `Mark` and `Dropped`; see the class."""
        match message:
            case messages.Cue():
                heapq.heappush(self._waiting, (message.start, self._count, message))
                self._count += 1
            case messages.AudioChunk(time=time, samples=raw):
                sound = np.frombuffer(raw, np.float32).reshape(len(self._histories), -1)
                if count := sound.shape[1]:
                    self._level = max(map(level_in_db, sound))
                    jump = self._timeline.arrive(time, count)
                    yield from self._timeline.report(jump)
                    for history, samples in zip(self._histories, sound, strict=True):
                        history.append(self._timeline.position, samples)
                    self._timeline.advance(count)
                    yield from self._reach(self._timeline.now)
            case messages.Mark(time=time):
                if not self._has_audio or time > self._timeline.now:
                    yield from self._reach(time)
            case messages.Dropped(what=what) if what != "frames":  # those pass with the faces
                self._timeline.known(message)
                yield message

    def flush(self) -> Iterator[messages.Message]:
        """Ends all captions, also those that reach beyond the end of the recording."""
        yield from self._reach(float("inf"))

    def _reach(self, now: float) -> Iterator[messages.Message]:
        """Starts and ends the captions that start and end until `now`, in order of time."""
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
        interval = self._settings.provisional_every
        for caption in self._open:
            if interval and now - caption.last_provisional >= interval:
                caption.last_provisional += interval
                yield self._segment(caption, caption.last_provisional, final=False)
        # The capture's marks and the times of the sound may differ by jitter.
        reached = round(min([now, *(caption.cue.start for caption in self._open)]), 3)
        self._last_mark = max(self._last_mark, reached)
        yield messages.Mark(self._last_mark, "segment")

    def _start(self, cue: messages.Cue) -> Iterator[messages.Message]:
        key = max(self._last_key + 1, round(cue.start * 1000))
        self._last_key = key
        self._open.append(_Open(key, cue))
        yield messages.SpeechStarted(key, round(cue.start, 3))

    def _segment(self, caption: _Open, end: float, *, final: bool) -> messages.Segment:
        sound, speaker = None, caption.cue.speaker
        if self._has_audio:
            start = self._timeline.sample(caption.cue.start - self._settings.pre_roll)
            until = self._timeline.sample(end)
            heard = [history.slice(start, until) for history in self._histories]
            loudest = max(range(len(heard)), key=lambda n: float(np.dot(heard[n], heard[n])))
            sound = heard[loudest].tobytes()
            if self._speakers and speaker is None:
                speaker = self._speakers[loudest]
        return messages.Segment(
            caption.key,
            round(caption.cue.start, 3),
            round(end, 3),
            round(end, 3),
            final,
            sound,
            caption.cue.text if final else "",
            speaker,
        )
