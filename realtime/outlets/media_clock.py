"""Media time on the clock of whoever receives the events."""

from collections import deque

from gscon_live.realtime.events import schema
from gscon_live.realtime.events.schema import AnyEvent, Provisional, UtteranceEvent

#: How many answers the clock is set by: enough to pass over slow ones, and few enough to follow a
#: sound card whose seconds are a little longer than those of the machine.
_ANSWERS = 20


class MediaClock:
    """Says when, on the receiver's clock, a moment of media time was.

    A live answer carries its delay, so its arrival less that delay is the moment when speech ended.
    What remains is the way of the event, a few milliseconds; it is only ever added, so the smallest
    of the last answers is the best. Before the first answer, and in a replay, which has no delays,
    the session began when its first event arrived.
    """

    def __init__(self) -> None:
        self._session: str | None = None
        self._began = 0.0
        self._offsets: deque[float] = deque(maxlen=_ANSWERS)

    def note(self, event: AnyEvent, arrival: float) -> None:
        """Sets the clock by an event and the second at which it arrived; call it with every one."""
        if event.session != self._session or isinstance(event, schema.SessionStarted):
            self._session = event.session
            self._began = arrival - max(_moment(event), 0.0)
            self._offsets.clear()
        if isinstance(event, (UtteranceEvent, Provisional)) and event.latency is not None:
            spoken = event.utterance.end + event.latency.end_of_speech_to_event
            self._offsets.append(arrival - spoken)

    def at(self, media_time: float) -> float:
        """The receiver's second of a moment of media time, given in seconds."""
        return media_time + (min(self._offsets) if self._offsets else self._began)


def _moment(event: AnyEvent) -> float:
    """The media time at which an event happened, in seconds."""
    if isinstance(event, (UtteranceEvent, Provisional)):
        return event.utterance.end
    if isinstance(event, schema.SpeechStarted):
        return event.start
    if isinstance(event, schema.SessionEnded):
        return event.duration
    return 0.0 if isinstance(event, schema.SessionStarted) else event.time
