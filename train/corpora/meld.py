"""MELD: the words, speakers and emotions of dialogues."""

import csv
from dataclasses import dataclass

from model.labels import EMOTIONS
from train.corpora import corpus

#: Our names of the official splits.
_SPLITS = {"train": "train", "validation": "dev", "test": "test"}


@dataclass(frozen=True)
class Turn:
    """One utterance of a dialogue; `emotion` is an index of `EMOTIONS`."""

    speaker: str
    text: str
    emotion: int


def load(split: str) -> list[list[Turn]]:
    """The dialogues of one official split ("train", "validation" or "test"), in file order."""
    dialogues: dict[str, list[tuple[int, Turn]]] = {}
    with corpus("erc/meld.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] == _SPLITS[split]:
                turn = Turn(row["speaker"], row["text"], EMOTIONS.index(row["emotion"]))
                dialogues.setdefault(row["dialogue"], []).append((int(row["turn"]), turn))
    return [
        [turn for _, turn in sorted(turns, key=lambda one: one[0])] for turns in dialogues.values()
    ]
