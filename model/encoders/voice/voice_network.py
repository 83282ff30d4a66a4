"""The voice network: a small convolutional network on the mel spectrogram of an utterance."""

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from gscon_live.model.encoders.residual_block import ResidualBlock
from gscon_live.model.encoders.voice.spectrogram import MELS
from gscon_live.model.labels import EMOTIONS
from gscon_live.model.shipped_weights import FOLDER, load_weights

#: Added to the power before the logarithm, so that silence stays finite.
SILENT = 1e-5

WEIGHTS = FOLDER / "voice.safetensors"


class VoiceNet(nn.Module):
    """Mel spectrogram of an utterance to logits.

    The columns' representations are pooled by attention to their mean and deviation (Okabe et al.
    2018, Attentive Statistics Pooling for Deep Speaker Embedding).
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, classes: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))
        widths = (16, 32, 64, 96)
        self.stem = nn.Sequential(
            nn.Conv2d(1, widths[0], 3, (2, 1), 1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        )
        self.body = nn.Sequential(
            *(ResidualBlock(inside, outside, 2) for inside, outside in pairwise(widths))
        )
        self.columns = nn.Sequential(
            nn.Conv1d(widths[-1] * MELS // 16, 128, 1, bias=False), nn.BatchNorm1d(128), nn.ReLU()
        )
        self.attend = nn.Sequential(nn.Conv1d(128, 64, 1), nn.Tanh(), nn.Conv1d(64, 128, 1))
        self.dropout = nn.Dropout(dropout)
        self.embed = nn.Linear(256, 64)
        self.classify = nn.Linear(64, classes)

    def standardise(self, power: Tensor) -> None:
        """Sets mean and deviation of the logarithm from power of any shape."""
        log = (power + SILENT).log()
        self.mean.copy_(log.mean())
        self.deviation.copy_(log.std())

    def log_mel(self, power: Tensor) -> Tensor:
        """Power in mel bands, of any shape, as the network's input: logarithm, standardised."""
        return ((power + SILENT).log() - self.mean) / self.deviation

    def log_probabilities(self, power: Tensor) -> Tensor:
        """Log-probabilities [classes] of one spectrogram in power, [64, columns]."""
        logits: Tensor = self(self.log_mel(power)[None])
        return logits[0].log_softmax(-1)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Logits [n, classes] of spectrograms [n, 64, columns], as `log_mel` gives them."""
        image = log_mel[:, None].contiguous(memory_format=torch.channels_last)
        columns = self.columns(self.body(self.stem(image)).flatten(1, 2))
        weights = self.attend(columns).softmax(-1)
        mean = (weights * columns).sum(-1)
        variance = (weights * columns.square()).sum(-1) - mean.square()
        pooled = self.dropout(torch.cat([mean, variance.clamp(min=1e-5).sqrt()], -1))
        logits: Tensor = self.classify(self.dropout(torch.relu(self.embed(pooled))))
        return logits


def load_voice_network(
    weights: Path | None = None, classes: int = len(EMOTIONS)
) -> tuple[VoiceNet, str]:
    """A network in evaluation mode, and its identity.

    Args:
        weights: a safetensors file of `VoiceNet`; None takes the one that ships.
        classes: number of classes; the seven emotions by default.

    Raises:
        InputError: the file is missing or holds something else.
    """
    net = VoiceNet(classes)
    digest = load_weights(net, weights or WEIGHTS, "voice")
    return net.eval().requires_grad_(False), f"voice-cnn/1:{digest}"
