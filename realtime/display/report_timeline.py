"""The report's timeline: where every utterance lies, in what colour, and what it says on hover."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.realtime.events.schema import Modality, UtteranceEvent
from gscon_live.realtime.events.sinks import clock

#: What people call the modalities.
NAMES = {"text": "Words", "audio": "Voice", "visual": "Face"}

#: Pixels a second: as many as fill the wished width, between readable and silly.
_LEAST_SCALE, _MOST_SCALE, _WISHED_WIDTH = 20.0, 90.0, 975.0
_STEPS = (1, 2, 5, 10, 15, 30, 60)


class Block(NamedTuple):
    """A coloured piece of a row; `left` and `width` in pixels, `shade` 0 to 1."""

    left: float
    width: float
    css: str
    label: str
    shade: float
    abstained: bool
    missing: bool
    tip: str
    link: str = ""


class Row(NamedTuple):
    name: str
    kind: str
    blocks: list[Block]


class Column(NamedTuple):
    """All probabilities of one utterance; `fill` is a CSS gradient."""

    left: float
    width: float
    fill: str
    tip: str


def scale_for(duration: float) -> float:
    """Pixels a second for a session of that many seconds; a long one is scrolled."""
    return min(max(_WISHED_WIDTH / max(duration, 1.0), _LEAST_SCALE), _MOST_SCALE)


def ticks(duration: float, scale: float) -> list[tuple[float, str]]:
    """Places and labels on the time axis, a bounded number of them however long the session."""
    wished = next((step for step in _STEPS if step * scale >= 75), _STEPS[-1])
    step = max(wished, math.ceil(duration / 2000))
    return [
        (round(at * scale, 1), f"{at // 60}:{at % 60:02}")
        for at in range(0, int(duration) + 1, step)
    ]


def rows(said: Sequence[UtteranceEvent], scale: float) -> list[Row]:
    """A row for each speaker in order of appearance, then one for each modality."""
    by: dict[str, Row] = {}
    for event in said:
        speaker = event.utterance.speaker
        by.setdefault(speaker, Row(speaker, "speaker", [])).blocks.append(_fused(event, scale))
    return [
        *by.values(),
        *(
            Row(NAMES[name], "modality", [_opinion_block(event, name, scale) for event in said])
            for name in MODALITIES
        ),
    ]


def column(event: UtteranceEvent, scale: float) -> Column:
    """All probabilities of the utterance, stacked in the order of the emotions."""
    left, width = _place(event, scale)
    given = event.emotion.probabilities
    whole = sum(given.values()) or 1.0
    stops: list[str] = []
    below = 0.0
    for name in [*EMOTIONS, *sorted(set(given) - set(EMOTIONS))]:
        above = below + 100 * given.get(name, 0.0) / whole
        stops.append(f"var(--{css(name)}) {below:.1f}% {above:.1f}%")
        below = above
    return Column(left, width, f"linear-gradient(to top, {', '.join(stops)})", listing(given))


def overview(said: Sequence[UtteranceEvent], duration: float) -> list[tuple[str, list[Block]]]:
    """The whole session at a glance, a row per speaker; `left` and `width` in percent."""
    by: dict[str, list[Block]] = {}
    for event in said:
        block = _fused(event, 100 / duration)
        share = max(100 * (event.utterance.end - event.utterance.start) / duration, 0.05)
        left = 100 * event.utterance.start / duration
        placed = block._replace(left=round(left, 3), width=round(share, 3))
        by.setdefault(event.utterance.speaker, []).append(placed)
    return list(by.items())


def best(probabilities: Mapping[str, float] | None) -> tuple[str, float]:
    """The likeliest emotion and its probability."""
    if not probabilities:
        return "no opinion", 0.0
    label = max(probabilities, key=lambda name: probabilities[name])
    return label, probabilities[label]


def listing(probabilities: Mapping[str, float] | None) -> str:
    """All probabilities in words, the greatest first."""
    ordered = sorted((probabilities or {}).items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {value:.0%}" for name, value in ordered) or "no opinion"


def css(label: str) -> str:
    """The style's name of an emotion; what is not one of ours gets a neutral style of its own."""
    return label if label in EMOTIONS else "other"


def _place(event: UtteranceEvent, scale: float) -> tuple[float, float]:
    said = event.utterance
    return round(said.start * scale, 1), round(max((said.end - said.start) * scale - 1, 4), 1)


def _fused(event: UtteranceEvent, scale: float) -> Block:
    left, width = _place(event, scale)
    felt, said = event.emotion, event.utterance
    unsure = " — abstained: too unsure to act upon" if felt.abstained else ""
    tip = (
        f"{said.speaker}, {clock(said.start)} to {clock(said.end)}\n"
        f"{felt.label} {felt.confidence:.0%}{unsure}\n{said.text or '(no words)'}"
    )
    return Block(left, width, css(felt.label), felt.label, felt.confidence, felt.abstained, False,
                 tip, f"u{said.id}")  # fmt: skip


def _opinion_block(event: UtteranceEvent, name: str, scale: float) -> Block:
    left, width = _place(event, scale)
    opinion: Modality = getattr(event.modalities, name)
    if not opinion.present:
        tip = f"{NAMES[name]} missing: {opinion.reason or 'no reason given'}"
        return Block(left, width, "other", "", 0.0, False, True, tip)
    label, confidence = best(opinion.probabilities)
    tip = f"{NAMES[name]} alone: {listing(opinion.probabilities)}"
    if opinion.faces is not None:
        tip += f"\nface {opinion.face} of {opinion.faces} in view"
    return Block(left, width, css(label), label, confidence, False, False, tip)
