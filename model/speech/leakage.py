"""Which channels of a sound hear only what leaks in from another one.

Every channel belongs to a speaker, but a microphone also hears the others, more softly, and a
telephone line carries an echo.
"""

import numpy as np
from numpy.typing import NDArray

#: A channel that is softer than another by more than so many dB hears the other's speaker.
SOFTER = 10.0
#: A channel whose samples correlate with those of a louder one by more than this is a copy of it.
COPY = 0.95
#: Share of a window of 32 ms in the mean power that is compared.
_SHARE = 0.4
#: Power below which there is nothing to compare: -90 dB of full scale.
_SILENCE = 1e-9


class Leakage:
    """Compares the channels of a sound, window by window, in order.

    Args:
        channels: their number.
    """

    def __init__(self, channels: int) -> None:
        self._power = np.zeros(channels)
        #: The channels before each.
        self._before = np.tri(channels, k=-1, dtype=bool)

    def reset(self) -> None:
        """Forgets all sound."""
        self._power[:] = 0.0

    def __call__(self, windows: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which channels hear only others, bool [channels].

        Args:
            windows: a window of each, float32 [channels, n]; it follows on the last call's.
        """
        products = windows.astype(np.float64) @ windows.T
        energy = np.diag(products)
        self._power += _SHARE * (energy / windows.shape[1] - self._power)
        loudest = self._power.max()
        softer = (self._power * 10 ** (SOFTER / 10) < loudest) & (loudest > _SILENCE)
        norms = np.sqrt(np.outer(energy, energy))
        alike = np.abs(products) > COPY * np.maximum(norms, _SILENCE * windows.shape[1])
        louder = energy[None, :] > energy[:, None]
        same = energy[None, :] == energy[:, None]
        copies = (alike & (louder | (same & self._before))).any(axis=1)
        return np.asarray(softer | copies, np.bool_)
