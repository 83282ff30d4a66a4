"""How long it takes to read words, and whether there is time for it."""

from math import inf

from gscon_live.realtime.listen.whisper import AGAIN, ROOM, Windows
from gscon_live.realtime.pipeline.stage import Clock

#: Seconds that a reading may take while somebody speaks. A pause is noticed after 0.16 s, and the
#: reading of the whole utterance begins then, so that this delays it by little.
QUICK = 0.35
#: Seconds after which the words so far are of no use.
LATE = 1.0
#: A reading at a pause takes so many times what one of words so far takes, for the same sound.
_HARDER = 2.0
#: Weight of the newest reading.
_WEIGHT = 0.5
#: What remains of an expectation that prevented a reading: of words so far, and of all.
_REMAINS = {True: 0.9, False: 0.98}
#: No reading is expected to take more than this share of the time that there is: a machine that
#: stood still once is soon tried again.
_MOST = 1.5


class Pace:
    """Expects what a reading takes from those before it.

    Args:
        within: seconds after the end of speech in which an answer must come; None: no limit.
        media_clock: the present media time; None in a replay, where there is always time.
    """

    def __init__(self, within: float | None, media_clock: Clock | None) -> None:
        self.within = within
        self._media_clock = media_clock
        self._costs = {True: 0.0, False: 0.0}

    def reset(self) -> None:
        """Forgets all readings."""
        self._costs = {True: 0.0, False: 0.0}

    def took(self, seconds: float, speaking: bool, work: float) -> None:
        """To read `seconds` in all took `work` seconds; `speaking`: the words so far."""
        cost, before = work / seconds, self._costs[speaking]
        self._costs[speaking] = before + _WEIGHT * (cost - before) if before else cost

    @property
    def unlimited(self) -> bool:
        """Whether there is always time, as in a replay."""
        return self._media_clock is None

    def again(self, seconds: float, speaking: bool, end: float, final: bool) -> Windows:
        """The windows for which there is time where words seem wrong. A replay reads final
        utterances again only: nobody waits for the words so far."""
        if self.unlimited:
            return AGAIN if final else ()
        windows = AGAIN
        while windows and not self.allows(seconds + sum(windows), speaking, end, needed=False):
            windows = windows[:-1]
        return windows

    def late(self, at: float) -> bool:
        """Whether words so far are out of date that could have been read from `at` on."""
        return self._media_clock is not None and self._media_clock() - at > LATE

    def allows(self, seconds: float, speaking: bool, end: float, needed: bool = True) -> bool:
        """Whether there is time to read `seconds` of sound of speech that ended at `end`. If not,
        and if it was `needed`, less is expected the next time: the machine may have been busy with
        something else."""
        if self._media_clock is None:
            return True
        limit, late = QUICK, 0.0
        if not speaking:
            limit, late = self.within or inf, self._media_clock() - end
        # Of the first reading, those of the words so far say something.
        cost = self._costs[speaking] or _HARDER * self._costs[True]
        expected = cost * (seconds + ROOM)
        if late + expected <= limit and (cost or needed):
            return True
        if not needed:
            return False
        expected = _REMAINS[speaking] * min(expected, _MOST * limit)
        self._costs[speaking] = expected / (seconds + ROOM)
        return False
