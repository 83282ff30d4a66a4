"""Takes the events of a running session into the ring."""

import asyncio
import contextlib
import threading

from gscon_live.common.errors import Failure, InputError
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.client import Hello, Subscriber
from gscon_live.realtime.gateway.event_ring import EventRing

#: Seconds between two looks at the connection while no event comes.
_INTERVAL = 0.25


class EventFeed:
    """A subscriber in a thread of its own. It never waits for a viewer, so viewers cannot slow it.

    Args:
        subscriber: the connection to the publisher; only the feed uses it from now on.
        ring: where the events go.
        hello: the publisher's answer; None: the feed waits for it, without limit.

    Attributes:
        ring: where the events go.
        connected: whether the publisher is connected.
        faces: number and line of the newest event of faces; none of them is kept longer.
        error: why the feed has ended by itself; None if it has not.
    """

    def __init__(self, subscriber: Subscriber, ring: EventRing, hello: Hello | None = None) -> None:
        self.ring = ring
        self.connected = hello is not None
        self.faces: tuple[int, str] = (0, "")
        self.error: InputError | None = None
        self._subscriber = subscriber
        self._hello = hello
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="event-feed", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()

    @property
    def missed(self) -> int:
        """Number of events that did not reach the gateway."""
        return self._subscriber.missed

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begins to take events; `loop` runs the viewers."""
        self._loop = loop
        self._thread.start()

    def changed(self) -> asyncio.Event:
        """Is set at the next change. Get it before you look at the ring."""
        return self._changed

    def stop(self) -> None:
        """Ends the thread and closes the connection."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(2.0)
        self._subscriber.close()

    def _run(self) -> None:
        try:
            while self._hello is None and not self._stopped.is_set():
                with contextlib.suppress(Failure):
                    self._hello = self._subscriber.ready(_INTERVAL)
            self._take_start()
            while not self._stopped.is_set():
                received = self._subscriber.receive(_INTERVAL)
                self.connected = self._subscriber.connected
                if received is not None and isinstance(received.event, schema.FaceEvent):
                    self.faces = self.faces[0] + 1, received.raw
                    self._notify()
                elif received is not None:
                    self.ring.add(received.event.session, received.event.seq, received.raw)
                    self._notify()
        except InputError as error:
            self.error = error
            self._notify()

    def _take_start(self) -> None:
        """Takes the first event of a session that began before."""
        started = None if self._hello is None else self._hello.started
        if started is not None:
            self.ring.add(started.session, started.seq, schema.encode(started).decode())
            self._notify()

    def _notify(self) -> None:
        assert self._loop is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        event, self._changed = self._changed, asyncio.Event()
        event.set()
