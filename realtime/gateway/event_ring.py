"""The last events of the stream, for viewers that come late or were away for a moment."""

import threading
from collections import deque
from typing import NamedTuple

#: Limits of what is kept. An event of an utterance has about 1.3 kB, so this is hours.
MOST_EVENTS, MOST_BYTES = 20_000, 32 * 1024 * 1024


class _Kept(NamedTuple):
    session: str
    seq: int
    line: str


class Newest(NamedTuple):
    """What there is of the newest session: its name, its events, and how many are not there."""

    session: str | None
    lines: list[str]
    missing: int


class EventRing:
    """A bounded list of events; each has a *position*, which grows by one per event.

    Viewers keep a position, not a queue. So a slow viewer costs no memory: it misses what has left
    the ring, and sees it from the numbers of the events. All methods may be called from any thread.

    Args:
        most_events: maximal number of events.
        most_bytes: maximal size of all events together, as lines of JSON in characters.
    """

    def __init__(self, most_events: int = MOST_EVENTS, most_bytes: int = MOST_BYTES) -> None:
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._events: deque[_Kept] = deque()
        self._bytes = 0
        self._end = 0
        self._lock = threading.Lock()

    @property
    def end(self) -> int:
        """The position of the next event."""
        return self._end

    def add(self, session: str, seq: int, line: str) -> None:
        """Adds an event; the oldest ones leave."""
        with self._lock:
            self._events.append(_Kept(session, seq, line))
            self._bytes += len(line)
            self._end += 1
            while len(self._events) > self._most_events or (
                self._bytes > self._most_bytes and len(self._events) > 1
            ):
                self._bytes -= len(self._events.popleft().line)

    def position(self, session: str | None = None, seq: int | None = None) -> int:
        """Where a viewer begins to read.

        Args:
            session: the session that `seq` counts in; None: the newest.
            seq: the number of the first event that the viewer wants; None: all that there is.
        """
        with self._lock:
            first = self._end - len(self._events)
            if seq is None or not self._events:
                return first
            wanted = self._events[-1].session if session is None else session
            later: int | None = None
            for back, kept in enumerate(reversed(self._events), 1):
                after = self._end - back + 1
                if kept.session != wanted:
                    if later is not None:
                        return after
                    continue
                if later is None and seq > kept.seq + 1:
                    # The viewer knows numbers that are not there yet: those of an earlier session
                    # of this name. So it gets all.
                    return first
                # Replays of one recording have one name, and each counts from 0.
                if kept.seq < seq or (later is not None and kept.seq >= later):
                    return after
                later = kept.seq
            return first

    def newest(self) -> Newest:
        """The events of the newest session that are there."""
        with self._lock:
            if not self._events:
                return Newest(None, [], 0)
            last = self._events[-1]
            lines: list[str] = []
            later = last.seq + 1
            for kept in reversed(self._events):
                # Replays of one recording have one name, and each counts from 0.
                if kept.session != last.session or kept.seq >= later:
                    break
                lines.append(kept.line)
                later = kept.seq
        return Newest(last.session, lines[::-1], last.seq + 1 - len(lines))

    def read(self, position: int, count: int) -> tuple[list[str], int]:
        """At most `count` events from a position on, and the position after them."""
        with self._lock:
            first = self._end - len(self._events)
            start = max(position, first)
            stop = min(start + count, self._end)
            lines = [self._events[index - first].line for index in range(start, stop)]
            return lines, max(stop, start)
