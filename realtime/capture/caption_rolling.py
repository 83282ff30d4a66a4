"""Captions that roll: each cue shows lines of the cue before once more, and adds to them.

Automatic captions of YouTube and roll-up captions of television are written like this. Here every
phrase is kept once, in the cue in which it came.
"""

from itertools import pairwise

import msgspec

from gscon_live.realtime.capture.caption_markup import Line

#: Lines that a screen of captions has at most.
_SCREEN = 4
#: Cues that begin later than this after the cue before, in seconds, carry nothing over.
_PAUSE = 0.5
#: A cue that is shorter than this, in seconds, only moves lines.
_INSTANT = 0.05
#: Captions roll if at least this many cues, and this share of those that follow on each other at
#: once, carry lines over. Otherwise, people repeat themselves.
_ENOUGH, _SHARE = 2, 0.4


class Lines(msgspec.Struct):
    """The lines of a cue, with its bounds in seconds, and the name in the format's own field."""

    start: float
    end: float
    lines: list[Line]
    speaker: str | None = None


def unroll(cues: list[Lines]) -> tuple[list[Lines], int]:
    """Cues without the lines that are carried over, and the number of lines that were removed.

    Args:
        cues: all cues of a file, sorted by start. They come back as they are if they do not roll.
    """
    carried = [_Carried()] + [_carried(cues[i - 1], cues[i]) for i in range(1, len(cues))]
    adjacent = sum(_adjacent(cues[i - 1], cues[i]) for i in range(1, len(cues)))
    evidence = sum(item.is_evidence for item in carried)
    stamped = any(line.stamp is not None for cue in cues for line in cue.lines)
    if evidence < (1 if stamped else _ENOUGH) or evidence < _SHARE * adjacent:
        return cues, 0
    kept: list[Lines] = []
    removed = 0
    for cue, item in zip(cues, carried, strict=True):
        fresh = cue.lines[item.lines :]
        removed += item.lines
        if item.letters and kept and kept[-1].lines:
            # The line grows: its new words belong to the phrase that has begun.
            last = kept[-1].lines[-1]
            kept[-1].lines[-1] = msgspec.structs.replace(
                last, words=last.words + fresh[0].words[item.letters :]
            )
            kept[-1].end = max(kept[-1].end, cue.end)
            fresh = fresh[1:]
            removed += 1
        if fresh:
            stamp = fresh[0].stamp
            start = stamp if stamp is not None and cue.start <= stamp < cue.end else cue.start
            kept.append(Lines(start, cue.end, list(fresh), cue.speaker))
    for before, after in pairwise(kept):
        # A line stays in view while the next one is spoken.
        if before.start < after.start < before.end:
            before.end = after.start
    return kept, removed


class _Carried(msgspec.Struct, frozen=True):
    """What a cue shows once more: whole lines, and letters of the line after them."""

    lines: int = 0
    letters: int = 0
    is_evidence: bool = False


def _carried(before: Lines, cue: Lines) -> _Carried:
    if not _adjacent(before, cue):
        return _Carried()
    shown = [line.words for line in before.lines[-_SCREEN:]]
    words = [line.words for line in cue.lines[: _SCREEN + 1]]
    for first in range(len(shown)):
        tail = shown[first:]
        if words[: len(tail)] == tail:
            shortest = min(before.end - before.start, cue.end - cue.start)
            instant = shortest <= _INSTANT and abs(cue.start - before.end) <= _INSTANT
            return _Carried(len(tail), 0, instant or len(cue.lines) > len(tail))
        count = len(tail) - 1
        if (
            words[:count] == tail[:count]
            and len(words) > count
            and words[count].startswith(tail[count] + " ")
        ):
            return _Carried(count, len(tail[count]), True)
    return _Carried()


def _adjacent(before: Lines, cue: Lines) -> bool:
    has_lines = bool(before.lines and cue.lines)
    return has_lines and before.start < cue.start <= before.end + _PAUSE
