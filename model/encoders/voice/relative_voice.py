"""Emotions from how an utterance differs from its speaker's usual voice."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gscon_live.model.encoders.voice.speaker_baseline import SpeakerBaseline
from gscon_live.model.labels import EMOTIONS

#: Standardised features beyond this count as this: an unfamiliar microphone gives extreme values.
MOST = 4.0


def inverse_temperature(
    temperatures: NDArray[np.float64], known: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """What logits are multiplied by, [...], for how much of a baseline is the speaker's own, [...],
    from 0 to 1; `temperatures` [2] are those of first utterances and of well-known speakers."""
    first, later = 1 / temperatures
    return np.asarray(first + (later - first) * known, np.float64)


class RelativeVoice(nn.Module):
    """A multinomial logistic regression on acoustic statistics, relative to the speaker's own mean.

    The statistics (`model.encoders.voice.voice_statistics`) are standardised by the population's
    mean and deviation. From them the speaker's running mean is taken off (`SpeakerBaseline`), which
    begins at the population's. The logits are divided by a temperature, which goes from that of a
    speaker's first utterance to that of a well-known speaker as the running mean becomes the
    speaker's own.

    Args:
        dim: number of statistics.
    """

    mean: Tensor
    deviation: Tensor
    weight: Tensor
    temperatures: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim, dtype=torch.float64))
        self.register_buffer("deviation", torch.ones(dim, dtype=torch.float64))
        #: How many utterances the population's mean counts for.
        self.register_buffer("weight", torch.tensor(2.0, dtype=torch.float64))
        #: Of first utterances, and of speakers who are well known.
        self.register_buffer("temperatures", torch.ones(2, dtype=torch.float64))
        self.classify = nn.Linear(dim, len(EMOTIONS), dtype=torch.float64)

    def baseline(self) -> SpeakerBaseline:
        """A new baseline, for standardised statistics; it knows no speaker yet."""
        return SpeakerBaseline(np.zeros(len(self.mean)), float(self.weight))

    def standardised(self, statistics: NDArray[np.floating]) -> NDArray[np.float64]:
        """Statistics [..., dim] with the population's mean 0 and deviation 1."""
        mean, deviation = self.mean.numpy(), self.deviation.numpy()
        return np.asarray((statistics - mean) / deviation, np.float64)

    def log_probabilities(
        self, relative: NDArray[np.float64], known: float | NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Log-probabilities [..., 7] in the order of `EMOTIONS`.

        Args:
            relative: standardised statistics relative to the baseline, [..., dim].
            known: how much of the baseline is the speaker's own, [...], from 0 to 1, see
                `SpeakerBaseline.known`.
        """
        with torch.inference_mode():
            logits = self.classify(torch.from_numpy(relative.clip(-MOST, MOST)))
            factor = torch.as_tensor(inverse_temperature(self.temperatures.numpy(), known))
            scaled = logits * factor[..., None]
            return np.asarray(scaled.log_softmax(-1).numpy(), np.float64)
