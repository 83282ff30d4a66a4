"""Lab Streaming Layer (LSL): markers and probabilities, on the clock of all other streams.

Kothe et al. 2024, "The Lab Streaming Layer for Synchronized Multimodal Recording".
"""

import time

import pylsl

from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.in_words import without_controls
from gscon_live.realtime.events.schema import AnyEvent, UtteranceEvent
from gscon_live.realtime.outlets.media_clock import MediaClock

#: Seconds for the last samples: LSL sends in the background, and drops what waits at the end.
_LINGER = 1.0

#: Samples without a fixed rate: an answer comes when somebody has spoken.
_IRREGULAR = 0.0


class LslOutlet:
    """Two streams, both without a fixed rate, and without words.

    `NAME-markers` (type `Markers`, one string): `utterance/joy/Ada` at the end of an utterance,
    with `joy?` where the model abstained; `speech`, `session/started`, `session/ended` and
    `gap/frames`. `NAME` (type `Emotion`, seven floats): the probabilities of the utterance, in the
    order of `EMOTIONS`, which the description of the stream names too.

    Time stamps are the moments at which it happened, not those at which it became known.

    Args:
        name: the name of the streams.
    """

    def __init__(self, name: str = "gscon") -> None:
        markers = pylsl.StreamInfo(
            f"{name}-markers", "Markers", 1, _IRREGULAR, pylsl.cf_string, f"gscon-live {name} m"
        )
        probabilities = pylsl.StreamInfo(
            name, "Emotion", len(EMOTIONS), _IRREGULAR, pylsl.cf_float32, f"gscon-live {name} p"
        )
        probabilities.set_channel_labels(list(EMOTIONS))
        self._markers = pylsl.StreamOutlet(markers)
        self._probabilities = pylsl.StreamOutlet(probabilities)
        self._clock = MediaClock()

    def write(self, event: AnyEvent) -> None:
        """Sends what an event has for these streams."""
        self._clock.note(event, pylsl.local_clock())
        marker = marker_of(event)
        if marker is None:
            return
        text, media_time = marker
        stamp = self._clock.at(media_time)
        self._markers.push_sample([text], stamp)
        if isinstance(event, UtteranceEvent):
            shares = event.emotion.probabilities
            self._probabilities.push_sample([shares.get(name, 0.0) for name in EMOTIONS], stamp)

    def close(self) -> None:
        """Ends the streams, after a second in which the last samples reach whoever records."""
        if self._markers.have_consumers() or self._probabilities.have_consumers():
            time.sleep(_LINGER)
        del self._markers, self._probabilities


def marker_of(event: AnyEvent) -> tuple[str, float] | None:
    """The marker of an event with its media time in seconds; None for events that have none."""
    if isinstance(event, UtteranceEvent):
        doubt = "?" if event.emotion.abstained else ""
        speaker = without_controls(event.utterance.speaker).replace("/", " ")
        return f"utterance/{event.emotion.label}{doubt}/{speaker}", event.utterance.end
    if isinstance(event, schema.SpeechStarted):
        return "speech", event.start
    if isinstance(event, schema.SessionStarted):
        return "session/started", 0.0
    if isinstance(event, schema.SessionEnded):
        return "session/ended", event.duration
    if isinstance(event, schema.Gap):
        return f"gap/{event.what}", event.time
    return None
