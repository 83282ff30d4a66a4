"""Features of the corpora by the encoders of `model`, kept in the user's cache.

A cache file's name depends on the identities of the encoder and of its input, so that the features
of another encoder or corpus are never mistaken for these.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gscon_live.common.files import replacing
from gscon_live.model.encoders.face.face_encoder import FaceEncoder
from gscon_live.model.encoders.text.sentence_encoder import SentenceEncoder
from gscon_live.train.corpora import ferplus
from gscon_live.train.corpora.fer2013 import Faces
from gscon_live.train.corpora.labelled_faces import scored_faces, source
from gscon_live.train.data import cache
from gscon_live.train.progress import Report

#: Versions of each clip and face: the original and augmented ones.
VARIANTS = 3
#: Pictures of a face in a version, in place of the frames of an utterance.
FRAMES = 3


@dataclass(frozen=True)
class Bank:
    """Features to draw from: float32 [n, VARIANTS, dim], emotions int64 [n], and owners [n]: the
    actor of a clip, empty for faces."""

    vectors: NDArray[np.float32]
    emotions: NDArray[np.int64]
    owners: NDArray[np.str_]


def text_vectors(
    identity: str, load: Callable[[], SentenceEncoder], texts: Sequence[str], report: Report
) -> NDArray[np.float32]:
    """Features of texts, float32 [n, dim], by the encoder of that identity; it is loaded where they
    are not in the cache. Zero for texts without words."""
    unique = sorted(set(texts))

    def make() -> dict[str, NDArray[np.generic]]:
        encoder, rows = load(), []
        for index, text in enumerate(unique):
            rows.append(
                encoder.encode(text)
                if encoder.has_words(text)
                else np.zeros(encoder.dim, np.float32)
            )
            report(index + 1, len(unique), "words")
        return {"vectors": np.stack(rows)}

    vectors = cached("text", f"{identity}\n" + "\n".join(unique), make)["vectors"]
    place = {text: index for index, text in enumerate(unique)}
    return np.asarray(vectors[[place[text] for text in texts]], np.float32)


def face_bank(encoder: FaceEncoder, split: str, report: Report) -> Bank:
    """The faces of a split: none of the face encoder's training faces.

    The encoder is more certain on those than on new ones. So the fusion is trained on two thirds of
    PublicTest, validated on the other third, and tested on PrivateTest, without near-copies of
    pictures that are not in it. The pictures are as they were, not equalised; only those on which
    more than half of FER+'s votes agree are taken, with the emotion of this majority.
    """
    official = "test" if split == "test" else "validation"

    def make() -> dict[str, NDArray[np.generic]]:
        random = np.random.default_rng(11)
        faces = scored_faces("ferplus", official)
        if official == "test":
            faces = _without_copies(faces)
        rows = []
        for index, face in enumerate(faces.pixels):
            versions = []
            for strengths in _strengths():
                pictures = [augmented_face(face, strength, random) for strength in strengths]
                versions.append(encoder.pool(encoder.encode(np.stack(pictures))))
            rows.append(np.stack(versions))
            report(index + 1, len(faces.labels), "faces")
        return {"vectors": np.stack(rows), "emotions": faces.labels}

    kept = f"{fingerprint(source('ferplus'))} {ferplus.COPY}"
    key = f"{encoder.identity}\n{kept}\n{VARIANTS} {FRAMES}\n{official}"
    features = cached("faces", key, make)
    in_split = np.ones(len(features["emotions"]), bool)
    if split != "test":
        order = np.random.default_rng(3).permutation(len(in_split))
        in_split[order] = np.arange(len(in_split)) * 3 < len(in_split) * 2
        in_split = in_split if split == "train" else ~in_split
    return Bank(
        np.asarray(features["vectors"][in_split], np.float32),
        np.asarray(features["emotions"][in_split], np.int64),
        np.asarray([""] * int(in_split.sum()), np.str_),
    )


def _without_copies(test: Faces) -> Faces:
    """Test faces without near-copies of FER+'s pictures for training and validation."""
    known = np.concatenate([ferplus.load(split).pixels for split in ("train", "validation")])
    unmet = ~ferplus.copies(test.pixels, known)
    return Faces(test.pixels[unmet], test.labels[unmet])


def _strengths() -> list[list[float]]:
    """The strength of augmentation of each picture of each version; 0 for the very first."""
    return [[0.0] + [0.5] * (FRAMES - 1), *([1.0] * FRAMES for _ in range(VARIANTS - 1))]


def augmented_face(
    face: NDArray[np.uint8], strength: float, random: np.random.Generator
) -> NDArray[np.uint8]:
    """A face uint8 [48, 48] with random rotation, scale, shift, blur, light and noise, as of a
    moving head; the strength 0 changes nothing, 1 is usual."""
    angle, size = random.normal(0, 6) * strength, 1 + random.normal(0, 0.05) * strength
    matrix = np.asarray(cv2.getRotationMatrix2D((24, 24), angle, size), np.float64)
    matrix[:, 2] += random.normal(0, 1.5, 2) * strength
    augmented = cv2.warpAffine(face, matrix, (48, 48), borderMode=cv2.BORDER_REPLICATE)
    if random.random() < 0.5 * strength:
        augmented = cv2.GaussianBlur(augmented, (3, 3), random.uniform(0.3, 1.0))
    light = augmented.astype(np.float32) * (1 + random.normal(0, 0.15) * strength)
    noise = random.normal(0, 3 * strength, face.shape) + random.normal(0, 10) * strength
    return np.asarray(np.clip(light + noise, 0, 255), np.uint8)


def fingerprint(path: Path) -> str:
    """What tells one version of a corpus' file from another, for cache keys."""
    return f"{path.name} {path.stat().st_size}"


def cached(
    kind: str, key: str, make: Callable[[], dict[str, NDArray[np.generic]]]
) -> dict[str, NDArray[np.generic]]:
    """Arrays of a kind from the user's cache; computed and stored where missing. `key` states all
    that they depend on. Raises `InputError` where the file is damaged."""
    path = cache.folder("features") / f"{kind}-{hashlib.sha256(key.encode()).hexdigest()[:20]}.npz"
    if not path.is_file():
        arrays = make()
        with replacing(path, alone=False) as unfinished:
            np.savez(unfinished, **arrays)  # type: ignore[arg-type]
    with cache.reading(path), np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
