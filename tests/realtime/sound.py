"""The sound of a recording, as a microphone would give it."""

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt


def recorded(path: Path) -> npt.NDArray[np.float32]:
    """Mono float32 at 16 kHz, from the recording's first moment."""
    resampler = av.AudioResampler("flt", "mono", 16_000)
    with av.open(str(path)) as media:
        frames = [made for frame in media.decode(audio=0) for made in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray().ravel() for frame in frames]).astype(np.float32)
