"""Faces to learn from and to score, of FER2013 by its own labels or by FER+'s votes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora import corpus_file, fer2013, ferplus
from gscon_live.train.corpora.fer2013 import Faces

#: Pictures and labels of FER2013: its own, or the pictures as they were with FER+'s votes.
FaceCorpus = Literal["fer2013", "ferplus"]


@dataclass(frozen=True)
class LabelledFaces:
    """Faces uint8 [n, 48, 48] and the share of each emotion in their labels, float32 [n, 7]."""

    pixels: NDArray[np.uint8]
    shares: NDArray[np.float32]


def source(corpus: FaceCorpus) -> Path:
    """The file of a corpus. Raises `InputError` where it is missing."""
    return corpus_file(f"face/{corpus}.zip")


def training_faces(corpus: FaceCorpus) -> LabelledFaces:
    """The training faces. Of FER+, those for which most votes are for any of the seven emotions;
    their labels are the emotions' shares of these votes.

    Raises:
        InputError: the corpus is missing.
    """
    if corpus == "fer2013":
        faces = fer2013.load("train")
        return LabelledFaces(faces.pixels, np.eye(len(EMOTIONS), dtype=np.float32)[faces.labels])
    voted = ferplus.load("train")
    votes = voted.votes.sum(1)
    emotional = votes > voted.others
    shares = voted.votes[emotional] / votes[emotional, None]
    return LabelledFaces(voted.pixels[emotional], shares.astype(np.float32))


def scored_faces(corpus: FaceCorpus, split: str) -> Faces:
    """The faces of a split ("validation" or "test") to score. Of FER+, those on which more than
    half of the votes agree, with the emotion of this majority.

    Raises:
        InputError: the corpus is missing.
    """
    if corpus == "fer2013":
        return fer2013.load(split)
    voted = ferplus.load(split)
    agreed = voted.agreed()
    return Faces(voted.pixels[agreed], voted.votes[agreed].argmax(1))


def label_shares(corpus: FaceCorpus) -> NDArray[np.float64]:
    """The share of each emotion in the labels of the training faces, float64 [7]: the prior that an
    encoder learns from them. Raises `InputError` where the corpus is missing."""
    return np.asarray(training_faces(corpus).shares.mean(0, dtype=np.float64), np.float64)
