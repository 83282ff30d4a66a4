"""The data of the report page, computed from the events: positions in pixels, shares, sentences."""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.realtime.display import report_figure
from gscon_live.realtime.display import report_timeline as timeline
from gscon_live.realtime.display.report_marks import KINDS, Mark, marks
from gscon_live.realtime.display.report_timeline import NAMES, Block, Column, Row, best, css
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.corrections import Corrections, corrected
from gscon_live.realtime.events.in_words import clock, lost, missing_modalities
from gscon_live.realtime.events.schema import AnyEvent, Modality, UtteranceEvent

NO_CORRECTIONS = Corrections()


class Share(NamedTuple):
    """Number of utterances with an emotion, and its percentage."""

    css: str
    name: str
    utterances: int
    percent: float


class Speaker(NamedTuple):
    """A speaker's utterances, speaking time and emotions."""

    name: str
    utterances: int
    spoken: str
    shares: list[Share]


class Opinion(NamedTuple):
    """One modality's answer in the transcript, or the reason why it is missing."""

    name: str
    css: str
    label: str
    percent: int
    reason: str


class Line(NamedTuple):
    """One row of the transcript; `start` and `stop` in seconds, `named` the speaker as the model
    calls it, `model_label` the model's answer."""

    id: int
    start: float
    stop: float
    named: str
    model_label: str
    marks: list[Mark]
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
    """A gap or a report of a stage's health; `left` in pixels."""

    time: str
    left: float
    kind: str
    text: str


class Page(NamedTuple):
    """All that the template needs of a session; `width` and `ticks` in pixels.

    `name` is its heading, `anchor` the beginning of its links within the page. `scale` is in pixels
    per second, `signs` are places in pixels with their marks, `standing_out` the kinds of marks
    with how often each occurs; `figure`, `paper` and `strips` are pictures.
    """

    name: str
    anchor: str
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
    session: str
    scale: float
    signs: list[tuple[float, list[Mark]]]
    standing_out: list[tuple[str, str, str, str, int]]
    figure: Markup
    paper: Markup
    strips: list[Markup]


def sessions(events: Iterable[AnyEvent]) -> list[list[AnyEvent]]:
    """The events by session, in the order in which the sessions begin. The replays of one recording
    have the same name, so a second start is a new session."""
    groups: list[list[AnyEvent]] = []
    latest: dict[str, list[AnyEvent]] = {}
    for event in events:
        group = latest.get(event.session)
        if group is None or (group and isinstance(event, schema.SessionStarted)):
            group = latest[event.session] = []
            groups.append(group)
        group.append(event)
    return groups


def page_data(
    events: Iterable[AnyEvent],
    number: int = 1,
    corrections: Corrections = NO_CORRECTIONS,
) -> Page:
    """The data of one session, which is the `number`th of its page, as people corrected it."""
    original = list(events)
    session = list(corrected(original, corrections))
    named = {e.utterance.id: e.utterance.speaker for e in original if isinstance(e, UtteranceEvent)}
    utterances = [event for event in session if isinstance(event, UtteranceEvent)]
    utterances.sort(key=lambda event: (event.utterance.start, event.utterance.id))
    notes = [event for event in session if isinstance(event, (schema.Gap, schema.Health))]
    ended = next((event for event in session if isinstance(event, schema.SessionEnded)), None)
    last = max(
        [event.utterance.end for event in utterances] + [event.time for event in notes],
        default=0.0,
    )
    duration = max(last, ended.duration if ended else 0.0)
    scale = timeline.scale_for(duration)
    started = next((event for event in session if isinstance(event, schema.SessionStarted)), None)
    marked = marks(utterances, NAMES)
    return Page(
        name=started.source if started else f"Session {number}",
        anchor="" if number == 1 else f"u{number}-",
        emotions=EMOTIONS,
        facts=_facts(session, utterances, ended, duration),
        shares=_shares(utterances),
        speakers=_speakers(utterances),
        width=round(duration * scale + 1, 1),
        ticks=timeline.ticks(duration, scale),
        rows=timeline.rows(utterances, scale),
        columns=[timeline.column(event, scale) for event in utterances],
        overview=timeline.overview(utterances, duration) if duration > 120 else [],
        lines=[
            _line(event, named[event.utterance.id], own)
            for event, own in zip(utterances, marked, strict=True)
        ],
        notices=[_notice(event, scale) for event in notes],
        remarks=_remarks(session, utterances, ended),
        session=session[0].session if session else "",
        scale=scale,
        signs=[
            (round(event.utterance.start * scale, 1), own)
            for event, own in zip(utterances, marked, strict=True)
            if own
        ],
        standing_out=[
            (kind, *words, count)
            for kind, words in KINDS.items()
            if (count := sum(mark.kind == kind for own in marked for mark in own))
        ],
        # All escape what comes from outside.
        figure=Markup(report_figure.over_time(utterances, duration)),
        paper=Markup(report_figure.figure(utterances, duration, alone=False)),
        strips=[Markup(strip) for strip in report_figure.strips(utterances, duration)],
    )


