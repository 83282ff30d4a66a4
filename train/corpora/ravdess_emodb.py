"""Acted emotional speech: RAVDESS (English) and EMO-DB (German)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora import corpus_file
from gscon_live.train.corpora.archive import opened, refusing
from gscon_live.train.corpora.flac import samples

_RAVDESS = {
    "01": "neutral",
    # Calm is RAVDESS' second baseline; in conversations it is neutral speech.
    "02": "neutral",
    "03": "joy",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
#: Boredom (L) is none of the seven and is left out; there is no surprise.
_EMODB = {"W": "anger", "E": "disgust", "A": "fear", "F": "joy", "T": "sadness", "N": "neutral"}

#: Clips of both corpora, for progress.
COUNT = 1894
#: The actors of each split: four women and men each for validation and test.
ACTORS = {
    "validation": ("ravdess-17", "ravdess-18", "ravdess-19", "ravdess-20", "emodb-12", "emodb-13"),
    "test": ("ravdess-21", "ravdess-22", "ravdess-23", "ravdess-24", "emodb-15", "emodb-16"),
}


@dataclass(frozen=True)
class Clip:
    """A recording; `emotion` is an index of `EMOTIONS`."""

    name: str
    actor: str
    emotion: int


def split_of(actor: str) -> str:
    """The split that an actor belongs to: "train", "validation" or "test"."""
    return next((split for split, actors in ACTORS.items() if actor in actors), "train")


def load() -> Iterator[tuple[Clip, NDArray[np.float32]]]:
    """All clips with their sound, mono float32 at 16 kHz, in the order of their names."""
    for clip, archive in _archived():
        with refusing(Path(str(archive.filename))):
            data = archive.read(clip.name)
        yield clip, samples(data)


def _archived() -> Iterator[tuple[Clip, ZipFile]]:
    with opened(corpus_file("voice/ravdess_speech_16k.zip")) as archive:
        for name in sorted(archive.namelist()):
            parts = name.removesuffix(".flac").split("-")
            if len(parts) == 7 and parts[2] in _RAVDESS:
                emotion = EMOTIONS.index(_RAVDESS[parts[2]])
                yield Clip(name, f"ravdess-{parts[6]}", emotion), archive
    with opened(corpus_file("voice/emodb_16k.zip")) as archive:
        for name in sorted(archive.namelist()):
            stem = name.rpartition("/")[2].removesuffix(".flac")
            if len(stem) == 7 and stem[5] in _EMODB:
                emotion = EMOTIONS.index(_EMODB[stem[5]])
                yield Clip(name, f"emodb-{stem[:2]}", emotion), archive
