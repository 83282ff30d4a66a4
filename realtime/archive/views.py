"""What is written from the events of a recording: its report, its table, and its summary."""

import contextlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.realtime.archive.entries import Summary, Voice
from gscon_live.realtime.archive.store import EVENTS, REPORT, TABLE
from gscon_live.realtime.display.report_page import write_report
from gscon_live.realtime.events import schema, sinks
from gscon_live.realtime.events.schema import AnyEvent, UtteranceEvent

#: Parts of a sparkline.
PARTS = 60
#: The sign of a part in which nobody speaks.
SILENT = "."


def read_events(folder: Path) -> list[AnyEvent]:
    """The events in a folder of results."""
    return [schema.decode(line) for line in (folder / EVENTS).read_bytes().splitlines()]


def write_views(folder: Path, name: str) -> None:
    """Writes the report and the table of the events in a folder. They are those that `replay`
    writes, without the path of the recording.

    Raises:
        Failure: they cannot be written.
    """
    events = read_events(folder)
    write_report(events, folder / REPORT, name)
    with contextlib.closing(sinks.Csv(folder / TABLE)) as table:
        for event in events:
            table.write(event)


def summarised(events: Sequence[AnyEvent], notices: Sequence[str]) -> Summary:
    """The summary of a session's events; `notices` are lines that were printed for the user."""
    utterances = [event for event in events if isinstance(event, UtteranceEvent)]
    ended = next((event for event in events if isinstance(event, schema.SessionEnded)), None)
    started = next((event for event in events if isinstance(event, schema.SessionStarted)), None)
    by_speaker: dict[str, list[UtteranceEvent]] = {}
    for event in utterances:
        by_speaker.setdefault(event.utterance.speaker, []).append(event)
    duration = ended.duration if ended else 0.0
    shape, heights = _sparkline(utterances, duration)
    return Summary(
        session=events[0].session if events else "",
        duration=duration,
        utterances=len(utterances),
        gaps=sum(isinstance(event, schema.Gap) for event in events),
        speakers={name: _voice(own) for name, own in by_speaker.items()},
        missing={
            modality: sum(not getattr(event.modalities, modality).present for event in utterances)
            for modality in MODALITIES
        },
        model=f"{started.model.name} {started.model.version}" if started else "",
        shape=shape,
        heights=heights,
        notices=list(notices),
    )


def _voice(utterances: Sequence[UtteranceEvent]) -> Voice:
    count = len(utterances)
    labels = Counter(event.emotion.label for event in utterances)
    seconds = sum(event.utterance.end - event.utterance.start for event in utterances)
    confidence = sum(event.emotion.confidence for event in utterances) / count
    return Voice(
        utterances=count,
        seconds=round(seconds, 3),
        confidence=round(confidence, 4),
        abstained=sum(event.emotion.abstained for event in utterances),
        labels={name: labels[name] for name in EMOTIONS},
        probabilities={
            name: round(sum(e.emotion.probabilities.get(name, 0.0) for e in utterances) / count, 4)
            for name in EMOTIONS
        },
    )


def _sparkline(utterances: Sequence[UtteranceEvent], duration: float) -> tuple[str, str]:
    """For each part of the duration, the emotion of the utterance that takes most of it, and its
    confidence; see `Summary`."""
    longest = [0.0] * PARTS
    shape, heights = [SILENT] * PARTS, ["0"] * PARTS
    width = max(duration, 1e-3) / PARTS
    for event in utterances:
        start, end = event.utterance.start, event.utterance.end
        emotion = event.emotion
        if emotion.label not in EMOTIONS:
            continue
        for part in range(max(0, int(start / width)), min(PARTS, int(end / width) + 1)):
            overlap = min(end, (part + 1) * width) - max(start, part * width)
            if overlap > longest[part]:
                longest[part] = overlap
                shape[part] = str(EMOTIONS.index(emotion.label))
                heights[part] = str(min(9, int(emotion.confidence * 10)))
    return "".join(shape), "".join(heights)
