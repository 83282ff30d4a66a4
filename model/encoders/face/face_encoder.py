"""The face encoder: a small convolutional network on 48x48 grey faces."""

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gscon_live.model.encoders.residual_block import ResidualBlock
from gscon_live.model.labels import EMOTIONS
from gscon_live.model.shipped_weights import FOLDER, load_weights

#: Side of a face in pixels.
SIZE = 48
#: Width of the learned face representation.
EMBEDDING = 64
#: Side of the crop, as a multiple of the longer side of the detected box: with it, faces are
#: framed as in FER2013, where the height of a detected box is the height of the picture.
MARGIN = 1.05

#: The least probability of an emotion, so that its logarithm is finite.
LEAST = 1e-6

WEIGHTS = FOLDER / "face.safetensors"


class FaceNet(nn.Module):
    """Residual network: grey faces [n, 1, 48, 48], values 0 to 1, to a representation and logits.

    Each face is first standardised by its own mean and standard deviation, which removes lighting
    and contrast.
    """

    def __init__(self, dropout: float = 0.3) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 32, 3, 1, 1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            ResidualBlock(32, 32, 2),
            ResidualBlock(32, 32, 1),
            ResidualBlock(32, 80, 2),
            ResidualBlock(80, 80, 1),
            ResidualBlock(80, 192, 2),
            ResidualBlock(192, 192, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.embed = nn.Linear(192, EMBEDDING)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(EMBEDDING, len(EMOTIONS))

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        """Representation [n, 64] and logits [n, 7]."""
        mean = faces.mean(dim=(1, 2, 3), keepdim=True)
        deviation = faces.std(dim=(1, 2, 3), keepdim=True)
        embedded = torch.relu(self.embed(self.body((faces - mean) / (deviation + 0.02))))
        return embedded, self.classify(self.dropout(embedded))


def flip_averaged(net: FaceNet, faces: Tensor) -> tuple[Tensor, Tensor]:
    """Representations [n, 64] and class probabilities [n, 7] of faces [n, 1, 48, 48], averaged over
    each face and its mirror image (test-time augmentation)."""
    mirrored = torch.cat([faces, faces.flip(-1)])
    embedded, logits = net(mirrored.contiguous(memory_format=torch.channels_last))
    return _halves(embedded), _halves(logits.softmax(-1))


def _halves(values: Tensor) -> Tensor:
    first, second = values.chunk(2)
    return (first + second) / 2


def _fused(net: FaceNet) -> FaceNet:
    """The network for inference: batch normalisations are fused into the convolutions."""
    for module in [*net.modules()]:
        if not isinstance(module, nn.Sequential):
            continue
        for index, (layer, following) in enumerate(pairwise([*module])):
            if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
                module[index], module[index + 1] = (
                    fuse_conv_bn_eval(layer, following),
                    nn.Identity(),
                )
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


class FaceEncoder:
    """Turns faces into features: the learned representation and the log-probabilities of the seven
    emotions.

    Args:
        weights: a safetensors file of `FaceNet`; None takes the one that ships.

    Raises:
        InputError: the file is missing or holds something else.
    """

    dim = EMBEDDING + len(EMOTIONS)

    def __init__(self, weights: Path | None = None) -> None:
        self._net = FaceNet()
        digest = load_weights(self._net, weights or WEIGHTS, "face")
        self._net = _fused(self._net.eval().requires_grad_(False))
        #: The encoder and the version of its weights.
        self.identity = f"face-cnn/3:{digest}"

    def crop(self, frame: NDArray[np.uint8], box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """The square grey face that `encode` takes.

        Args:
            frame: BGR pixels, uint8 [h, w, 3].
            box: x, y, width, height of the face in pixels; may reach beyond the frame.

        Returns:
            uint8 [48, 48]. What lies outside the frame repeats its border.
        """
        height, width = frame.shape[:2]
        x, y, w, h = box
        side = max(2, round(MARGIN * max(w, h)))
        left, top = round(x + (w - side) / 2), round(y + (h - side) / 2)
        region = frame[
            min(max(top, 0), height - 1) : max(min(top + side, height), 1),
            min(max(left, 0), width - 1) : max(min(left + side, width), 1),
        ]
        grey = cv2.cvtColor(region, cv2.COLOR_BGR2GRAY)
        border = (
            max(-top, 0),
            max(top + side - height, 0),
            max(-left, 0),
            max(left + side - width, 0),
        )
        if any(border):
            grey = cv2.copyMakeBorder(grey, *border, cv2.BORDER_REPLICATE)
        shrinking = min(grey.shape) >= SIZE
        interpolation = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(grey, (SIZE, SIZE), interpolation=interpolation), np.uint8)

    def encode(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features of faces: uint8 [n, 48, 48] to float32 [n, dim]; n may be 0."""
        if crops.ndim != 3 or crops.shape[1:] != (SIZE, SIZE):
            raise ValueError(f"expected faces [n, {SIZE}, {SIZE}], got {list(crops.shape)}")
        if not len(crops):
            return np.zeros((0, self.dim), np.float32)
        rows = []
        with torch.inference_mode():
            # One face at a time: a face's features must not depend, not even in the last bit, on
            # the number of faces in the batch.
            for face in np.ascontiguousarray(crops):
                scaled = torch.from_numpy(face.astype(np.float32) / 255.0)[None, None]
                embedded, probabilities = flip_averaged(self._net, scaled)
                log = probabilities.clamp(min=LEAST).log()
                rows.append(torch.cat([embedded, log], dim=-1)[0].numpy())
        return np.stack(rows).astype(np.float32)

    @staticmethod
    def pool(features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The visual vector of an utterance, float32 [n, dim] to [dim]: the mean representation of
        its faces, and the median of each emotion's log-probability, normalised. Blinks and single
        mouth shapes do not move a median."""
        if not len(features):
            raise ValueError("no faces to pool; an utterance without faces has no visual features")
        rows = features.astype(np.float64)
        log = np.median(rows[:, EMBEDDING:], axis=0)
        log -= np.log(np.exp(log).sum())
        return np.concatenate([rows[:, :EMBEDDING].mean(axis=0), log]).astype(np.float32)
