"""Where two people speak at once, in the mixed sound of an utterance.

Two voices have two series of harmonics, which move apart. A small convolutional network looks for
them in a spectrogram of windows that are long enough to tell harmonics apart.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.model.shipped_weights import FOLDER, load_weights

WEIGHTS = FOLDER / "overlap.safetensors"
#: Samples of a window (64 ms), and from one to the next (20 ms).
WINDOW, HOP = 1024, 320
#: Seconds of a frame.
FRAME_SECONDS = HOP / SAMPLE_RATE
#: Frequencies of the spectrogram, from 31 Hz to 2.5 kHz: there harmonics can be told apart.
BINS = 160
#: Levels more than so many dB below the utterance's loud ones count as this.
_RANGE = 60.0
#: Frames over which probabilities are averaged, and the shortest overlap.
SMOOTHED, SHORTEST = 7, 10
#: Probability above which frames around a sure overlap belong to it.
LIKELY = 0.5
#: Frames that are read at once: longer sound takes no more memory.
_LONGEST = 3000


def spectrogram(samples: Tensor) -> Tensor:
    """The level of each frequency, in 60 dB, over that of the loudest one in loud frames, from -1
    to about 0.2, [..., 160, frames], of sound [..., n] at 16 kHz. A constant gain does not change
    it."""
    padded = functional.pad(samples, (0, max(0, WINDOW - samples.shape[-1])))
    window = torch.hann_window(WINDOW, device=samples.device)
    spectrum = torch.stft(padded, WINDOW, HOP, window=window, center=False, return_complex=True)
    levels = 10 * torch.log10(spectrum[..., 2 : BINS + 2, :].abs().square() + 1e-10)
    loud = levels.amax(dim=-2).quantile(0.9, dim=-1)[..., None, None]
    return ((levels - loud) / _RANGE).clamp_min(-1.0)


class OverlapNet(nn.Module):
    """Frames of a spectrogram [n, 160, frames] to logits of overlap [n, frames].

    Two convolutions find harmonics, wherever they are. Dilated ones compare about a second.
    `threshold` is the probability from which an overlap is sure.
    """

    threshold: Tensor

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.register_buffer("threshold", torch.tensor(0.5))
        self.harmonics = nn.Sequential(
            nn.Conv2d(1, 8, (9, 3), stride=(2, 1), padding=(4, 1)),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 12, (5, 3), stride=(2, 1), padding=(2, 1)),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.MaxPool2d((2, 1)),
        )
        self.reduce = nn.Conv1d(12 * BINS // 8, width, 3, padding=1)
        self.context = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm1d(width),
                nn.ReLU(),
                nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation),
            )
            for dilation in (1, 2, 4, 8)
        )
        self.answer = nn.Sequential(nn.BatchNorm1d(width), nn.ReLU(), nn.Conv1d(width, 1, 1))

    def forward(self, levels: Tensor) -> Tensor:
        """See the class."""
        harmonics = self.harmonics(levels[:, None])
        hidden = self.reduce(harmonics.flatten(1, 2))
        for block in self.context:
            hidden = hidden + block(hidden)
        logits: Tensor = self.answer(hidden)[:, 0]
        return logits


class OverlapDetector:
    """Tells for how long two people speak at once in an utterance.

    Deterministic; a constant gain does not change the result.

    Args:
        net: the network; None takes the one that ships.

    Raises:
        InputError: the weights that ship are missing or damaged.
    """

    def __init__(self, net: OverlapNet | None = None) -> None:
        self._net = load_overlap_net() if net is None else net

    def __call__(self, samples: NDArray[np.float32]) -> float:
        """Seconds of overlap in mono sound float32 [n] at 16 kHz."""
        return overlapped(self.probabilities(samples), float(self._net.threshold))

    def probabilities(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The smoothed probability of overlap in each frame of 20 ms, float32 [frames]."""
        sound = torch.from_numpy(np.array(samples, np.float32)).nan_to_num(0.0)
        with torch.inference_mode():
            levels = spectrogram(sound)[None]
            starts = range(0, levels.shape[-1], _LONGEST)
            parts = [self._net(levels[..., at : at + _LONGEST]).sigmoid() for at in starts]
            return smoothed(torch.cat(parts, dim=-1))[0].numpy()


def smoothed(probabilities: Tensor) -> Tensor:
    """The running mean of probabilities [n, frames] over 0.14 s."""
    half = SMOOTHED // 2
    padded = functional.pad(probabilities[:, None], (half, half), mode="replicate")
    return functional.avg_pool1d(padded, SMOOTHED, stride=1)[:, 0]


def overlapped(probabilities: NDArray[np.float32], threshold: float) -> float:
    """Seconds of overlap, by its probability in each frame, [frames].

    Where the probability stays at the threshold or above it for 0.2 s, two people speak. They do so
    from when it rises to a half until it falls below that.
    """
    frames = 0
    for begin, end in _runs(probabilities >= min(threshold, LIKELY)):
        sure = _runs(probabilities[begin:end] >= threshold)
        if any(last - first >= SHORTEST for first, last in sure):
            frames += end - begin
    return frames * FRAME_SECONDS


def _runs(over: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where a run begins, and where it has ended."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], over, [False]]).astype(int)))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]


def load_overlap_net(weights: Path | None = None) -> OverlapNet:
    """A network in evaluation mode.

    Args:
        weights: a safetensors file of `OverlapNet`; None takes the one that ships.

    Raises:
        InputError: the file is missing or holds something else.
    """
    net = OverlapNet()
    load_weights(net, weights or WEIGHTS, "overlap")
    return net.eval().requires_grad_(False)
