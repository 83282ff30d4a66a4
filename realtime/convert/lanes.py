"""The utterances of a session as tiers: lanes of annotations that do not overlap."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from gscon_live.common.errors import InputError
from gscon_live.model.labels import MODALITIES
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.in_words import printable
from gscon_live.realtime.events.schema import AnyEvent, UtteranceEvent

#: What a tier says of each utterance, and the word for it in the tier's name.
KINDS = ("words", "emotion", "confidence", *MODALITIES)


class Session(NamedTuple):
    """What a file of events holds of a recording; `duration` in seconds."""

    name: str
    source: str
    model: str
    duration: float
    utterances: list[UtteranceEvent]


class Annotation(NamedTuple):
    """A label with its bounds in seconds; `end` is at least a millisecond after `start`."""

    start: float
    end: float
    label: str


class Tier(NamedTuple):
    """Annotations in order that do not overlap."""

    name: str
    annotations: list[Annotation]


def session_of(events: Sequence[AnyEvent], path: object) -> Session:
    """The only session among the events of a file.

    Raises:
        InputError: there are several: their times begin anew, so they share no timeline.
    """
    starts = [event for event in events if isinstance(event, schema.SessionStarted)]
    if len(starts) > 1:
        raise InputError(
            f"{path}: has {len(starts)} sessions, whose times begin anew; give a file for each, "
            "or convert to csv, parquet or report"
        )
    utterances = [event for event in events if isinstance(event, UtteranceEvent)]
    ended = next((event for event in events if isinstance(event, schema.SessionEnded)), None)
    last = max((event.utterance.end for event in utterances), default=0.0)
    model = starts[0].model if starts else utterances[0].model if utterances else None
    return Session(
        name=events[0].session if events else "",
        source=starts[0].source if starts else "",
        model=f"{model.name} {model.version}" if model else "",
        duration=max(last, ended.duration if ended else 0.0),
        utterances=sorted(
            utterances, key=lambda event: (event.utterance.start, event.utterance.id)
        ),
    )


def tiers(session: Session) -> Iterator[Tier]:
    """A tier for each speaker and each of `KINDS`. Where a speaker's utterances overlap, which
    captions may do, the later ones come into a second lane of that speaker."""
    for lane, utterances in _lanes(session.utterances).items():
        for kind in KINDS:
            yield Tier(
                f"{lane} {kind}",
                [Annotation(*_bounds(event), _label(event, kind)) for event in utterances],
            )


def words_of(event: UtteranceEvent) -> str:
    """The words on one line, without control characters, which no such file may hold."""
    return printable(" ".join(event.utterance.text.split()))


def _lanes(utterances: Iterable[UtteranceEvent]) -> dict[str, list[UtteranceEvent]]:
    lanes: dict[str, list[UtteranceEvent]] = {}
    for event in utterances:
        speaker = printable(" ".join(event.utterance.speaker.split())) or "unknown"
        start, number, name = _bounds(event)[0], 1, speaker
        while lanes.get(name) and _bounds(lanes[name][-1])[1] > start:
            number += 1
            name = f"{speaker} ({number})"
        lanes.setdefault(name, []).append(event)
    return lanes


def _bounds(event: UtteranceEvent) -> tuple[float, float]:
    """Start and end in seconds, in whole milliseconds."""
    start = max(round(event.utterance.start * 1000), 0)
    end = max(round(event.utterance.end * 1000), start + 1)
    return start / 1000, end / 1000


def _label(event: UtteranceEvent, kind: str) -> str:
    if kind == "words":
        return words_of(event)
    if kind == "emotion":
        return event.emotion.label + ("?" if event.emotion.abstained else "")
    if kind == "confidence":
        return f"{event.emotion.confidence:.2f}"
    modality: schema.Modality = getattr(event.modalities, kind)
    if not modality.present or not modality.probabilities:
        return printable(f"({modality.reason or 'not available'})")
    shares = modality.probabilities
    label = max(shares, key=lambda name: shares[name])
    return f"{label} {shares[label]:.2f}"