def _facts(
    session: Sequence[AnyEvent],
    utterances: Sequence[UtteranceEvent],
    ended: schema.SessionEnded | None,
    duration: float,
) -> list[tuple[str, str]]:
    started = next((e for e in session if isinstance(e, schema.SessionStarted)), None)
    model = started.model if started else utterances[0].model if utterances else None
    speaking = sum(event.utterance.end - event.utterance.start for event in utterances)
    facts = [
        ("Duration", _minutes(duration)),
        ("Utterances", str(len(utterances))),
        ("Speakers", str(len({event.utterance.speaker for event in utterances}))),
    ]
    if utterances:
        abstained = sum(event.emotion.abstained for event in utterances)
        confidence = statistics.fmean(event.emotion.confidence for event in utterances)
        facts += [
            ("Speech", f"{_minutes(speaking)} ({speaking / max(duration, 1e-9):.0%})"),
            ("Mean confidence", f"{confidence:.0%}"),
            ("Abstained", f"{abstained} of {len(utterances)}"),
        ]
        for modality in MODALITIES:
            missing = sum(not getattr(event.modalities, modality).present for event in utterances)
            if missing:
                fact = f"{missing} of {len(utterances)}"
                facts.append((f"Without {NAMES[modality].lower()}", fact))
        delays = [event.latency.end_of_speech_to_event for event in utterances if event.latency]
        if delays:
            facts.append(("Answer after speech", f"{statistics.median(delays):.2f} s (median)"))
    if model:
        facts.append(("Model", f"{model.name} {model.version}"))
    if started:
        facts.append(("Source", started.source))
        if started.started_at:
            facts.append(("Started", started.started_at))
    if ended:
        facts.append(("Ended", "at its end" if ended.complete else "stopped before its end"))
    return facts


def _shares(utterances: Sequence[UtteranceEvent]) -> list[Share]:
    counts = Counter(event.emotion.label for event in utterances)
    names = [*EMOTIONS, *sorted(set(counts) - set(EMOTIONS))]
    return [
        Share(css(name), name, counts[name], 100 * counts[name] / max(len(utterances), 1))
        for name in names
    ]


def _speakers(utterances: Sequence[UtteranceEvent]) -> list[Speaker]:
    by_speaker: dict[str, list[UtteranceEvent]] = {}
    for event in utterances:
        by_speaker.setdefault(event.utterance.speaker, []).append(event)
    return [
        Speaker(
            name,
            len(own),
            _minutes(sum(event.utterance.end - event.utterance.start for event in own)),
            [share for share in _shares(own) if share.utterances],
        )
        for name, own in by_speaker.items()
    ]


def _line(event: UtteranceEvent, named: str, own: list[Mark]) -> Line:
    utterance, emotion = event.utterance, event.emotion
    reasons = dict(missing_modalities(event))
    opinions = []
    for name in MODALITIES:
        opinion: Modality = getattr(event.modalities, name)
        label, confidence = best(opinion.probabilities) if opinion.present else ("", 0.0)
        opinions.append(
            Opinion(NAMES[name], css(label), label, round(100 * confidence), reasons.get(name, ""))
        )
    return Line(
        id=utterance.id,
        start=utterance.start,
        stop=utterance.end,
        named=named,
        model_label=emotion.model_label or emotion.label,
        marks=own,
        time=clock(utterance.start),
        end=clock(utterance.end),
        speaker=utterance.speaker,
        text=utterance.text,
        text_source=utterance.text_source,
        css=css(emotion.label),
        label=emotion.label,
        percent=round(100 * emotion.confidence),
        abstained=emotion.abstained,
        opinions=opinions,
    )


def _notice(event: schema.Gap | schema.Health, scale: float) -> Notice:
    left = round(event.time * scale, 1)
    if isinstance(event, schema.Gap):
        return Notice(clock(event.time), left, "gap", lost(event))
    text = f"{event.stage} {event.status}: {event.detail}"
    return Notice(clock(event.time), left, "health", text)


def _remarks(
    session: Sequence[AnyEvent],
    utterances: Sequence[UtteranceEvent],
    ended: schema.SessionEnded | None,
) -> list[str]:
    remarks = []
    if session and ended is None:
        remarks.append(
            "The session's end was not recorded: what came after the last event is not here."
        )
    elif ended is not None and not ended.complete:
        remarks.append("The session was stopped before its end.")
    prior = utterances[0].emotion.prior if utterances else None
    if prior is not None:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in prior.items())
        remarks.append(f"The prior of the emotions is not the model's own, but {shares}.")
    final = {event.utterance.id for event in utterances}
    incomplete = {e.utterance.id for e in session if isinstance(e, schema.Provisional)} - final
    if incomplete:
        remarks.append(
            f"{len(incomplete)} utterance(s) began but were never completed; they are left out."
        )
    return remarks


def _minutes(seconds: float) -> str:
    rounded = round(seconds)
    if rounded < 60:
        return f"{seconds:.1f} s"
    minutes, left = divmod(rounded, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s"
