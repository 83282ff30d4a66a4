"""The cues of a caption file, as they are written: WebVTT, SubRip, SubViewer (.sbv) and ASS.

A cue that cannot be read is an `Unreadable`; it never costs the others. All readers visit each
character a bounded number of times.
"""

import re
from collections.abc import Callable, Iterator

import msgspec

from gscon_live.realtime.capture.caption_written import Unreadable, Written

_LINE_END = re.compile(r"\r\n|\r|\n")
#: Hours (may be missing), minutes, seconds, and a fraction (may be missing) after a dot or comma.
#: The digits are bounded: longer numbers are no times, and slow to convert.
_CLOCK = r"(?:(\d{1,6}):)?(\d{1,6}):(\d{1,2})(?:[.,](\d{1,32}))?"
_ARROW = r"\s*(?:[-–—=]\s?){1,3}>\s*"
_TIMING = re.compile(rf"\s*{_CLOCK}{_ARROW}{_CLOCK}(?![\d:.,])")
#: Two complete clocks with any other sign between them.
_BARE_TIMING = re.compile(rf"\s*{_CLOCK}[^\w:]{{1,8}}{_CLOCK}\s*")
_SBV_CLOCK = _CLOCK.replace("[.,]", r"\.")
_SBV_TIMING = re.compile(rf"\s*{_SBV_CLOCK}\s*,\s*{_SBV_CLOCK}\s*")
#: A line that was meant as a timing: a clock and an arrow or comma, or only digits and marks.
_ALMOST_TIMING = re.compile(
    r"\s*[-+]?\w{0,9}\d:[\w:.,]{0,99}\s*(?:[-–—=]\s?){1,3}>"
    r"|\s*\d{1,6}:\d{1,6}(?::\d{1,6})?\.\d{1,9},[\w:.]{1,99}\s*"
    r"|[\d\s:.,>-]+"
)
_INDEX = re.compile(r"\s*\d{1,9}\s*")

Entry = Written | Unreadable


class _Block(msgspec.Struct):
    """A cue while its lines are read. `timing` is None for a cue whose timing is unreadable."""

    line: int
    timing: tuple[float, float] | None
    lines: list[str] = []


def read_vtt(text: str) -> list[Entry]:
    """The cues of a WebVTT file. An empty line ends a cue."""
    return list(_blocks(text, _arrow_timing, ends_at_empty_line=True))


def read_srt(text: str) -> list[Entry]:
    """The cues of a SubRip file. The next timing ends a cue, since empty lines occur inside."""
    return list(_blocks(text, _arrow_timing, ends_at_empty_line=False))


def read_sbv(text: str) -> list[Entry]:
    """The cues of a SubViewer file, as YouTube writes them (`0:00:01.000,0:00:02.000`)."""
    return list(_blocks(text.replace("[br]", "\n"), _sbv_timing, ends_at_empty_line=True))


def read_ass(text: str) -> list[Entry]:
    """The dialogue of an ASS or SSA script; comments are left out."""
    entries: list[Entry] = []
    fields = ["layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect"]
    fields.append("text")
    in_events = False
    for number, line in enumerate(_LINE_END.split(text), 1):
        key, _, value = line.strip().partition(":")
        key = key.lower()
        if key.startswith("["):
            in_events = key == "[events]"
        elif in_events and key == "format":
            fields = [field.strip().lower() for field in value.split(",")][:32]
        elif in_events and key == "dialogue":
            values = dict(zip(fields, value.split(",", len(fields) - 1), strict=False))
            start, end = (_one_clock(values.get(name, "")) for name in ("start", "end"))
            if start is None or end is None or "text" not in values:
                entries.append(Unreadable(_last_start(entries), f"line {number}"))
            else:
                name = values.get("name", values.get("actor", "")).strip()
                entries.append(Written(start, end, values["text"], name or None, f"line {number}"))
    return entries


def _blocks(
    text: str, timing_of: Callable[[str], tuple[float, float] | None], *, ends_at_empty_line: bool
) -> Iterator[Entry]:
    """Cues of formats in which a line with the timing stands before the words."""
    block: _Block | None = None
    last_start = 0.0
    previous = ""
    at_start = True
    for number, line in enumerate(_LINE_END.split(text), 1):
        times = timing_of(line)
        if times is not None or _is_broken_timing(line, at_start):
            if block is not None:
                if _INDEX.fullmatch(previous) and len(block.lines) > 1:
                    block.lines.pop()
                yield _entry(block, last_start)
            block = _Block(number, times, [])
            last_start = times[0] if times is not None else last_start
            at_start = False
        elif not line:
            if block is not None and ends_at_empty_line:
                yield _entry(block, last_start)
                block = None
            elif block is not None:
                block.lines.append(line)
            at_start = True
        else:
            if block is not None:
                block.lines.append(line)
            # The number of a cue stands between the empty line and the timing.
            at_start = at_start and bool(_INDEX.fullmatch(line) or block is None)
        previous = line
    if block is not None:
        yield _entry(block, last_start)


def _entry(block: _Block, last_start: float) -> Entry:
    where = f"line {block.line}"
    if block.timing is None:
        return Unreadable(last_start, where)
    start, end = block.timing
    return Written(start, end, "\n".join(block.lines), None, where)


def _arrow_timing(line: str) -> tuple[float, float] | None:
    if ">" in line:
        match = _TIMING.match(line)
    else:
        match = _BARE_TIMING.fullmatch(line)
        # Without an arrow, only clocks that no words could be: with hours, or with fractions.
        if match and not ((match[1] and match[5]) or (match[4] and match[8])):
            match = None
    return _both(match)


def _sbv_timing(line: str) -> tuple[float, float] | None:
    return _both(_SBV_TIMING.fullmatch(line))


def _both(match: re.Match[str] | None) -> tuple[float, float] | None:
    if match is None:
        return None
    start, end = _seconds(*match.group(1, 2, 3, 4)), _seconds(*match.group(5, 6, 7, 8))
    return None if start is None or end is None else (start, end)


def _one_clock(text: str) -> float | None:
    match = re.fullmatch(rf"\s*{_CLOCK}\s*", text[:99])
    return _seconds(*match.group(1, 2, 3, 4)) if match else None


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> float | None:
    """Seconds, to the millisecond; None for 60 or more seconds, or minutes of an hour."""
    if int(seconds) > 59 or (hours is not None and int(minutes) > 59):
        return None
    clock = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)
    return round(clock + float(f"0.{_ascii_digits(fraction)}"), 3)


def _ascii_digits(fraction: str | None) -> str:
    """Digits of any script as ASCII."""
    return "".join(str(int(digit)) for digit in fraction or "0")


def _is_broken_timing(line: str, at_start: bool) -> bool:
    """Whether a line that is no timing was meant as one."""
    if "-->" in line and at_start:
        return True
    if ">" not in line and not at_start:
        return False
    match = _ALMOST_TIMING.match(line)
    return match is not None and line.count(":") > 1 and (">" in line or match[0] == line)


def _last_start(entries: list[Entry]) -> float:
    return next((entry.start for entry in reversed(entries)), 0.0)
