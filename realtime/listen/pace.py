"""How long it takes to read words, and whether there is time for it."""

from gscon_live.realtime.listen.whisper import ROOM
from gscon_live.realtime.pipeline.stage import Clock

#: Seconds that a reading may take while somebody speaks. A pause is noticed after 0.16 s, and the
#: reading of the whole utterance begins then, so that this delays it by little.
QUICK = 0.35
#: Seconds after which the words so far are of no use.
LATE = 1.0
#: Weight of the newest reading, and what remains of an expectation that prevented a reading.
_WEIGHT, _REMAINS = 0.5, 0.9


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
        """A reading of `seconds` of sound took `work` seconds; `speaking`: of the words so far."""
        cost, before = work / (seconds + ROOM), self._costs[speaking]
        self._costs[speaking] = before + _WEIGHT * (cost - before) if before else cost

    def late(self, at: float) -> bool:
        """Whether words so far are out of date that could have been read from `at` on."""
        return self._media_clock is not None and self._media_clock() - at > LATE

    def allows(self, seconds: float, speaking: bool, end: float) -> bool:
        """Whether there is time to read `seconds` of sound of speech that ended at `end`. If not,
        less is expected the next time: the machine may have been busy with something else."""
        if self._media_clock is None:
            return True
        expected = self._costs[speaking] * (seconds + ROOM)
        if speaking:
            enough = expected <= QUICK
        else:
            late = self._media_clock() - end
            enough = self.within is None or late + expected <= self.within
        if not enough:
            self._costs[speaking] *= _REMAINS
        return enough
