"""Small corpora of faces in the layout of FER2013 and FER+."""

import csv
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

#: FER2013's names of the emotions, and FER+'s.
EMOTION_NAMES = {
    "neutral": "neutral",
    "happy": "happiness",
    "surprise": "surprise",
    "sad": "sadness",
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
}
_VOTES = (*EMOTION_NAMES.values(), "contempt", "unknown", "NF")


@dataclass(frozen=True)
class Face:
    """A picture uint8 [48, 48]; its split and label by FER2013's names; its votes by FER+'s."""

    split: str
    label: str
    pixels: NDArray[np.uint8]
    votes: dict[str, int]


def write(folder: Path, faces: Sequence[Face]) -> None:
    """Writes `fer2013.zip` and `ferplus.zip` into a folder, created where missing."""
    folder.mkdir(parents=True, exist_ok=True)
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(("name", "split", "fer2013", "fer2013_file", *_VOTES))
    with (
        zipfile.ZipFile(folder / "ferplus.zip", "w") as voted,
        zipfile.ZipFile(folder / "fer2013.zip", "w") as labelled,
    ):
        for number, face in enumerate(faces):
            name = f"{face.split}-{number:04}"
            file = f"{face.split}/{face.label}/{name}.jpg"
            votes = [face.votes.get(vote, 0) for vote in _VOTES]
            writer.writerow((name, face.split, face.label, file, *votes))
            voted.writestr(f"{name}.webp", _encoded(face.pixels, ".webp"))
            labelled.writestr(file, _encoded(face.pixels, ".jpg"))
        voted.writestr("labels.csv", table.getvalue())


def smiling(training: int = 96, scored: int = 40) -> list[Face]:
    """Faces that smile, or do not: noise whose lower half is bright, or dark. So many in the
    training split, and in each of the two others."""
    faces = []
    splits = (("Training", training), ("PublicTest", scored), ("PrivateTest", scored))
    for seed, (split, count) in enumerate(splits):
        random = np.random.default_rng(seed)
        for smiles in random.integers(0, 2, count):
            pixels = random.integers(60, 196, (48, 48))
            pixels[24:] += 60 if smiles else -60
            label = "happy" if smiles else "neutral"
            votes = {EMOTION_NAMES[label]: 8, "unknown": 2}
            faces.append(Face(split, label, pixels.astype(np.uint8), votes))
    return faces


def _encoded(pixels: NDArray[np.uint8], kind: str) -> bytes:
    return bytes(cv2.imencode(kind, pixels)[1])
