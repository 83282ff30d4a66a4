"""The corpora of emotional speech that can be left out in turn: acted in English (RAVDESS), German
(EMO-DB) and Polish (nEMO), and natural in Urdu (talk shows)."""

from collections.abc import Callable, Iterator
from csv import DictReader
from dataclasses import dataclass
from io import StringIO
from types import MappingProxyType
from typing import Literal
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora import corpus_file, ravdess_emodb
from gscon_live.train.corpora.flac import samples

Gender = Literal["women", "men"]

#: The speakers of EMO-DB who are women.
_EMODB_WOMEN = ("emodb-08", "emodb-09", "emodb-13", "emodb-14", "emodb-16")
_NEMO = {
    "anger": "anger",
    "fear": "fear",
    "happiness": "joy",
    "neutral": "neutral",
    "sadness": "sadness",
    "surprised": "surprise",
}
#: nEMO's speakers of validation and test, two women and two men.
_NEMO_SPLITS = {
    "nemo-MK0": "validation",
    "nemo-MP0": "validation",
    "nemo-EB0": "test",
    "nemo-SM0": "test",
}
_URDU = {"angry": "anger", "happy": "joy", "neutral": "neutral", "sad": "sadness"}


def split_of(speaker: str) -> str:
    """The split that a speaker belongs to: "train", "validation" or "test"."""
    return _NEMO_SPLITS.get(speaker) or ravdess_emodb.split_of(speaker)


@dataclass(frozen=True)
class VoiceClip:
    """A recording of one utterance: its file, its speaker, what the speaker is recorded as, and an
    index of `EMOTIONS`."""

    name: str
    speaker: str
    gender: Gender
    emotion: int


#: A corpus' clips with their sound, mono float32 at 16 kHz, in the order of their names.
Clips = Iterator[tuple[VoiceClip, NDArray[np.float32]]]


def _ravdess() -> Clips:
    for clip, sound in ravdess_emodb.load():
        if clip.actor.startswith("ravdess"):
            # Actors with even numbers are women.
            gender: Gender = "men" if int(clip.actor[-2:]) % 2 else "women"
            yield VoiceClip(clip.name, clip.actor, gender, clip.emotion), sound


def _emodb() -> Clips:
    for clip, sound in ravdess_emodb.load():
        if clip.actor.startswith("emodb"):
            gender: Gender = "women" if clip.actor in _EMODB_WOMEN else "men"
            yield VoiceClip(clip.name, clip.actor, gender, clip.emotion), sound


def _nemo() -> Clips:
    with ZipFile(corpus_file("voice/nemo_16k.zip")) as archive:
        rows = DictReader(StringIO(archive.read("data.tsv").decode()), delimiter="\t")
        for row in sorted(rows, key=lambda row: row["file"]):
            gender: Gender = "women" if row["gender"] == "female" else "men"
            emotion = EMOTIONS.index(_NEMO[row["emotion"]])
            clip = VoiceClip(row["file"], f"nemo-{row['speaker']}", gender, emotion)
            yield clip, samples(archive.read(row["file"]))


def _urdu() -> Clips:
    with ZipFile(corpus_file("voice/urdu_16k.zip")) as archive:
        for name in sorted(archive.namelist()):
            emotion, speaker, *_ = name.split("_")
            gender: Gender = "women" if speaker.startswith("SF") else "men"
            clip = VoiceClip(name, f"urdu-{speaker}", gender, EMOTIONS.index(_URDU[emotion]))
            yield clip, samples(archive.read(name))


@dataclass(frozen=True)
class VoiceCorpus:
    """A corpus of emotional speech: its file in the data folder, the number of its clips (for
    progress), and its reader, which raises `InputError` where the file is missing."""

    file: str
    count: int
    read: Callable[[], Clips]


#: The corpora by name.
VOICE_CORPORA: MappingProxyType[str, VoiceCorpus] = MappingProxyType(
    {
        "ravdess": VoiceCorpus("voice/ravdess_speech_16k.zip", 1440, _ravdess),
        "emodb": VoiceCorpus("voice/emodb_16k.zip", 454, _emodb),
        "nemo": VoiceCorpus("voice/nemo_16k.zip", 2988, _nemo),
        "urdu": VoiceCorpus("voice/urdu_16k.zip", 400, _urdu),
    }
)
