"""Sound of a device at the rate of the pipeline."""

from typing import Any

import av
import numpy as np
import numpy.typing as npt

from gscon_live.model.labels import SAMPLE_RATE

Samples = npt.NDArray[np.float32]


class MonoResampler:
    """Resamples the blocks of one stream, in order.

    Args:
        rate: samples per second of the stream.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._resampler: Any = None

    def __call__(self, samples: Samples) -> Samples:
        """The block [n] at 16 kHz; at another rate, some samples come with later blocks."""
        if self._rate == SAMPLE_RATE:
            return samples
        if self._resampler is None:
            self._resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="flt", layout="mono")
        frame.sample_rate = self._rate
        parts = [part.to_ndarray()[0] for part in self._resampler.resample(frame)]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)
