"""What the report page shows, computed from the events: places in pixels, shares, sentences."""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.realtime.display import report_timeline as timeline
from gscon_live.realtime.display.report_timeline import NAMES, Block, Column, Row, best, css
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.schema import AnyEvent, Modality, UtteranceEvent
from gscon_live.realtime.events.sinks import clock, missing


class Share(NamedTuple):
    css: str
    name: str
    utterances: int
    percent: float


class Speaker(NamedTuple):
    name: str
    utterances: int
    spoken: str
    shares: list[Share]


class Opinion(NamedTuple):
    """One modality's answer in the transcript; `reason` where it is missing."""

    name: str
    css: str
    label: str
    percent: int
    reason: str


class Line(NamedTuple):
    """One row of the transcript."""

    id: int
    time: str
    end: str
    speaker: str
    text: str
    text_source: str
    css: str
    label: str
    percent: int
    abstained: bool
    opinions: list[Opinion]


class Notice(NamedTuple):
    time: str
    left: float
    kind: str
    text: str


class Page(NamedTuple):
    emotions: Sequence[str]
    facts: list[tuple[str, str]]
    shares: list[Share]
    speakers: list[Speaker]
    width: float
    ticks: list[tuple[float, str]]
    rows: list[Row]
    columns: list[Column]
    overview: list[tuple[str, list[Block]]]
    lines: list[Line]
    notices: list[Notice]
    remarks: list[str]


def view(events: Iterable[AnyEvent]) -> Page:
    """Everything the page shows of the first session among the events."""
    everything = list(events)
    name = everything[0].session if everything else ""
    of_session = [event for event in everything if event.session == name]
    said = [event for event in of_session if isinstance(event, UtteranceEvent)]
    said.sort(key=lambda event: (event.utterance.start, event.utterance.id))
    notes = [event for event in of_session if isinstance(event, (schema.Gap, schema.Health))]
    ended = next((event for event in of_session if isinstance(event, schema.SessionEnded)), None)
    last = max(
        [event.utterance.end for event in said] + [event.time for event in notes], default=0.0
    )
    duration = max(last, ended.duration if ended else 0.0)
    scale = timeline.scale_for(duration)
    return Page(
        emotions=EMOTIONS,
        facts=_facts(of_session, said, ended, duration),
        shares=_shares(said),
        speakers=_speakers(said),
        width=round(duration * scale + 1, 1),
        ticks=timeline.ticks(duration, scale),
        rows=timeline.rows(said, scale),
        columns=[timeline.column(event, scale) for event in said],
        overview=timeline.overview(said, duration) if duration > 120 else [],
        lines=[_line(event) for event in said],
        notices=[_notice(event, scale) for event in notes],
        remarks=_remarks(everything, of_session, said, ended),
    )


def _facts(
    of_session: Sequence[AnyEvent],
    said: Sequence[UtteranceEvent],
    ended: schema.SessionEnded | None,
    duration: float,
) -> list[tuple[str, str]]:
    started = next((e for e in of_session if isinstance(e, schema.SessionStarted)), None)
    model = started.model if started else said[0].model if said else None
    speaking = sum(event.utterance.end - event.utterance.start for event in said)
    facts = [
        ("Duration", _minutes(duration)),
        ("Utterances", str(len(said))),
        ("Speakers", str(len({event.utterance.speaker for event in said}))),
    ]
    if said:
        unsure = sum(event.emotion.abstained for event in said)
        sure = statistics.fmean(event.emotion.confidence for event in said)
        facts += [
            ("Speech", f"{_minutes(speaking)} ({speaking / max(duration, 1e-9):.0%})"),
            ("Mean confidence", f"{sure:.0%}"),
            ("Abstained", f"{unsure} of {len(said)}"),
        ]
        for modality in MODALITIES:
            gone = sum(not getattr(event.modalities, modality).present for event in said)
            if gone:
                facts.append((f"Without {NAMES[modality].lower()}", f"{gone} of {len(said)}"))
        waits = [event.latency.end_of_speech_to_event for event in said if event.latency]
        if waits:
            facts.append(("Answer after speech", f"{statistics.median(waits):.2f} s (median)"))
    if model:
        facts.append(("Model", f"{model.name} {model.version}"))
    if started:
        facts.append(("Source", started.source))
        if started.started_at:
            facts.append(("Started", started.started_at))
    if ended:
        facts.append(("Ended", "at its end" if ended.complete else "stopped before its end"))
    return facts


def _shares(said: Sequence[UtteranceEvent]) -> list[Share]:
    counts = Counter(event.emotion.label for event in said)
    names = [*EMOTIONS, *sorted(set(counts) - set(EMOTIONS))]
    return [
        Share(css(name), name, counts[name], 100 * counts[name] / max(len(said), 1))
        for name in names
    ]


def _speakers(said: Sequence[UtteranceEvent]) -> list[Speaker]:
    by: dict[str, list[UtteranceEvent]] = {}
    for event in said:
        by.setdefault(event.utterance.speaker, []).append(event)
    return [
        Speaker(
            name,
            len(theirs),
            _minutes(sum(event.utterance.end - event.utterance.start for event in theirs)),
            [share for share in _shares(theirs) if share.utterances],
        )
        for name, theirs in by.items()
    ]


def _line(event: UtteranceEvent) -> Line:
    said, felt = event.utterance, event.emotion
    reasons = dict(missing(event))
    opinions = []
    for name in MODALITIES:
        opinion: Modality = getattr(event.modalities, name)
        label, confidence = best(opinion.probabilities) if opinion.present else ("", 0.0)
        opinions.append(
            Opinion(NAMES[name], css(label), label, round(100 * confidence), reasons.get(name, ""))
        )
    return Line(
        said.id, clock(said.start), clock(said.end), said.speaker, said.text, said.text_source,
        css(felt.label), felt.label, round(100 * felt.confidence), felt.abstained, opinions,
    )  # fmt: skip


def _notice(event: schema.Gap | schema.Health, scale: float) -> Notice:
    left = round(event.time * scale, 1)
    if isinstance(event, schema.Gap):
        text = f"{event.count} × {event.what} lost, {event.seconds:.2f} s: {event.reason}"
        return Notice(clock(event.time), left, "gap", text)
    text = f"{event.stage} {event.status}: {event.detail}"
    return Notice(clock(event.time), left, "health", text)


def _remarks(
    everything: Sequence[AnyEvent],
    of_session: Sequence[AnyEvent],
    said: Sequence[UtteranceEvent],
    ended: schema.SessionEnded | None,
) -> list[str]:
    remarks = []
    others = len({event.session for event in everything}) - 1
    if others > 0:
        remarks.append(f"These events hold {others + 1} sessions; this page shows the first.")
    if everything and ended is None:
        remarks.append(
            "The session's end was not recorded: what came after the last event is not here."
        )
    elif ended is not None and not ended.complete:
        remarks.append("The session was stopped before its end.")
    final = {event.utterance.id for event in said}
    begun = {e.utterance.id for e in of_session if isinstance(e, schema.Provisional)} - final
    if begun:
        remarks.append(
            f"{len(begun)} utterance(s) began but were never completed; they are left out."
        )
    return remarks


def _minutes(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"
