"""Frames with one face each, at a known place: FER+'s pictures on noise, to measure detectors.

The turned heads are synthetic: a flat picture on a cylinder that is turned. That is no real
profile, which shows the other side of the head.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

#: Size of a frame in pixels.
WIDTH, HEIGHT = 640, 480
#: Sides of the pictures of faces in a frame, in pixels, drawn evenly by their logarithm.
SIDES = (64, 256)
#: Angles in degrees: largest in the upright kind; smallest and largest in both turned kinds.
UPRIGHT, TILTED, TURNED = 5.0, (20.0, 40.0), (30.0, 55.0)
#: Width of the soft border of a pasted picture, as a share of its side.
_FEATHER = 0.08
#: Radius of the cylinder, as a multiple of half the side of the picture.
_RADIUS = 1.1

Kind = Literal["upright", "tilted", "turned"]
#: As they are; turned in the plane of the picture; the head turned to a side (synthetic).
KINDS: tuple[Kind, ...] = ("upright", "tilted", "turned")

Pixels = NDArray[np.uint8]
#: x and y of the centre, and the side, in pixels.
Square = tuple[float, float, float]


@dataclass(frozen=True)
class Scene:
    """A BGR frame uint8 [480, 640, 3], and where the picture of the face lies in it."""

    frame: Pixels
    square: Square


def scenes(pictures: Pixels, kind: Kind, seed: int) -> Iterator[Scene]:
    """A scene for each picture of a face, uint8 [n, 48, 48], in their order.

    The same kind and seed give the same scenes.
    """
    generator = np.random.default_rng((seed, KINDS.index(kind)))
    for picture in pictures:
        side = math.exp(generator.uniform(*np.log(SIDES)))
        reach = 0.75 * side
        across = generator.uniform(reach, WIDTH - reach)
        down = generator.uniform(reach, HEIGHT - reach)
        if kind == "upright":
            tilt = generator.uniform(-UPRIGHT, UPRIGHT)
        else:
            tilt = generator.uniform(*TILTED) * generator.choice((-1, 1))
        if kind == "turned":
            picture = turned(picture, generator.uniform(*TURNED) * generator.choice((-1, 1)))
            tilt = generator.uniform(-UPRIGHT, UPRIGHT)
        square = (float(across), float(down), side)
        yield Scene(_pasted(noise(generator), picture, square, float(tilt)), square)


def noise(generator: np.random.Generator) -> Pixels:
    """A frame of coloured noise with as much variance in coarse structure as in fine, which
    photographs have too."""
    total = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for octave in range(8):
        size = (max(2, WIDTH >> octave), max(2, HEIGHT >> octave))
        layer = generator.standard_normal((size[1], size[0], 3), np.float32)
        total += cv2.resize(layer, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    level, contrast = generator.uniform(70, 170), generator.uniform(8, 22)
    return np.asarray(np.clip(level + contrast * total, 0, 255), np.uint8)


def turned(picture: Pixels, degrees: float) -> Pixels:
    """A face uint8 [h, w] on an upright cylinder that is turned by an angle; what comes into view
    at the other side repeats the picture's border."""
    height, width = picture.shape
    at = np.clip((np.arange(width, dtype=np.float32) * 2 + 1 - width) / width / _RADIUS, -1, 1)
    before = np.sin(np.clip(np.arcsin(at) - math.radians(degrees), -math.pi / 2, math.pi / 2))
    columns = ((before * _RADIUS + 1) * width - 1) / 2
    rows = np.repeat(np.arange(height, dtype=np.float32)[:, None], width, 1)
    return np.asarray(
        cv2.remap(
            picture,
            np.repeat(columns[None].astype(np.float32), height, 0),
            rows,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.uint8,
    )


def _pasted(frame: Pixels, picture: Pixels, square: Square, degrees: float) -> Pixels:
    """The frame with the picture at a place, tilted, with a soft border."""
    across, down, side = square
    height, width = picture.shape
    place = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, side / width)
    place[:, 2] += (across - (width - 1) / 2, down - (height - 1) / 2)
    ramp = np.minimum(np.arange(height) + 0.5, height - 0.5 - np.arange(height)) / height
    edge = np.clip(ramp / _FEATHER, 0, 1)
    weights = np.minimum(edge[:, None], edge[None]).astype(np.float32)
    size = (frame.shape[1], frame.shape[0])
    face = cv2.warpAffine(
        picture, place, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    share = cv2.warpAffine(weights, place, size, flags=cv2.INTER_LINEAR)[..., None]
    mixed = frame * (1 - share) + face[..., None] * share
    return np.asarray(np.rint(mixed), np.uint8)
