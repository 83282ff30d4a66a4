"""What a service is: one record says what it takes, from whom, how, and what builds it.

Delivery policies, by name:

- `lossless`: a full queue blocks the sender. Nothing is lost; the sender has to wait.
- `latest`: pictures, and what is only for show, never wait: the newest is kept and what is dropped
  on the way is counted. `Control` messages (marks, losses, ends) are still delivered.
- `events`: published with sequence numbers; a subscriber that does not keep up loses the newest
  events and can count them. Nothing else slows down.
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
    """What a service takes from another one.

    Args:
        sender: the service that sends it.
        carries: the types of message. A `Control` among them lets marks, losses, restarts and the
            end through; without it, the receiver does not wait for the sender's end.
        live: the delivery policy in a live session.
        queue_bytes: bounds the memory of the link on either side. ZeroMQ counts messages, so the
            high-water mark is `queue_bytes / message_bytes`.
        message_bytes: size of the largest ordinary message.
        replay: the policy when every message counts.
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
        """Messages that either side may hold."""
        if self.policy(live) == "latest":
            return 1
        return max(2, self.queue_bytes // self.message_bytes)

    @property
    def carries_end(self) -> bool:
        """Whether the receiver is told when the sender has ended."""
        return issubclass(messages.End, self.carries)


class Link(Input, frozen=True, kw_only=True):
    """An `Input` together with the service that takes it."""

    receiver: str


class Service(msgspec.Struct, Generic[PlanT], frozen=True, kw_only=True):
    """One stage or source: all that the session has to know of it.

    Args:
        name: in endpoints, events and messages (`Mark.source`, `End.source`).
        build: `module:function`, imported in the service's own process. The function takes the
            worker and a function that gives the session's time zero, and returns a `Stage`, or a
            `Source` where `takes` is empty.
        runs: whether the service is part of a session, by the session's plan.
        takes: what it takes from other services; senders that do not run are left out.
        answers: whether the events that it gives are those of the session. One service does.
        restarts: whether it is started again when it fails in a live session.
        needed: whether a live session ends when it fails again and again; if not, the session goes
            on without it.
    """

    name: str
    build: str
    runs: Callable[[PlanT], bool]
    takes: tuple[Input, ...] = ()
    answers: bool = False
    restarts: bool = True
    needed: bool = True

    @property
    def source(self) -> bool:
        """Whether it reads a device or a file, and so takes nothing from other services."""
        return not self.takes


def links(services: Sequence[Service[PlanT]]) -> list[Link]:
    """The links among services that run."""
    running = {service.name for service in services}
    return [
        Link(receiver=service.name, **msgspec.structs.asdict(taken))
        for service in services
        for taken in service.takes
        if taken.sender in running
    ]
