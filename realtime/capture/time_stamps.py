"""Joins the time stamps of a file whose clock starts anew or jumps, as in joined recordings.

A *part* is a stretch of packets on one clock. Each part is moved to where the one before it ends,
with one shift for all streams, so that sound and pictures stay together.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

#: Decoding times that go back by more than this many seconds are those of a new clock.
BACK = 0.5
#: A longer hole in all streams, in seconds, is left out. In containers without an index of times
#: (`UNTIMED`) such a jump is rather a new clock, in the others rather a pause.
LONGEST_HOLE, LONGEST_HOLE_UNTIMED = 3600.0, 60.0
#: Containers made to be joined and broadcast, by FFmpeg's names.
UNTIMED = {"mpegts", "mpeg", "ogg", "flv", "asf", "aac", "mp3", "flac"}


class Join(NamedTuple):
    """Where two parts meet: the media time in seconds, and the length of the hole that is left out,
    0 where the clock starts anew."""

    time: float
    left_out: float


@dataclass
class _Part:
    shift: float  # by which its times are moved, as far as they are known
    left_out: float
    clock: float  # the latest decoding time
    start: float = math.inf
    end: float = -math.inf


@dataclass
class _Stream:
    part: int = 0
    last: float | None = None
    parts: list[int] = field(default_factory=list)  # by packet


class TimeStamps:
    """Takes the times of all packets in file order, and tells by how much to move each.

    All times are in seconds, and those given are as the file has them, minus its start.

    Args:
        longest_hole: a longer jump ahead is left out.
    """

    def __init__(self, longest_hole: float) -> None:
        self._longest_hole = longest_hole
        self._parts = [_Part(0.0, 0.0, 0.0)]
        self._streams: dict[int, _Stream] = {}
        self._reached = 0.0

    def add(self, stream: int, decoding: float | None, begin: float, end: float) -> None:
        """Takes the next packet of a stream.

        Args:
            stream: the stream's index.
            decoding: when it is decoded; None if the file does not say.
            begin, end: when it is shown.
        """
        state = self._streams.setdefault(stream, _Stream())
        if decoding is not None:
            self._place(state, decoding)
        part = self._parts[state.part]
        part.start = min(part.start, begin)
        part.end = max(part.end, end)
        self._reached = max(self._reached, end + part.shift)
        state.parts.append(state.part)

    def follow(self, stream: int, time: float) -> None:
        """Takes the next packet of a stream that has no clock of its own, as captions: it is on the
        newest clock or the one before, whichever is nearer."""
        state = self._streams.setdefault(stream, _Stream())
        newest = len(self._parts) - 1
        nearest = min((newest, max(newest - 1, 0)), key=lambda n: abs(time - self._parts[n].clock))
        state.part = max(state.part, nearest)
        state.parts.append(state.part)

    def _place(self, state: _Stream, time: float) -> None:
        newest = len(self._parts) - 1
        if state.part < newest:
            # Another stream is on a new clock: the packet belongs to the nearer of the two.
            own = math.inf if state.last is None else abs(time - state.last)
            if abs(time - self._parts[newest].clock) < max(own, BACK):
                state.part, state.last = newest, None
        part = self._parts[state.part]
        ahead = time + part.shift - self._reached
        jumps = state.part == newest and ahead > self._longest_hole
        if jumps or (state.last is not None and time < state.last - BACK):
            part = _Part(self._reached - time, ahead if jumps else 0.0, time)
            self._parts.append(part)
            state.part = newest + 1
        part.clock = max(part.clock, time)
        state.last = time

    def joins(self) -> list[Join]:
        """Where parts meet, in order of time."""
        shifts = self._shifts()
        return [
            Join(float(part.start + shift), part.left_out)
            for part, shift in zip(self._parts[1:], shifts[1:], strict=True)
        ]

    def shifts(self, stream: int) -> npt.NDArray[np.float64]:
        """Seconds by which each packet of a stream is moved, in file order."""
        parts = self._streams[stream].parts if stream in self._streams else []
        return np.asarray(self._shifts()[np.array(parts, int)], np.float64)

    def _shifts(self) -> npt.NDArray[np.float64]:
        """By part. No stream's part begins before the end of all streams of the one before."""
        shifts = [0.0]
        reached = self._parts[0].end
        for part in self._parts[1:]:
            shifts.append(reached - part.start)
            reached = max(reached, part.end + shifts[-1])
        return np.array(shifts)
