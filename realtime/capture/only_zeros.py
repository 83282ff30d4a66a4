"""Tells when a microphone gives nothing but zeros: it is muted, or not allowed to be heard."""

import math

import numpy as np
import numpy.typing as npt

#: Seconds of nothing but zeros after which a device counts as mute.
ZEROS_SECONDS = 5.0
_ROUNDING = 1e-6


class OnlyZeros:
    """Watches the first sound of a device.

    Only the first: many programs that take out noise give zeros in every pause.
    """

    def __init__(self) -> None:
        # Where zeros began; infinite before the first block, None after sound or the report.
        self._since: float | None = math.inf

    def look(
        self, samples: npt.NDArray[np.generic], time: float, length: float
    ) -> tuple[float, float] | None:
        """Looks at a block.

        Args:
            samples: the block, with any number of channels.
            time: the time of its first sample in seconds.
            length: its length in seconds.

        Returns:
            Once: since when there are only zeros, and for how many seconds. None otherwise.
        """
        if self._since is None or samples.any():
            self._since = None
            return None
        self._since = min(self._since, time)
        seconds = time + length - self._since
        if seconds < ZEROS_SECONDS - _ROUNDING:
            return None
        since, self._since = self._since, None
        return since, seconds
