"""Decoding of the recordings in the corpora's archives."""

import io

import av
import numpy as np
from numpy.typing import NDArray

from gscon_live.model.labels import SAMPLE_RATE


def samples(data: bytes) -> NDArray[np.float32]:
    """The sound of a recording, mono float32 at 16 kHz."""
    resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
    with av.open(io.BytesIO(data)) as container:
        frames = [
            resampled
            for frame in container.decode(audio=0)
            for resampled in resampler.resample(frame)
        ]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float32)
