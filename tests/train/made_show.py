"""Two small tables of one show, which have a scene in common."""

import csv
from pathlib import Path

from gscon_live.train.corpora.schema import PROSODY


def write(folder: Path) -> None:
    """Writes the tables of MELD and EmoryNLP into a new folder."""
    folder.mkdir(parents=True)
    scene = "this very line is told in both of them"
    after = ["all right then", "well"]
    meld, emory = [], []
    for split in ("train", "dev", "test"):
        for number in range(2):
            own = _own(f"meld{split}{number}")
            lines = [scene if (split, number) == ("dev", 0) else own, *after]
            for turn, line in enumerate(lines):
                heard = dict.fromkeys(PROSODY, "") if turn == 1 else prosody(number + turn)
                meld.append(
                    {
                        "split": split,
                        "dialogue": f"{split}_{number}",
                        "turn": turn,
                        "speaker": "AB"[turn % 2],
                        "emotion": ("joy", "anger")[number],
                        "text": line,
                        **heard,
                    }
                )
            own = _own(f"emory{split}{number}")
            told = [scene if (split, number) == ("train", 1) else own, *after]
            for turn, line in enumerate(told):
                emory.append(
                    {
                        "Utterance": line,
                        "Speaker": "['A']",
                        "Emotion": "Joyful",
                        "Scene_ID": f"{number}",
                        "Utterance_ID": turn,
                        "Season": ("train", "dev", "test").index(split) + 1,
                        "Episode": 1,
                        "split": split,
                    }
                )
    for name, rows in (("meld", meld), ("emorynlp", emory)):
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


def prosody(seed: int) -> dict[str, float]:
    """The prosody of an utterance, unlike that of another seed."""
    return {name: 10.0 * place + seed for place, name in enumerate(PROSODY)}


def _own(name: str) -> str:
    """Six words that nobody else says."""
    return " ".join(f"{name}{letter}" for letter in "abcdef")
