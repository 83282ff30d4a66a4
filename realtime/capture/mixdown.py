"""Mixes the channels of sound to one, so that a voice in any of them is heard."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

#: The mix is left for the loudest channel where its power falls below this share of that channel's:
#: where channels cancel each other, or a voice is in one of many ...
_LEAVE = 1 / 16
#: ... and is taken again above this share.
_RETURN = 1 / 6
#: Another channel must have this much more power to become the chosen one.
_SWITCH = 4.0
#: Seconds over which power is averaged.
_SPAN = 0.2
#: A low-frequency channel is chosen only if it has this much more power than any other: then its
#: name was guessed from the number of channels.
_GUESSED = 1000.0
#: Power below which a block says nothing: -80 dB of full scale.
_SILENCE = 1e-8
#: Shares of named channels in the mix; of all others 0.7. The low-frequency ones have no voice.
_SHARES = {"FC": 1.0, "LFE": 0.0, "LFE2": 0.0}
_OTHER = 0.7

Samples = npt.NDArray[np.float32]


class Mixdown:
    """Mixes blocks of one stream of sound; the same blocks give the same mix.

    Args:
        names: the channels as FFmpeg names them ("FL", "FC", ...). Where one has no name ("NONE"),
            all have the same share.
    """

    def __init__(self, names: Sequence[str]) -> None:
        shares = np.ones(len(names))
        if "NONE" not in names:
            shares = np.array([_SHARES.get(name, _OTHER) for name in names])
        if not shares.any():
            shares = np.ones(len(names))
        self._mix = (shares / shares.sum()).astype(np.float32)
        self._voiced = np.flatnonzero(shares)
        self._chosen: int | None = None
        self._power = np.zeros(len(names))
        self._mix_power = 0.0
        self._begun = False

    def __call__(self, block: Samples, rate: int) -> Samples:
        """The mix, float32 [n], of a block float32 [n, channels] with `rate` samples per second."""
        count, channels = block.shape
        if channels == 1 or not count:
            return np.ascontiguousarray(block[:, 0])
        mixed = block @ self._mix
        before = self._chosen
        self._choose(block, mixed, count / rate)
        new = mixed if self._chosen is None else block[:, self._chosen]
        begun, self._begun = self._begun, True
        if self._chosen == before or not begun:
            return np.ascontiguousarray(new, np.float32)
        # From the old choice to the new one within the block: a step would be a click.
        ramp = np.linspace(0.0, 1.0, count, dtype=np.float32)
        old = mixed if before is None else block[:, before]
        return np.asarray(old + ramp * (new - old), np.float32)

    def _choose(self, block: Samples, mixed: Samples, seconds: float) -> None:
        power = np.mean(np.square(block), axis=0, dtype=np.float64)
        mix_power = float(np.mean(np.square(mixed), dtype=np.float64))
        if power.max() < _SILENCE:
            return
        share = min(1.0, seconds / _SPAN)
        self._power += share * (power - self._power)
        self._mix_power += share * (mix_power - self._mix_power)
        loudest = int(self._voiced[np.argmax(self._power[self._voiced])])
        if self._power.max() > _GUESSED * self._power[loudest]:
            loudest = int(np.argmax(self._power))
        if self._chosen is None:
            if self._mix_power < _LEAVE * self._power[loudest]:
                self._chosen = loudest
        elif self._mix_power > _RETURN * self._power[loudest]:
            self._chosen = None
        elif self._power[loudest] > _SWITCH * self._power[self._chosen]:
            self._chosen = loudest


def to_float(data: npt.NDArray[Any], channels: int, planar: bool) -> Samples:
    """The samples of a decoded frame as float32 [n, channels] with a full scale of 1.

    Args:
        data: as PyAV gives it: [channels, n] if `planar`, else [1, n * channels].
    """
    samples = data.T if planar else data.reshape(-1, channels)
    if samples.dtype == np.uint8:
        return np.asarray((samples.astype(np.float32) - 128) / np.float32(128), np.float32)
    if np.issubdtype(samples.dtype, np.integer):
        full_scale = -float(np.iinfo(samples.dtype).min)
        return np.asarray(samples.astype(np.float32) / np.float32(full_scale), np.float32)
    return samples.astype(np.float32)
