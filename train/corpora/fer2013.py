"""FER2013: 48x48 grey faces with one of seven expressions."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora import corpus_file
from gscon_live.train.corpora.archive import opened

#: The corpus' folder names, and our emotions.
NAMES = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "joy",
    "neutral": "neutral",
    "sad": "sadness",
    "surprise": "surprise",
}
#: Our names of the official splits, and its own.
SPLITS = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}


@dataclass(frozen=True)
class Faces:
    """Faces uint8 [n, 48, 48] and their emotions int64 [n]."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


def load(split: str) -> Faces:
    """An official split ("train", "validation" or "test"), in the order of the file names."""
    folder = SPLITS[split] + "/"
    pixels, labels = [], []
    with opened(corpus_file("face/fer2013.zip")) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith(folder))
        for name in names:
            if not name.endswith(".jpg"):
                continue
            data = np.frombuffer(archive.read(name), np.uint8)
            picture = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
            if picture is None:
                continue
            pixels.append(np.asarray(picture, np.uint8))
            labels.append(EMOTIONS.index(NAMES[name.split("/")[1]]))
    return Faces(np.stack(pixels), np.asarray(labels, np.int64))
