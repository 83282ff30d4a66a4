"""How often each emotion was shown."""

from collections import Counter
from typing import TextIO

from gscon_live.realtime.events.schema import AnyEvent, UtteranceEvent
from gscon_live.realtime.events.sinks import Sink


class Counts(Sink):
    """One line at the end: the emotions and their numbers."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._counts: Counter[str] = Counter()

    def write(self, event: AnyEvent) -> None:
        if isinstance(event, UtteranceEvent):
            self._counts[event.emotion.label] += 1

    def close(self) -> None:
        shown = ", ".join(f"{label} {count}" for label, count in sorted(self._counts.items()))
        print(shown, file=self._stream)
