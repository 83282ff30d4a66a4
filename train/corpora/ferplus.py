"""FER2013's pictures as they were before their histograms were equalised, with ten votes for each.

The votes are those of FER+ (Barsoum et al. 2016, Training Deep Networks for Facial Expression
Recognition with Crowd-Sourced Label Distribution).
"""

from csv import DictReader
from dataclasses import dataclass
from io import StringIO

import cv2
import numpy as np
from numpy.typing import NDArray

from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora import corpus_file
from gscon_live.train.corpora.archive import opened
from gscon_live.train.corpora.fer2013 import NAMES, SPLITS

_VOTES = {
    "neutral": "neutral",
    "happiness": "joy",
    "surprise": "surprise",
    "sadness": "sadness",
    "anger": "anger",
    "disgust": "disgust",
    "fear": "fear",
}
#: Votes that are none of the seven emotions.
_OTHERS = ("contempt", "unknown", "NF")

#: Side in pixels to which pictures are shrunk to be compared.
_SIDE = 16
#: The correlation from which two pictures count as copies of one photograph: above it nearly all
#: pairs are, below it some still are.
COPY = 0.94


@dataclass(frozen=True)
class VotedFaces:
    """Faces uint8 [n, 48, 48]; their votes [n, 7] in the order of `EMOTIONS`, and the votes for
    anything else [n]; FER2013's own labels int64 [n]."""

    pixels: NDArray[np.uint8]
    votes: NDArray[np.int64]
    others: NDArray[np.int64]
    labels: NDArray[np.int64]

    def agreed(self) -> NDArray[np.bool_]:
        """The faces on which more than half of all votes are for one of the seven, bool [n]."""
        return np.asarray(2 * self.votes.max(1) > self.votes.sum(1) + self.others)


def load(split: str) -> VotedFaces:
    """An official split ("train", "validation" or "test"), in the order of the file names.

    Raises:
        InputError: the file is not there.
    """
    pixels, votes, others, labels = [], [], [], []
    with opened(corpus_file("face/ferplus.zip")) as archive:
        rows = DictReader(StringIO(archive.read("labels.csv").decode()))
        for row in sorted(rows, key=lambda row: row["name"]):
            if row["split"] != SPLITS[split]:
                continue
            data = np.frombuffer(archive.read(f"{row['name']}.webp"), np.uint8)
            picture = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
            if picture is None:
                continue
            pixels.append(np.asarray(picture, np.uint8))
            by_emotion = {_VOTES[name]: int(row[name]) for name in _VOTES}
            votes.append([by_emotion[emotion] for emotion in EMOTIONS])
            others.append(sum(int(row[name]) for name in _OTHERS))
            labels.append(EMOTIONS.index(NAMES[row["fer2013"]]))
    return VotedFaces(
        np.stack(pixels),
        np.asarray(votes, np.int64),
        np.asarray(others, np.int64),
        np.asarray(labels, np.int64),
    )


def copies(pixels: NDArray[np.uint8], training: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which faces uint8 [n, 48, 48] are near-copies of a training picture uint8 [m, 48, 48] or of
    its mirror image: bool [n]."""
    known = np.concatenate([_thumbnails(training), _thumbnails(training[:, :, ::-1])]).T
    parts = np.array_split(_thumbnails(pixels), 16)
    return np.concatenate([(part @ known).max(1, initial=-1.0) >= COPY for part in parts])


def _thumbnails(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Small pictures with mean 0 and length 1, float32 [n, _SIDE * _SIDE]."""
    rows = np.zeros((len(pixels), _SIDE * _SIDE), np.float32)
    for row, picture in zip(rows, pixels, strict=True):
        small = cv2.resize(
            np.ascontiguousarray(picture), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA
        ).astype(np.float32)
        centred = small - small.mean()
        row[:] = centred.ravel() / max(float(np.linalg.norm(centred)), 1e-6)
    return rows
