"""The record of a service: its inputs, their delivery policies, and the function that builds it.

Delivery policies:

- `lossless`: a full queue blocks the sender. Nothing is lost.
- `latest`: the sender never waits. The newest message is kept, older ones are dropped and counted.
  `Control` messages (marks, losses, ends) are delivered all the same. For pictures and displays.
- `events`: published with sequence numbers. A slow subscriber loses the newest events and can count
  them. Nothing else slows down.
"""

from collections.abc import Callable, Sequence
from typing import Generic, Literal, TypeVar

import msgspec

from gscon_live.realtime.pipeline import messages

Policy = Literal["lossless", "latest", "events"]

PlanT = TypeVar("PlanT")

MEBIBYTE = 1 << 20

#: The event stream to subscribers: policy `events`.
EVENTS_QUEUE_BYTES, EVENT_BYTES = MEBIBYTE, 2 << 10


class Input(msgspec.Struct, frozen=True):
    """An input of a service from another service.

    Args:
        sender: the other service.
        carries: the types of message. `Control` includes marks, losses, restarts and the end;
            without it, the receiver does not wait for the sender's end.
        live: the delivery policy in a live session.
        queue_bytes: limit of the queue's memory on either side. ZeroMQ counts messages: the
            high-water mark is `queue_bytes / message_bytes`.
        message_bytes: size of the largest ordinary message.
        replay: the delivery policy in a replay.
    """

    sender: str
    carries: tuple[type, ...]
    live: Policy = "lossless"
    queue_bytes: int = MEBIBYTE
    message_bytes: int = 4 << 10
    replay: Policy = "lossless"

    def policy(self, live: bool) -> Policy:
        """The delivery policy in a live session or in a replay."""
        return self.live if live else self.replay

    def high_water_mark(self, live: bool) -> int:
        """Maximal number of queued messages on either side."""
        if self.policy(live) == "latest":
            return 1
        return max(2, self.queue_bytes // self.message_bytes)

    @property
    def carries_end(self) -> bool:
        """Whether the sender's `End` is delivered."""
        return issubclass(messages.End, self.carries)


class Link(Input, frozen=True, kw_only=True):
    """An `Input` together with the service that takes it."""

    receiver: str


class Service(msgspec.Struct, Generic[PlanT], frozen=True, kw_only=True):
    """A stage or source, as the session sees it.

    Args:
        name: its name in addresses, events and messages (`Mark.source`, `End.source`).
        build: `module:function`, imported in the service's own process. The function takes the
            worker and a function that gives the session's start, and returns a `Stage`, or a
            `Source` if `takes` is empty.
        runs: whether the service is part of a session, by the session's plan.
        takes: its inputs; senders that do not run are left out.
        answers: whether its events are those of the session. Exactly one service answers.
        restarts: whether a live session restarts it after a failure.
        needed: whether a live session ends if it fails repeatedly; if not, the session goes on
            without it.
        keeps: whether it writes a file of the user's: at the end of the session, it has time to
            complete it.
    """

    name: str
    build: str
    runs: Callable[[PlanT], bool]
    takes: tuple[Input, ...] = ()
    answers: bool = False
    restarts: bool = True
    needed: bool = True
    keeps: bool = False

    @property
    def source(self) -> bool:
        """Whether it reads a device or a file, and so takes nothing from other services."""
        return not self.takes


def links(services: Sequence[Service[PlanT]]) -> list[Link]:
    """The links among services that run."""
    running = {service.name for service in services}
    return [
        Link(receiver=service.name, **msgspec.structs.asdict(source))
        for service in services
        for source in service.takes
        if source.sender in running
    ]
