"""Follows a running session: its events as they come, with a notice of all that goes wrong."""

import math
from collections.abc import Callable, Iterator

from gscon_live.common.errors import Failure
from gscon_live.realtime.events.client import Received, Subscriber
from gscon_live.realtime.events.schema import SessionEnded

#: Takes a line for the user.
Notice = Callable[[str], None]

#: Seconds after which the state of the connection is looked at, where no event comes.
_LOOK_EVERY = 1.0


def await_publisher(subscriber: Subscriber, notice: Notice) -> None:
    """Waits without limit until the publisher has confirmed the subscription; says so if it takes
    longer than a second."""
    try:
        subscriber.ready(timeout=1.0)
    except Failure:
        notice(f"waiting for a publisher at {subscriber.endpoint}")
        subscriber.ready(timeout=math.inf)


def follow(subscriber: Subscriber, notice: Notice, once: bool = False) -> Iterator[Received]:
    """The events as they come.

    Args:
        subscriber: the connection.
        notice: gets a line where the publisher goes or comes back, and where events were lost or
            could not be read.
        once: stop after the end of a session; without it, the loop has no end of its own.
    """
    missed = unreadable = 0
    connected = True
    while True:
        received = subscriber.receive(_LOOK_EVERY)
        if subscriber.connected != connected:
            connected = not connected
            notice("the publisher is back" if connected else "the publisher has gone; waiting")
        if subscriber.missed > missed:
            notice(f"missed {subscriber.missed - missed} events ({subscriber.missed} in all)")
            missed = subscriber.missed
        if subscriber.unreadable > unreadable:
            unreadable = subscriber.unreadable
            notice(f"{unreadable} messages could not be read; is this version older than theirs?")
        if received is None:
            continue
        yield received
        if once and isinstance(received.event, SessionEnded):
            return
