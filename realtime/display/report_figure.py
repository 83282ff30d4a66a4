"""The session as a picture (SVG): for print, where everything must fit on paper, and for papers.

Colours are those of the page, which are told apart by people who see red and green alike (Okabe and
Ito 2008); labels stand beside them, for print in grey.
"""

import math
from collections.abc import Sequence
from html import escape

from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime.display.report_timeline import css, fitting
from gscon_live.realtime.events.in_words import printable
from gscon_live.realtime.events.schema import UtteranceEvent

COLOURS = {
    "neutral": "#9aa1ae",
    "surprise": "#56b4e9",
    "fear": "#cc79a7",
    "sadness": "#0072b2",
    "joy": "#ecd72e",
    "disgust": "#009e73",
    "anger": "#d55e00",
    "other": "#c9ccd3",
}
#: Sizes in user units: the whole width, the names at the left, a lane, and the two plots.
_WIDTH, _NAMES, _LANE, _PLOT, _AREA = 960, 96, 36, 56, 110
#: Seconds in a strip of a printed timeline: short utterances have room for a word there.
STRIP = 60.0
#: Points of the moving average, and its width as a share of the session, in seconds at least.
_POINTS, _SMOOTHING, _SHORTEST = 240, 1 / 50, 2.0
#: About the width of a letter of the labels.
_LETTER = 6.2


def figure(utterances: Sequence[UtteranceEvent], duration: float, *, alone: bool = True) -> str:
    """The whole session in one picture: who showed what, and the mean of the probabilities over
    time. `duration` in seconds; `alone` says whether it is a file of its own or a part of a page.
    """
    speakers = _speakers(utterances)
    top = 30.0
    body = _legend() + _lanes(utterances, speakers, 0.0, duration, top)
    top += _LANE * len(speakers) + 10
    body += _area(utterances, duration, top)
    top += _AREA
    body += _axis(0.0, duration, top)
    return _svg(body, top + 24, "Emotions over time", alone)


def over_time(utterances: Sequence[UtteranceEvent], duration: float) -> str:
    """The mean of the probabilities over time, for the page."""
    body = _area(utterances, duration, 4) + _axis(0.0, duration, 4 + _AREA)
    label = "Mean probability of each emotion over time; the transcript has the numbers"
    return _svg(body, _AREA + 28, label)


def strips(utterances: Sequence[UtteranceEvent], duration: float) -> list[str]:
    """The timeline in pieces of a minute, each a picture of its own, for print."""
    speakers = _speakers(utterances)
    pieces = []
    for number in range(max(math.ceil(duration / STRIP), 1)):
        start, end = number * STRIP, (number + 1) * STRIP
        here = [e for e in utterances if e.utterance.start < end and e.utterance.end > start]
        if not here:
            continue
        body = _lanes(here, speakers, start, end, 4)
        top = 4.0 + _LANE * len(speakers)
        body += _columns(here, start, end, top + 4)
        body += _axis(start, end, top + 4 + _PLOT)
        pieces.append(_svg(body, top + _PLOT + 28, f"Timeline from {_clock(start)}"))
    return pieces


def _speakers(utterances: Sequence[UtteranceEvent]) -> list[str]:
    return list(dict.fromkeys(event.utterance.speaker for event in utterances))


def _svg(body: str, height: float, label: str, alone: bool = False) -> str:
    space = ' xmlns="http://www.w3.org/2000/svg"' if alone else ""
    return (
        f'<svg{space} viewBox="0 0 {_WIDTH} {height:g}" role="img" aria-label="{escape(label)}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="11" fill="currentColor">'
        f"{body}</svg>"
    )


def _place(seconds: float, start: float, end: float) -> float:
    """Where a moment lies, in user units, within the bounds of the picture."""
    share = (min(max(seconds, start), end) - start) / max(end - start, 1e-9)
    return round(_NAMES + share * (_WIDTH - _NAMES - 4), 1)


