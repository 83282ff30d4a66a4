"""The one table of services: what each takes and sends, and how messages are delivered.

Delivery policies, by name:

- `lossless`: a full queue blocks the sender. Nothing is lost; the sender has to wait.
- `latest`: pictures, and what is only for show, never wait: the newest is kept and what is dropped
  on the way is counted. Marks, losses and ends are still delivered.
- `events`: published with sequence numbers; a subscriber that does not keep up loses the newest
  events and can count them. Nothing else slows down.
"""

from typing import Literal

import msgspec

from gscon_live.realtime.events import schema
from gscon_live.realtime.pipeline import messages

Policy = Literal["lossless", "latest", "events"]

_ALWAYS: tuple[type, ...] = (messages.Mark, messages.Dropped, messages.End, messages.Restarted)

MEBIBYTE = 1 << 20


class Link(msgspec.Struct, frozen=True):
    """What one service sends to another.

    `queue_bytes` bounds the memory of the link on either side; ZeroMQ counts messages, so the
    high-water mark is `queue_bytes / message_bytes`, with `message_bytes` the size of the largest
    ordinary message. `replay` is the policy when every message counts.
    """

    sender: str
    receiver: str
    carries: tuple[type, ...]
    live: Policy
    queue_bytes: int
    message_bytes: int
    replay: Policy = "lossless"

    def policy(self, live: bool) -> Policy:
        """The delivery policy in a live session or in a replay."""
        return self.live if live else self.replay

    def high_water_mark(self, live: bool) -> int:
        """Messages that either side may hold."""
        if self.policy(live) == "latest":
            return 1
        return max(2, self.queue_bytes // self.message_bytes)


#: What a `latest` link may drop.
DROPPABLE: tuple[type, ...] = (
    messages.VideoFrame,
    messages.Faces,
    schema.Provisional,
    schema.UtteranceEvent,
)

_FRAME = 640 * 480 * 3
_SOUND = (messages.AudioChunk, messages.Cue, *_ALWAYS)
_PICTURES = (messages.VideoFrame, *_ALWAYS)

LINKS: tuple[Link, ...] = (
    Link("recording", "segment", _SOUND, "lossless", 2 * MEBIBYTE, 16 << 10),
    Link("recording", "watch", _PICTURES, "latest", 8 * MEBIBYTE, _FRAME),
    Link("microphone", "segment", _SOUND, "lossless", 2 * MEBIBYTE, 1280),
    Link("camera", "watch", _PICTURES, "latest", 2 * MEBIBYTE, _FRAME),
    Link("microphone", "record", _SOUND, "lossless", 2 * MEBIBYTE, 1280),
    Link("camera", "record", _PICTURES, "lossless", 16 * MEBIBYTE, _FRAME),
    # Nothing waits for a window on the screen, so it is not told the end either: it is stopped.
    Link("camera", "preview", (messages.VideoFrame,), "latest", 2 * MEBIBYTE, _FRAME),
    Link(
        "segment",
        "transcribe",
        (messages.SpeechStarted, messages.Segment, *_ALWAYS),
        "lossless",
        16 * MEBIBYTE,
        MEBIBYTE,
    ),
    Link(
        "transcribe",
        "recognise",
        (messages.SpeechStarted, messages.Utterance, *_ALWAYS),
        "lossless",
        MEBIBYTE,
        4 << 10,
    ),
    Link("watch", "recognise", (messages.Faces, *_ALWAYS), "lossless", MEBIBYTE, 2 << 10),
    Link("watch", "preview", (messages.Faces,), "latest", MEBIBYTE, 2 << 10),
    Link(
        "recognise",
        "preview",
        (schema.UtteranceEvent, schema.Provisional),
        "latest",
        MEBIBYTE,
        4 << 10,
    ),
)

#: Services that read a device or a file, and so have nothing to take.
SOURCES = frozenset({"recording", "microphone", "camera"})

#: The event stream to subscribers: policy `events`.
EVENTS_QUEUE_BYTES, EVENT_BYTES = MEBIBYTE, 2 << 10


def links_from(sender: str, running: frozenset[str]) -> list[Link]:
    """The links on which a service sends, to receivers that are running."""
    return [one for one in LINKS if one.sender == sender and one.receiver in running]


def links_to(receiver: str, running: frozenset[str]) -> list[Link]:
    """The links on which a service receives, from senders that are running."""
    return [one for one in LINKS if one.receiver == receiver and one.sender in running]
