"""The layouts of published feature files: the meaning of their entries.

A file is a tuple; most of its entries are dictionaries by dialogue with a list by utterance, the
others are lists of dialogues. The layouts are those which the public code of DialogueRNN (Majumder
et al. 2019), COSMIC (Ghosal et al. 2020), MMGCN (Hu et al. 2021), MM-DFN (Hu et al. 2022) and SDT
(Ma et al. 2023) reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gscon_live.common.errors import InputError
from gscon_live.model.labels import MODALITIES
from gscon_live.train.corpora import unpickle

#: A dialogue's name in a file: IEMOCAP's are text, MELD's are numbers.
Id = str | int

_TEXTS = ("text", "text 2", "text 3", "text 4")
_HEAD = ("ids", "speakers", "labels")
_TRAIN_TEST = ("train", "test")
#: The entries of a file, by corpus and number of entries; "" is not read.
LAYOUTS: dict[str, dict[int, tuple[str, ...]]] = {
    "iemocap": {
        # DialogueRNN, MMGCN, MM-DFN.
        9: (*_HEAD, "text", "audio", "visual", "sentences", *_TRAIN_TEST),
        # COSMIC: four layers of RoBERTa, no sound or face.
        10: ("speakers", "labels", *_TEXTS, "sentences", *_TRAIN_TEST, "validation"),
        # SDT.
        12: (*_HEAD, *_TEXTS, "audio", "visual", "sentences", *_TRAIN_TEST),
    },
    "meld": {
        9: (*_HEAD, "text", "audio", "sentences", *_TRAIN_TEST, ""),
        10: (*_HEAD, "text", "audio", "visual", "sentences", *_TRAIN_TEST, ""),
        11: ("speakers", "labels", "", *_TEXTS, "sentences", *_TRAIN_TEST, "validation"),
        13: (*_HEAD, *_TEXTS, "audio", "visual", "sentences", *_TRAIN_TEST, ""),
        14: (*_HEAD, "", *_TEXTS, "audio", "visual", "sentences", *_TRAIN_TEST, ""),
    },
}


@dataclass
class FeatureFile:
    """A file's entries by name; `dims` are the lengths of the vectors read so far."""

    path: Path
    corpus: str
    parts: dict[str, object]
    dims: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, corpus: str) -> "FeatureFile":
        """Reads a file. Raises `InputError` unless it is a pickle of a known layout."""
        if corpus not in LAYOUTS:
            raise InputError(f"{path}: corpus {corpus!r}; there are {', '.join(LAYOUTS)}")
        entries, layouts = unpickle.load(path), LAYOUTS[corpus]
        if not isinstance(entries, tuple | list) or len(entries) not in layouts:
            size = f" of {len(entries)}" if isinstance(entries, tuple | list | dict) else ""
            raise InputError(
                f"{path}: a {type(entries).__name__}{size}; the known files of {corpus} are tuples "
                f"of {', '.join(map(str, layouts))}"
            )
        parts = dict(zip(layouts[len(entries)], entries, strict=True))
        parts.pop("", None)
        return cls(path, corpus, parts)

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(m for m in MODALITIES if m in self.parts)

    def wrong(self, problem: str) -> InputError:
        return InputError(f"{self.path}: {problem}")

    def by_dialogue(self, part: str) -> dict[Id, object]:
        """An entry with values for every dialogue. Raises `InputError` for another one."""
        entry = self.parts[part]
        if not isinstance(entry, dict):
            raise self.wrong(f"the entry of {part} is {type(entry).__name__}, not a dictionary")
        return entry

    def of(self, part: str, name: Id, count: int | None = None) -> Sequence[object]:
        """The values of an entry for the utterances of a dialogue, of which there are `count`."""
        values = self.by_dialogue(part).get(name)
        if isinstance(values, np.ndarray) and values.ndim:
            values = list(values)
        if not isinstance(values, list | tuple):
            raise self.wrong(f"dialogue {name!r} has no list of {part}")
        if not values or count not in (None, len(values)):
            raise self.wrong(f"dialogue {name!r} has {count or 'no'} labels, {len(values)} {part}")
        return values

    def names(self, split: str) -> list[Id]:
        """The dialogues of a split, as the file lists them."""
        dialogues = self.parts[split]
        if not isinstance(dialogues, list | tuple | set | frozenset | np.ndarray):
            raise self.wrong(f"the split {split} is {type(dialogues).__name__}, not a list")
        names = dialogues.ravel().tolist() if isinstance(dialogues, np.ndarray) else list(dialogues)
        for name in names:
            if type(name) not in (str, int):
                raise self.wrong(f"the split {split} has {type(name).__name__}, not dialogues")
        return names
