"""The cues of a TTML file (W3C Timed Text Markup Language 1 and 2, also DFXP)."""

import html
import math
import re
import xml.etree.ElementTree as ET

import msgspec

from gscon_live.realtime.capture.caption_written import Unreadable, Written

_CLOCK = re.compile(r"(\d{1,6}):(\d{2}):(\d{2})(?:(\.\d{1,32})|:(\d{1,6}(?:\.\d{1,9})?))?")
_OFFSET = re.compile(r"(\d{1,18}(?:\.\d{1,32})?)(h|ms|m|s|f|t)")
_ID = "{http://www.w3.org/XML/1998/namespace}id"


class _Rates(msgspec.Struct, frozen=True):
    """Frames and ticks per second."""

    frames: float
    ticks: float


class _Scope(msgspec.Struct, frozen=True):
    """What a cue inherits: start and end of the element around it, and its speaker."""

    begin: float = 0.0
    end: float = math.inf
    speaker: str | None = None


def read_ttml(text: str) -> list[Written | Unreadable]:
    """The cues of a TTML document.

    Raises:
        ValueError: no well-formed XML, or a document type, which could define endless entities.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("has a document type")
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise ValueError("is no well-formed XML") from error
    rates, names = _rates(root), _names(root)
    entries: list[Written | Unreadable] = []
    stack = [(root, _Scope())]
    while stack:
        element, scope = stack.pop()
        kind = _local(element.tag)
        times = _times(element, scope, rates)
        speaker = names.get(_attribute(element, "agent"), scope.speaker)
        timed = {"begin", "end", "dur"} & element.attrib.keys()
        if kind in ("p", "span") and (timed or not _has_timed_child(element)):
            number = f"caption {len(entries) + 1}"
            if not timed and math.isinf(scope.end) and not _content(element).strip():
                continue  # an empty element makes space
            if times is None or math.isinf(times[1]):
                entries.append(Unreadable(scope.begin, number))
            else:
                entries.append(Written(*times, _content(element), speaker, number))
        elif kind in ("tt", "body", "div", "p", "span"):
            # An unreadable time of a part leaves its cues with the times that they have.
            begin, end = times or (scope.begin, scope.end)
            inner = _Scope(begin, end, speaker)
            stack += [(child, inner) for child in reversed(element)]
    return entries


def _times(element: ET.Element, scope: _Scope, rates: _Rates) -> tuple[float, float] | None:
    """Start and end in seconds; None if one of them cannot be read."""
    begin = _seconds(element.get("begin", "0s"), rates)
    length = _seconds(element.get("dur", ""), rates)
    stated = _seconds(element.get("end", ""), rates)
    if begin is None or (length is None and "dur" in element.attrib):
        return None
    if stated is None and "end" in element.attrib:
        return None
    start = scope.begin + begin
    ends = [scope.end]
    ends += [scope.begin + stated] if stated is not None else []
    ends += [start + length] if length is not None else []
    return round(start, 3), round(min(ends), 3) if math.isfinite(min(ends)) else math.inf


def _seconds(text: str, rates: _Rates) -> float | None:
    text = text.strip()[:99]
    if match := _CLOCK.fullmatch(text):
        hours, minutes, seconds, fraction, frames = match.groups()
        clock = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
        return clock + float(fraction or 0) + float(frames or 0) / rates.frames
    if match := _OFFSET.fullmatch(text):
        unit = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}.get(match[2])
        per_second = rates.frames if match[2] == "f" else rates.ticks
        return float(match[1]) * (unit if unit is not None else 1 / per_second)
    return None


def _rates(root: ET.Element) -> _Rates:
    frames = _number(_attribute(root, "frameRate"), 30.0)
    up, _, down = _attribute(root, "frameRateMultiplier").partition(" ")
    frames *= _number(up, 1.0) / _number(down, 1.0)
    stated = _attribute(root, "frameRate")
    ticks = _number(_attribute(root, "tickRate"), frames if stated else 1.0)
    return _Rates(frames, ticks)


def _number(text: str, default: float) -> float:
    number = float(text) if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", text.strip()) else 0.0
    return number if number > 0 else default


def _names(root: ET.Element) -> dict[str, str]:
    """The names of agents, which cues refer to, by id."""
    names = {}
    for agent in root.iter():
        if _local(agent.tag) == "agent":
            words = [child.text or "" for child in agent if _local(child.tag) == "name"]
            names[agent.get(_ID, "")] = " ".join(words).strip()
    return {key: name for key, name in names.items() if key and name}


def _content(cue: ET.Element) -> str:
    """The text of a cue: `br` is a line break, other white space is a space."""
    parts: list[str] = []
    stack: list[ET.Element | str] = [cue]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            # The reader of markup follows, for which the text is escaped again.
            parts.append(html.escape(" ".join(f"|{item}|".split())[1:-1], quote=False))
        elif _local(item.tag) == "br":
            parts.append("\n")
        elif _local(item.tag) in ("p", "span"):
            stack += [part for child in reversed(item) for part in (child.tail or "", child)]
            stack.append(item.text or "")
    return "".join(parts)


def _has_timed_child(element: ET.Element) -> bool:
    return any(_local(child.tag) == "span" and "begin" in child.attrib for child in element)


def _attribute(element: ET.Element, name: str) -> str:
    """An attribute of any namespace, since each version of TTML has its own."""
    return next((value for key, value in element.items() if _local(key) == name), "")


def _local(name: object) -> str:
    # Comments have a function as their tag.
    return name.rpartition("}")[2] if isinstance(name, str) else ""
