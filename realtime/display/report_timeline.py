"""The report's timeline: the position, colour and tooltip of every utterance."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.realtime.events.in_words import clock
from gscon_live.realtime.events.schema import Modality, UtteranceEvent

#: Names of the modalities on the page.
NAMES = {"text": "Words", "audio": "Voice", "visual": "Face"}

#: Bounds of the scale in pixels per second, and the width in pixels that a session should fill.
_MIN_SCALE, _MAX_SCALE, _TARGET_WIDTH = 20.0, 90.0, 975.0
#: Possible distances between two ticks, in seconds, and the smallest one in pixels.
_STEPS, _MIN_TICK_DISTANCE = (1, 2, 5, 10, 15, 30, 60), 75


#: Pixels of a letter in a block, where it is bold and where not, and beside the label.
_BOLD, _PLAIN, _PADDING = 8.1, 7.1, 10.0


class Block(NamedTuple):
    """A coloured block of a row; `left` and `width` in pixels, `shade` (the confidence) 0 to 1,
    `start` in seconds. `label` is as long as there is room."""

    left: float
    width: float
    css: str
    label: str
    shade: float
    abstained: bool
    missing: bool
    tip: str
    link: str = ""
    start: float = 0.0


class Row(NamedTuple):
    """A row of the timeline; `kind` is "speaker" or "modality"."""

    name: str
    kind: str
    blocks: list[Block]


class Column(NamedTuple):
    """All probabilities of an utterance; `fill` is a CSS gradient."""

    left: float
    width: float
    fill: str
    tip: str


def scale_for(duration: float) -> float:
    """Pixels per second for a session of `duration` seconds. A long session is scrolled."""
    return min(max(_TARGET_WIDTH / max(duration, 1.0), _MIN_SCALE), _MAX_SCALE)


def ticks(duration: float, scale: float) -> list[tuple[float, str]]:
    """Positions in pixels and labels on the time axis: at most about 2,000 of them."""
    readable = next((step for step in _STEPS if step * scale >= _MIN_TICK_DISTANCE), _STEPS[-1])
    step = max(readable, math.ceil(duration / 2000))
    return [
        (round(second * scale, 1), f"{second // 60}:{second % 60:02}")
        for second in range(0, int(duration) + 1, step)
    ]


def rows(utterances: Sequence[UtteranceEvent], scale: float) -> list[Row]:
    """A row for each speaker in order of appearance, then one for each modality."""
    speakers: dict[str, Row] = {}
    for event in utterances:
        name = event.utterance.speaker
        row = speakers.setdefault(name, Row(name, "speaker", []))
        row.blocks.append(_fused_block(event, scale))
    return [
        *speakers.values(),
        *(
            Row(NAMES[name], "modality", [_modality_block(e, name, scale) for e in utterances])
            for name in MODALITIES
        ),
    ]


def column(event: UtteranceEvent, scale: float) -> Column:
    """All probabilities of the utterance, stacked in the order of the emotions."""
    left, width = _position(event, scale)
    probabilities = event.emotion.probabilities
    total = sum(probabilities.values()) or 1.0
    stops: list[str] = []
    bottom = 0.0
    for name in [*EMOTIONS, *sorted(set(probabilities) - set(EMOTIONS))]:
        top = bottom + 100 * probabilities.get(name, 0.0) / total
        stops.append(f"var(--{css(name)}) {bottom:.1f}% {top:.1f}%")
        bottom = top
    gradient = f"linear-gradient(to top, {', '.join(stops)})"
    return Column(left, width, gradient, listing(probabilities))


def overview(
    utterances: Sequence[UtteranceEvent], duration: float
) -> list[tuple[str, list[Block]]]:
    """The session in one width, a row per speaker; `left` and `width` of blocks in percent."""
    speakers: dict[str, list[Block]] = {}
    for event in utterances:
        block = _fused_block(event, 100 / duration)
        share = max(100 * (event.utterance.end - event.utterance.start) / duration, 0.05)
        left = 100 * event.utterance.start / duration
        placed = block._replace(left=round(left, 3), width=round(share, 3))
        speakers.setdefault(event.utterance.speaker, []).append(placed)
    return list(speakers.items())


def best(probabilities: Mapping[str, float] | None) -> tuple[str, float]:
    """The most probable emotion and its probability."""
    if not probabilities:
        return "no opinion", 0.0
    label = max(probabilities, key=lambda name: probabilities[name])
    return label, probabilities[label]


def listing(probabilities: Mapping[str, float] | None) -> str:
    """All probabilities as text, the largest first."""
    ordered = sorted((probabilities or {}).items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {value:.0%}" for name, value in ordered) or "no opinion"


def css(label: str) -> str:
    """The style of an emotion; labels outside of `EMOTIONS` share the style "other"."""
    return label if label in EMOTIONS else "other"


def fitting(label: str, width: float, letter: float) -> str:
    """A label as far as it fits into a block: whole, its first three letters, or nothing; never cut
    in between. Widths in pixels; `letter` is that of a letter."""
    for text in (label, label[:3]):
        if len(text) * letter + _PADDING <= width:
            return text
    return ""


def _position(event: UtteranceEvent, scale: float) -> tuple[float, float]:
    """Left edge and width; a pixel between neighbours, and at least 4 pixels wide."""
    start, end = event.utterance.start, event.utterance.end
    return round(start * scale, 1), round(max((end - start) * scale - 1, 4), 1)


def _fused_block(event: UtteranceEvent, scale: float) -> Block:
    left, width = _position(event, scale)
    emotion, utterance = event.emotion, event.utterance
    doubt = " — abstained: too unsure to act upon" if emotion.abstained else ""
    tip = (
        f"{utterance.speaker}, {clock(utterance.start)} to {clock(utterance.end)}\n"
        f"{emotion.label} {emotion.confidence:.0%}{doubt}\n{utterance.text or '(no words)'}"
    )
    return Block(
        left,
        width,
        css=css(emotion.label),
        label=fitting(emotion.label + ("?" if emotion.abstained else ""), width, _BOLD),
        shade=emotion.confidence,
        abstained=emotion.abstained,
        missing=False,
        tip=tip,
        link=f"u{utterance.id}",
        start=utterance.start,
    )


def _modality_block(event: UtteranceEvent, name: str, scale: float) -> Block:
    left, width = _position(event, scale)
    opinion: Modality = getattr(event.modalities, name)
    if not opinion.present:
        tip = f"{NAMES[name]} missing: {opinion.reason or 'no reason given'}"
        return Block(left, width, "other", "", 0.0, False, True, tip)
    label, confidence = best(opinion.probabilities)
    tip = f"{NAMES[name]} alone: {listing(opinion.probabilities)}"
    if opinion.faces is not None:
        tip += f"\nface {opinion.face} of {opinion.faces} in view"
    text = fitting(label, width, _PLAIN)
    return Block(left, width, css(label), text, confidence, False, False, tip)
