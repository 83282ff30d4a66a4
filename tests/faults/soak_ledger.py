"""What a soak knows beside a session: what was spoken and disturbed, and whether the events of the
session account for it. Times are seconds of the session's media time."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gscon_live.realtime.events import schema

#: Seconds by which what is played may come later, and by which events may be placed otherwise.
LATE, SLACK = 2.5, 2.0
#: Seconds after a disturbance in which a loss is its consequence.
AFTER = 20.0
#: Seconds of an utterance that have to be in an event, so that it counts as answered.
ENOUGH = 0.5
#: What is in reasons that name a cause of their own: a busy machine, and a device that is silent.
OWN_CAUSE = ("the computer is busy", "has given only zeros")
#: What a virtual sound card does where the machine has no time for it.
DEVICE = ("sound is missing", "the device lost sound")


class Span(NamedTuple):
    """Something that was going on from `start` to `end`: an utterance, or a disturbance."""

    name: str
    start: float
    end: float


def lost(spoken: Iterable[Span], events: Sequence[schema.AnyEvent]) -> list[Span]:
    """The utterances that neither an event answers nor a gap counts."""
    answers = [
        (event.utterance.start, event.utterance.end)
        for event in events
        if isinstance(event, schema.UtteranceEvent)
    ]
    gaps = [
        (gap.time - gap.seconds - SLACK, gap.time + gap.seconds + SLACK)
        for gap in events
        if isinstance(gap, schema.Gap) and gap.what in ("audio", "utterance")
    ]
    return [
        span
        for span in spoken
        if not any(
            min(end, span.end + LATE) - max(start, span.start - SLACK) >= ENOUGH
            for start, end in answers
        )
        and not any(start <= span.end + LATE and end >= span.start for start, end in gaps)
    ]


def uncounted(events: Sequence[schema.AnyEvent]) -> list[int]:
    """The utterances that began and neither ended nor are in a gap."""
    begun: dict[int, float] = {}
    missing = 0
    for event in events:
        if isinstance(event, schema.SpeechStarted):
            begun[event.utterance] = event.start
        elif isinstance(event, schema.UtteranceEvent):
            begun.pop(event.utterance.id, None)
        elif isinstance(event, schema.Gap) and event.what == "utterance":
            missing += event.count
    return sorted(begun)[: max(0, len(begun) - missing)]


def unexplained(disturbed: Sequence[Span], events: Sequence[schema.AnyEvent]) -> list[schema.Gap]:
    """The gaps that follow no disturbance and name no cause of their own."""
    return [
        gap
        for gap in events
        if isinstance(gap, schema.Gap)
        and not (
            any(cause in gap.reason for cause in (*OWN_CAUSE, *DEVICE))
            or any(span.start - SLACK <= gap.time <= span.end + AFTER for span in disturbed)
        )
    ]


def of_device(disturbed: Sequence[Span], events: Sequence[schema.AnyEvent]) -> list[schema.Gap]:
    """The losses of the virtual sound card that follow no disturbance."""
    return [
        gap
        for gap in events
        if isinstance(gap, schema.Gap)
        and gap.reason.startswith(DEVICE)
        and not any(span.start - SLACK <= gap.time <= span.end + AFTER for span in disturbed)
    ]
