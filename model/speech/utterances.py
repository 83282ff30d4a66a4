"""A complete sound cut into utterances, as the live pipeline cuts it."""

import numpy as np
from numpy.typing import NDArray

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.model.speech.endpoint_detector import EndpointDetector, Part, Segmentation
from gscon_live.model.speech.voice_activity import WINDOW, VoiceActivity


def utterances(
    samples: NDArray[np.float32],
    settings: Segmentation | None = None,
    detector: VoiceActivity | None = None,
) -> list[NDArray[np.float32]]:
    """The sounds of a recording's utterances, in order; each has its pre-roll and tail.

    Args:
        samples: mono float32 [n] at 16 kHz.
        settings: see `Segmentation`; None: the defaults.
        detector: the voice activity detector, which is reset; None makes one.
    """
    endpoints = EndpointDetector(settings or Segmentation(), detector)
    missing = -len(samples) % WINDOW
    padded = np.append(samples, np.zeros(missing, np.float32))
    parts: list[Part] = []
    for start in range(0, len(padded), WINDOW):
        window = padded[start : start + WINDOW]
        parts += [part for part in endpoints.step(window, start) if isinstance(part, Part)]
    parts += endpoints.finish(len(samples))
    return [samples[part.sound_start : part.sound_end] for part in parts if part.final]


def longest_utterance(
    samples: NDArray[np.float32],
    detector: VoiceActivity | None = None,
    silence: float = 1.0,
    settings: Segmentation | None = None,
) -> NDArray[np.float32] | None:
    """The longest utterance of a recording between `silence` seconds of silence; None where nobody
    speaks long enough. `settings` are as in `utterances`."""
    quiet = np.zeros(round(silence * SAMPLE_RATE), np.float32)
    spoken = utterances(np.concatenate([quiet, samples, quiet]), settings, detector)
    return max(spoken, key=len, default=None)
