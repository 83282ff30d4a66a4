"""At most so many pictures a second."""

import math


class PictureRate:
    """Chooses pictures: at most one of each interval of media time.

    Args:
        rate: intervals a second, above 0.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._due = 0

    def takes(self, time: float) -> bool:
        """Whether the picture of this time in seconds is chosen; no other of its interval will be.
        Times do not decrease."""
        if time * self._rate < self._due:
            return False
        self._due = math.floor(time * self._rate) + 1
        return True