def _lanes(
    utterances: Sequence[UtteranceEvent],
    speakers: Sequence[str],
    start: float,
    end: float,
    top: float,
) -> str:
    parts = []
    for row, speaker in enumerate(speakers):
        y = top + row * _LANE
        parts.append(
            f'<text x="0" y="{y + 20:g}" font-weight="600">{escape(printable(speaker[:14]))}</text>'
        )
    for event in utterances:
        emotion = event.emotion
        y = top + speakers.index(event.utterance.speaker) * _LANE
        left = _place(event.utterance.start, start, end)
        width = max(_place(event.utterance.end, start, end) - left, 1.0)
        colour = COLOURS[css(emotion.label)]
        dashes = ' stroke-dasharray="3 2"' if emotion.abstained else ""
        parts.append(
            f'<rect x="{left:g}" y="{y + 2:g}" width="{width:.1f}" height="{_LANE - 6}" rx="3" '
            f'fill="{colour}" fill-opacity="{0.15 + 0.45 * emotion.confidence:.2f}" '
            f'stroke="{colour}"{dashes}/>'
        )
        doubt = "?" if emotion.abstained else ""
        label = fitting(emotion.label + doubt, width, _LETTER)
        percent = fitting(f"{emotion.confidence:.0%}", width, _LETTER) if label else ""
        for place, text in enumerate((label, percent)):
            parts.append(
                f'<text x="{left + 3:g}" y="{y + 15 + 12 * place:g}">{escape(text)}</text>'
            )
    return "".join(parts)


def _columns(utterances: Sequence[UtteranceEvent], start: float, end: float, top: float) -> str:
    """All probabilities of each utterance, stacked."""
    parts = [f'<text x="0" y="{top + _PLOT / 2 + 4:g}">Probability</text>']
    for event in utterances:
        left = _place(event.utterance.start, start, end)
        width = max(_place(event.utterance.end, start, end) - left, 1.0)
        shares = event.emotion.probabilities
        total, bottom = sum(shares.values()) or 1.0, top + _PLOT
        for name in EMOTIONS:
            height = _PLOT * shares.get(name, 0.0) / total
            bottom -= height
            if height >= 0.5:
                parts.append(
                    f'<rect x="{left:g}" y="{bottom:.1f}" width="{width:.1f}" '
                    f'height="{height:.1f}" fill="{COLOURS[name]}"/>'
                )
    return "".join(parts)


def _area(utterances: Sequence[UtteranceEvent], duration: float, top: float) -> str:
    """A moving average of the probabilities, stacked; nothing where nobody spoke."""
    width = max(duration * _SMOOTHING, _SHORTEST)
    lower = [0.0] * (_POINTS + 1)
    times = [duration * point / _POINTS for point in range(_POINTS + 1)]
    means = [_mean(utterances, time, width) for time in times]
    parts = [f'<text x="0" y="{top + 10:g}">100 %</text><text x="0" y="{top + _AREA:g}">0 %</text>']
    for name in EMOTIONS:
        upper = [below + mean.get(name, 0.0) for below, mean in zip(lower, means, strict=True)]
        there = [_point(t, u, duration, top) for t, u in zip(times, upper, strict=True)]
        back = [_point(t, u, duration, top) for t, u in zip(times, lower, strict=True)]
        parts.append(
            f'<polygon fill="{COLOURS[name]}" points="{" ".join([*there, *reversed(back)])}">'
            f"<title>{name}</title></polygon>"
        )
        lower = upper
    return "".join(parts)


def _mean(utterances: Sequence[UtteranceEvent], time: float, width: float) -> dict[str, float]:
    """The probabilities around a moment, by a Gaussian of the distance to each utterance."""
    shares = dict.fromkeys(EMOTIONS, 0.0)
    weight = 0.0
    for event in utterances:
        away = max(event.utterance.start - time, time - event.utterance.end, 0.0)
        if away < 3 * width:
            near = math.exp(-0.5 * (away / width) ** 2)
            weight += near
            for name in EMOTIONS:
                shares[name] += near * event.emotion.probabilities.get(name, 0.0)
    total = sum(shares.values())
    return {name: share / total for name, share in shares.items()} if total > 0 else {}


def _point(time: float, share: float, duration: float, top: float) -> str:
    return f"{_place(time, 0.0, duration):g},{top + _AREA * (1 - share):.1f}"


def _axis(start: float, end: float, top: float) -> str:
    length = end - start
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
    step = next((step for step in steps if length / step <= 12), steps[-1])
    step = max(step, math.ceil(length / 24))
    parts = []
    for number in range(int(length // step) + 1):
        x = _place(start + number * step, start, end)
        # At the right edge, there is no room for a time to the right of its tick.
        anchor = ' text-anchor="end"' if x > _WIDTH - 40 else ""
        parts.append(
            f'<path d="M{x:g} {top:g}v5" stroke="currentColor"/>'
            f'<text x="{x + (0 if anchor else 2):g}" y="{top + 16:g}"{anchor}>'
            f"{_clock(start + number * step)}</text>"
        )
    return "".join(parts)


def _legend() -> str:
    parts = []
    for number, name in enumerate(EMOTIONS):
        x = _NAMES + number * 100
        parts.append(
            f'<rect x="{x}" y="4" width="10" height="10" fill="{COLOURS[name]}"/>'
            f'<text x="{x + 15}" y="13">{name}</text>'
        )
    return "".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
