"""Written lines and conversations: what people might say in seven emotions, written for this
project.

Nobody said them. Corpora of real speech have little fear and disgust; these texts show each emotion
in many situations, and neutral words about the same things. A file is a world, such as `home` or
`travel`; the world `validation` is for validation.
"""

from pathlib import Path

import yaml

from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora.schema import Dialogue, Table, Utterance

_FOLDER = Path(__file__).with_name("written_texts")
_VALIDATION = "validation"

#: Folders of the written corpora by name: single lines by emotion, and conversations, whose turns
#: are speaker, emotion and text.
WRITTEN = {
    "written_lines": _FOLDER / "lines",
    "written_conversations": _FOLDER / "conversations",
}


def files(name: str) -> list[Path]:
    """The files of a written corpus, one for each world."""
    return sorted(WRITTEN[name].glob("*.yaml"))


def load_written(name: str) -> Table:
    """A written corpus, with the splits `train` and `validation`. A single line is a dialogue of
    one utterance."""
    splits: dict[str, list[Dialogue]] = {"train": [], "validation": []}
    for path in files(name):
        world = yaml.safe_load(path.read_text(encoding="utf-8"))
        if isinstance(world, dict):
            turns = [[("A", emotion, text)] for emotion in EMOTIONS for text in world[emotion]]
        else:
            turns = world
        splits["validation" if path.stem == _VALIDATION else "train"] += [
            Dialogue(f"{path.stem} {number}", tuple(_utterance(*turn) for turn in dialogue))
            for number, dialogue in enumerate(turns)
        ]
    return Table(name, EMOTIONS, {split: tuple(rows) for split, rows in splits.items()})


def _utterance(speaker: str, emotion: str, text: str) -> Utterance:
    return Utterance(speaker, text, EMOTIONS.index(emotion))
