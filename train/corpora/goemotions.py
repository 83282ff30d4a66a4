"""GoEmotions: single sentences, with Ekman's six emotions and neutral (Demszky et al. 2020)."""

from dataclasses import dataclass

from gscon_live.common.errors import InputError
from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora import corpus_file
from gscon_live.train.corpora.csv_rows import rows
from gscon_live.train.corpora.schema import SPLITS

#: The split names of the file, and ours.
_SPLITS = {"train": "train", "dev": "validation", "test": "test"}


@dataclass(frozen=True)
class Sentence:
    """A sentence; `labels` are indices of `EMOTIONS`, at least one, in ascending order."""

    text: str
    labels: tuple[int, ...]


def load() -> dict[str, tuple[Sentence, ...]]:
    """The sentences of the official splits, in the order of the file.

    The official splits share 71 texts ("Thank you!" and the like), which stay where they are.

    Raises:
        InputError: the file is not there, or something in it is wrong.
    """
    path = corpus_file("text/goemotions_ekman.csv.gz")
    by_split: dict[str, list[Sentence]] = {split: [] for split in SPLITS}
    for row in rows(path, ("split", "text", "emotions")):
        names = row.words("emotions").split("|")
        for name in names:
            if name not in EMOTIONS:
                raise row.wrong(f"column 'emotions' has {name!r}, none of {', '.join(EMOTIONS)}")
        labels = tuple(sorted({EMOTIONS.index(name) for name in names}))
        split = _SPLITS[row.one_of("split", tuple(_SPLITS))]
        by_split[split].append(Sentence(row.words("text"), labels))
    for split, sentences in by_split.items():
        if not sentences:
            raise InputError(f"{path}: the split {split!r} is empty")
    return {split: tuple(sentences) for split, sentences in by_split.items()}
