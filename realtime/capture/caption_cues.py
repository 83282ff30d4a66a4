"""From written cues to utterances: each phrase once, with its time and its speaker.

Cues that are no utterance (only sounds, no length) are reported as `Dropped`, never left out
silently. The reasons have no words of the captions.
"""

import heapq
import re
from collections.abc import Iterable, Iterator

from gscon_live.realtime.capture.caption_markup import read_lines
from gscon_live.realtime.capture.caption_names import Names, stated_name
from gscon_live.realtime.capture.caption_rolling import Lines, unroll
from gscon_live.realtime.capture.caption_turns import Turn, pieces_of, turns_of
from gscon_live.realtime.capture.caption_written import Unreadable, Written
from gscon_live.realtime.pipeline.messages import Cue, Dropped

Item = Cue | Dropped

#: Cues at the same time at most. Each has a copy of its sound, so the copies are bounded by this.
MOST_AT_ONCE = 8
#: Unreadable cues that are reported one by one.
_REPORTED = 100
#: Seconds that a turn lasts at least; a cue with no time for its turns stays whole.
_SHORTEST_TURN = 0.1
#: Words, or signs of scripts without spaces: kana, Han, Thai, Lao, Khmer, Burmese.
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")


def utterances(entries: Iterable[Written | Unreadable]) -> tuple[list[Item], list[str]]:
    """The captions of a file or track, and notices for the user.

    A cue in which several people speak becomes several utterances; they share its time in
    proportion to their words.

    Args:
        entries: all cues, in any order.

    Returns:
        Cues and drops, sorted by start; and lines that say what was done with the whole file.
    """
    written: list[Written] = []
    unreadable: list[Unreadable] = []
    items: list[Item] = []
    for entry in entries:
        if isinstance(entry, Unreadable):
            unreadable.append(entry)
        elif entry.end <= entry.start:
            wrong = "ends before it begins" if entry.end < entry.start else "has no length"
            items.append(_dropped(entry.start, 0.0, f"the caption {wrong}{_place(entry.where)}"))
        else:
            written.append(entry)
    items += _unread(unreadable)
    unique = dict.fromkeys(sorted(written, key=lambda cue: (cue.start, cue.end)))
    cues: list[Lines] = []
    for cue in unique:
        if lines := read_lines(cue.payload):
            cues.append(Lines(cue.start, cue.end, lines, cue.speaker))
        else:
            items.append(_dropped(cue.start, cue.end - cue.start, _NO_WORDS))
    kept, removed = unroll(cues)
    pieces = [pieces_of(cue.lines) for cue in kept]
    labels = [[piece.label for piece in cue if piece.label] for cue in pieces]
    stated = [stated_name(line.voice) for cue in kept for line in cue.lines]
    stated += [stated_name(cue.speaker) for cue in kept]
    names = Names(labels, filter(None, stated))
    for shown, parts in zip(kept, pieces, strict=True):
        if turns := turns_of(parts, names, shown.speaker):
            items += _shared(shown.start, shown.end, turns)
        else:
            items.append(_dropped(shown.start, shown.end - shown.start, _NO_WORDS))
    notices = []
    if removed:
        notices.append(f"rolling captions: {removed} lines that were carried over are left out")
    return _bounded(_sorted(items)), notices


_NO_WORDS = "no words: only sounds or nothing"


def _shared(start: float, end: float, turns: list[Turn]) -> Iterator[Cue]:
    """The utterances of a cue. Their lengths are in proportion to their words."""
    if len(turns) > 1 and (end - start) / len(turns) < _SHORTEST_TURN:
        turns = [Turn(None, " ".join(turn.text for turn in turns))]
    counts = [len(_WORD.findall(turn.text)) for turn in turns]
    total = sum(counts)
    spoken, begin = 0, start
    for turn, count in zip(turns, counts, strict=True):
        spoken += count
        finish = end if spoken == total else start + (end - start) * spoken / total
        finish = finish if finish == end else round(finish, 3)
        yield Cue(begin, finish, turn.text, turn.speaker)
        begin = finish


def _unread(unreadable: list[Unreadable]) -> Iterator[Dropped]:
    for entry in unreadable[:_REPORTED]:
        yield _dropped(entry.start, 0.0, f"{entry.where} cannot be read")
    if more := unreadable[_REPORTED:]:
        yield Dropped(more[0].start, "caption", len(more), 0.0, "more captions cannot be read")


def _bounded(items: list[Item]) -> list[Item]:
    """Without cues that begin while `MOST_AT_ONCE` others last; they become a single `Dropped`."""
    ends: list[float] = []
    kept: list[Item] = []
    excess: list[Cue] = []
    for item in items:
        if isinstance(item, Cue):
            while ends and ends[0] <= item.start:
                heapq.heappop(ends)
            if len(ends) >= MOST_AT_ONCE:
                excess.append(item)
                continue
            heapq.heappush(ends, item.end)
        kept.append(item)
    if not excess:
        return kept
    seconds = sum(cue.end - cue.start for cue in excess)
    reason = f"more than {MOST_AT_ONCE} captions at the same time"
    return _sorted([*kept, Dropped(excess[0].start, "caption", len(excess), seconds, reason)])


def _sorted(items: list[Item]) -> list[Item]:
    """Sorted by start, then end, without exact duplicates of cues."""

    def key(item: Item) -> tuple[float, float]:
        return (item.start, item.end) if isinstance(item, Cue) else (item.time, item.time)

    cues: set[Cue] = set()
    kept: list[Item] = []
    for item in sorted(items, key=key):
        if isinstance(item, Cue):
            if item in cues:
                continue
            cues.add(item)
        kept.append(item)
    return kept


def _dropped(time: float, seconds: float, reason: str) -> Dropped:
    return Dropped(time, "caption", 1, seconds, reason)


def _place(where: str) -> str:
    return f" ({where})" if where else ""
