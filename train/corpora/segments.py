"""CMU-MOSI and CMU-MOSEI in the aligned feature files of MMSA, for those who hold them.

A file (`aligned_50.pkl`, Mao et al. 2022; Yu et al. 2021) is a dictionary of the splits `train`,
`valid` and `test`, each a dictionary of arrays by segment: `text`, `audio` and `vision` [n, 50,
dim], aligned by words and padded with zeros (768, 5 and 20 numbers a step in MOSI, 768, 74 and 35
in MOSEI), `regression_labels` (sentiment, -3 to 3), `classification_labels` (0 negative, 1 neutral,
2 positive) and `id` (`<video>$_$<clip>`). The files are not ours to give: this reader is tested
only on small files of the same layout that the tests make.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gscon_live.common.errors import InputError
from gscon_live.model.labels import MODALITIES
from gscon_live.train.corpora import unpickle
from gscon_live.train.corpora.dataset import FeaturedCorpus, FeaturedDialogue

#: The file's names of splits and modalities, in terms of ours.
_SPLITS = {"train": "train", "valid": "validation", "test": "test"}
_FEATURES = {"text": "text", "audio": "audio", "vision": "visual"}
#: The classes, in the order of their numbers.
LABELS = ("negative", "neutral", "positive")


@dataclass(frozen=True)
class Segments:
    """One split of n segments: `features[m]` float32 [n, steps, dim], `sentiment` float32 [n] from
    -3 to 3, `classes` int64 [n] (indices of `LABELS`), `videos` and `clips` where they are from."""

    features: dict[str, NDArray[np.float32]]
    sentiment: NDArray[np.float32]
    classes: NDArray[np.int64]
    videos: tuple[str, ...]
    clips: tuple[str, ...]


def load(path: Path) -> dict[str, Segments]:
    """The segments of each split, for regression and for sequences.

    An infinitely low number (-inf) of audio or vision is 0, as everybody who uses the files has it.

    Raises:
        InputError: not such a file, or what is in it does not fit together.
    """
    found = unpickle.load(path)
    if not isinstance(found, dict):
        raise InputError(f"{path}: a {type(found).__name__}, not a dictionary of splits")
    made = {ours: _segments(path, found, split) for split, ours in _SPLITS.items()}
    for m in MODALITIES:
        dims = {one.features[m].shape[2] for one in made.values()}
        if len(dims) > 1:
            raise InputError(f"{path}: {m} has {sorted(dims)} numbers a step, by split")
    return made


def corpus(path: Path, name: str) -> FeaturedCorpus:
    """The segments as utterances: each video a dialogue of one speaker, in the order of its clips,
    each segment's features the mean over the steps that are not zero throughout.

    A modality of a segment that is zero at every step is absent.

    Raises:
        InputError: as `load`.
    """
    splits = {split: _dialogues(segments) for split, segments in load(path).items()}
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    return FeaturedCorpus(
        name, LABELS, {m: f"{path.name} {digest} {m}" for m in MODALITIES}, splits
    )


def _segments(path: Path, found: dict[Any, Any], split: str) -> Segments:
    part, where = found.get(split), f"{path}, split {split!r}"
    if not isinstance(part, dict):
        raise InputError(f"{where}: there is no such dictionary")
    ids = [str(one) for one in _column(where, part, "id", 1).tolist()]
    videos, clips = [], []
    for one in ids:
        video, _, clip = one.partition("$_$")
        if not video or not clip:
            raise InputError(f"{where}: the id {one[:60]!r} names no video and clip")
        videos.append(video)
        clips.append(clip)
    classes = _numbers(where, part, "classification_labels", 1, ids)
    if not np.isin(classes, range(len(LABELS))).all():
        raise InputError(f"{where}: 'classification_labels' are not all 0, 1 or 2")
    return Segments(
        {ours: _numbers(where, part, key, 3, ids) for key, ours in _FEATURES.items()},
        _numbers(where, part, "regression_labels", 1, ids),
        classes.astype(np.int64),
        tuple(videos),
        tuple(clips),
    )


def _column(where: str, part: dict[Any, Any], key: str, dimensions: int) -> NDArray[Any]:
    value = part.get(key)
    # Lists are flat in these files; deeply nested ones could take for ever to lay out.
    if isinstance(value, list) and not any(isinstance(one, list | tuple) for one in value):
        try:
            value = np.asarray(value, object if key == "id" else np.float64)
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{where}: {key!r} are not numbers") from None
    if not isinstance(value, np.ndarray):
        raise InputError(f"{where}: there is no array {key!r}")
    if value.ndim == 2 and dimensions == 1 and value.shape[1] == 1:
        value = value[:, 0]
    if value.ndim != dimensions or not value.size:
        raise InputError(
            f"{where}: {key!r} has shape {list(value.shape)}, not {dimensions} dimensions"
        )
    return value


def _numbers(
    where: str, part: dict[Any, Any], key: str, dimensions: int, ids: list[str]
) -> NDArray[np.float32]:
    array = _column(where, part, key, dimensions)
    if array.dtype.kind not in "fiu":
        raise InputError(f"{where}: {key!r} are not numbers")
    if len(array) != len(ids):
        raise InputError(f"{where}: {len(ids)} ids and {len(array)} of {key!r}")
    with np.errstate(over="ignore"):
        made = array.astype(np.float32)
    if key in ("audio", "vision"):
        made[np.isneginf(made)] = 0
    wrong = ~np.isfinite(made).reshape(len(ids), -1).all(1)
    if wrong.any():
        name = ids[int(wrong.argmax())]
        raise InputError(f"{where}, segment {name!r}: {key!r} has a number that is not finite")
    return made


def _dialogues(segments: Segments) -> tuple[FeaturedDialogue, ...]:
    vectors, present = {}, []
    for m in MODALITIES:
        steps = segments.features[m]
        there = (steps != 0).any(2)
        count = there.sum(1)
        vectors[m] = steps.sum(1) / np.maximum(count, 1)[:, None].astype(np.float32)
        present.append(count > 0)
    rows: dict[str, list[int]] = {}
    for row, video in enumerate(segments.videos):
        rows.setdefault(video, []).append(row)
    made = []
    for video, mine in rows.items():
        # Clips are numbers in most videos: 2 comes before 10.
        mine.sort(key=lambda row: (segments.clips[row].zfill(9), row))
        made.append(
            FeaturedDialogue(
                name=video,
                features={m: torch.from_numpy(vectors[m][mine]) for m in MODALITIES},
                present=torch.from_numpy(np.stack(present, 1)[mine]),
                speakers=torch.zeros(len(mine), dtype=torch.int64),
                labels=torch.from_numpy(segments.classes[mine]),
            )
        )
    return tuple(made)
