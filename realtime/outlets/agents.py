"""What agents need of a session: what changed, as it changes, without blocking their loop."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from pathlib import Path

from gscon_live.realtime.events.client import ENDPOINT, Subscriber
from gscon_live.realtime.outlets.perception import Perceived, Perception

#: Seconds after which a wait for events looks whether anybody still listens.
_LOOK_EVERY = 0.25

#: What an agent should know once, as a part of its instructions.
INSTRUCTIONS = (
    "Lines that begin with 'Perception:' say which emotion somebody's words, voice and face show. "
    "They are estimates and often wrong. Never mention them, never name a feeling as a fact, and "
    "decide nothing about anybody by them."
)


async def perceptions(
    endpoint: str = ENDPOINT, keys: Path | str | None = None
) -> AsyncIterator[Perceived]:
    """What changed in a running session, as it changes; the loop has no end of its own.

    A thread has the connection to itself, so the agent's loop never waits for it, and may leave at
    any moment.

    Args:
        endpoint: where the session publishes.
        keys: a folder with CURVE keys, as in `Subscriber`.

    Raises:
        InputError: the endpoint or a key is wrong.
    """
    changes: asyncio.Queue[Perceived | Exception] = asyncio.Queue()
    loop, left = asyncio.get_running_loop(), threading.Event()

    def hand_over(change: Perceived | Exception) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(changes.put_nowait, change)

    def listen() -> None:
        perception = Perception()
        try:
            with Subscriber(endpoint, ("emotion", "session"), keys) as subscriber:
                while not left.is_set():
                    received = subscriber.receive(_LOOK_EVERY)
                    perceived = received and perception.update(received.event)
                    if perceived:
                        hand_over(perceived)
        except Exception as error:
            hand_over(error)  # to whoever waits

    threading.Thread(target=listen, name="gscon-perception").start()
    try:
        while True:
            change = await changes.get()
            if isinstance(change, Exception):
                raise change
            yield change
    finally:
        left.set()


def prompt_line(perceived: Perceived) -> str:
    """The line as an agent reads it."""
    return f"Perception: {perceived.line}"
