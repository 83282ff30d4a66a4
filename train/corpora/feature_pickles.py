"""The reader of published feature files of IEMOCAP and MELD, for those who have a copy.

Many published models learn from the same few pickles: RoBERTa or convolutional text vectors (1024;
100 for IEMOCAP, 600 for MELD in the oldest), openSMILE audio (1582 or 100; 300) and DenseNet
faces (342 or 512). `train.corpora.feature_layouts` has their layouts. The files are not open, so
this reader is tested only on small files of the same layouts that the tests make.

Two warnings. The text vectors come from encoders that were fine-tuned on IEMOCAP's and MELD's
training splits, with COSMIC's twelve dialogues as IEMOCAP's validation split. Any other split
leaks, so it is the one used here. MELD's visual vectors in these files have been
reported to repeat those of the training split in validation and test.
"""

import hashlib
from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gscon_live.model.conversations import speakers_by_appearance
from gscon_live.train.corpora.dataset import FeaturedCorpus, FeaturedDialogue
from gscon_live.train.corpora.feature_layouts import FeatureFile, Id
from gscon_live.train.corpora.iemocap_meld_emorynlp import LABELS, load_table
from gscon_live.train.corpora.overlap import words_of
from gscon_live.train.corpora.schema import SPLITS

#: COSMIC's validation split of IEMOCAP: from sessions 1 to 4, never from the test session.
COSMIC_VALIDATION = frozenset(
    f"Ses{name}"
    for name in (
        *("01M_impro01", "01M_script03_1", "02F_impro02", "02F_impro07", "02M_script01_2"),
        *("03F_impro01", "03M_impro02", "03M_impro08a", "03M_script02_2", "03M_script03_2"),
        *("04F_impro07", "04F_script02_1"),
    )
)


def load(path: Path, corpus: str, validation: Collection[Id] | None = None) -> FeaturedCorpus:
    """The features of a file.

    Text is the mean of the four vectors where there are four. A zero vector means that the modality
    is missing: the files mark an undetected face in no other way. A value of -inf in the audio,
    openSMILE's logarithm of silence, becomes 0.

    The validation split is the file's own where it has one. Else it is `validation`, some of the
    training dialogues. Else it is COSMIC's twelve dialogues for IEMOCAP; and for MELD, whose files
    join training and validation, the dialogues with the words of the validation split in
    `erc/meld.csv`. It is never part of the test split. Dialogues are in the order of the file's
    labels.

    Args:
        path: the pickle; nothing in it is executed (`train.corpora.unpickle`).
        corpus: "iemocap" or "meld".
        validation: names of dialogues, as in the file; only where it has no validation split.

    Raises:
        InputError: another kind of file, or its entries are inconsistent.
    """
    file = FeatureFile.read(path, corpus)
    splits = _splits(file, validation)
    dialogues = {split: tuple(_dialogue(file, name) for name in splits[split]) for split in SPLITS}
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()[:16]
    encoders = {m: f"{path.name} {digest} {m}" for m in file.modalities}
    return FeaturedCorpus(corpus, LABELS[corpus], encoders, dialogues)


def _splits(file: FeatureFile, validation: Collection[Id] | None) -> dict[str, list[Id]]:
    """The names of the dialogues of each split, in the order in which the file has labels."""
    order = {name: place for place, name in enumerate(file.by_dialogue("labels"))}
    split_of: dict[Id, str] = {}
    for split in SPLITS:
        for name in file.names(split) if split in file.parts else ():
            if name not in order:
                raise file.wrong(f"dialogue {name!r} of the split {split} has no labels")
            if name in split_of:
                raise file.wrong(f"dialogue {name!r} is in {split_of[name]} and again in {split}")
            split_of[name] = split
    if "validation" not in file.parts:
        for name in _held_out(
            file, [n for n, split in split_of.items() if split == "train"], validation
        ):
            if split_of.get(name) != "train":
                raise file.wrong(
                    f"dialogue {name!r}, of the validation split, is not among those of training"
                )
            split_of[name] = "validation"
    elif validation is not None:
        raise file.wrong("it has a validation split of its own; name none")
    by_split = {
        split: sorted((n for n in split_of if split_of[n] == split), key=order.__getitem__)
        for split in SPLITS
    }
    for split, names in by_split.items():
        if not names:
            raise file.wrong(f"the split {split!r} is empty")
    return by_split


def _held_out(
    file: FeatureFile, train: list[Id], validation: Collection[Id] | None
) -> Collection[Id]:
    """The validation dialogues of a file that has no such split."""
    if validation is not None:
        return validation
    if file.corpus == "iemocap":
        return COSMIC_VALIDATION
    texts = {
        tuple(words_of(utterance.text) for utterance in dialogue.utterances)
        for dialogue in load_table("meld").splits["validation"]
    }
    matches = [
        name
        for name in train
        if tuple(words_of(str(text)) for text in file.of("sentences", name)) in texts
    ]
    if len(matches) != len(texts):
        raise file.wrong(
            f"{len(matches)} training dialogues have the words of MELD's {len(texts)} validation "
            "dialogues; name the dialogues of the validation split"
        )
    return matches


def _dialogue(file: FeatureFile, name: Id) -> FeaturedDialogue:
    labels, most = [], len(LABELS[file.corpus])
    for place, label in enumerate(file.of("labels", name)):
        if not isinstance(label, int | np.integer) or not -1 <= label < most:
            raise file.wrong(
                f"dialogue {name!r}, utterance {place + 1}: label {str(label)[:40]!r}, not a "
                f"number below {most}"
            )
        labels.append(int(label))
    if set(labels) == {-1}:
        raise file.wrong(f"dialogue {name!r} has no labels")
    count = len(labels)
    for part in ("ids", "sentences"):
        if part in file.parts:
            file.of(part, name, count)
    features = {}
    for m in file.modalities:
        layers = [part for part in file.parts if part == m or part.startswith(f"{m} ")]
        vectors = [_vectors(file, part, name, count) for part in layers]
        features[m] = torch.from_numpy(np.mean(vectors, 0, dtype=np.float32))
    return FeaturedDialogue(
        name=str(name),
        features=features,
        present=torch.stack([(features[m] != 0).any(1) for m in features], 1),
        speakers=torch.tensor(_speakers(file, name, count)),
        labels=torch.tensor(labels),
    )


def _vectors(file: FeatureFile, part: str, name: Id, count: int) -> NDArray[np.float32]:
    """The vectors of a dialogue's utterances, float32 [N, dim]."""
    vectors = []
    for place, row in enumerate(file.of(part, name, count)):
        where = f"dialogue {name!r}, utterance {place + 1}: {part}"
        if isinstance(row, list | tuple) and all(type(value) in (int, float) for value in row):
            row = np.asarray(row, object)
        if not isinstance(row, np.ndarray) or row.ndim != 1 or row.dtype.kind not in "fiuO":
            raise file.wrong(f"{where} is no row of numbers")
        dim = file.dims.setdefault(part.split()[0], len(row))
        if len(row) != dim or not dim:
            raise file.wrong(f"{where} has {len(row)} numbers, others have {dim}")
        try:
            with np.errstate(over="ignore"):
                vector = row.astype(np.float32)
        except (TypeError, ValueError, OverflowError):
            raise file.wrong(f"{where} is no row of numbers") from None
        if part == "audio":
            vector[np.isneginf(vector)] = 0
        if not np.isfinite(vector).all():
            raise file.wrong(f"{where} has a number that is not finite")
        vectors.append(vector)
    return np.stack(vectors)


def _speakers(file: FeatureFile, name: Id, count: int) -> list[int]:
    """Speakers in order of appearance; the files have names, numbers or one-hot vectors."""
    speakers: list[str | int] = []
    for place, speaker in enumerate(file.of("speakers", name, count)):
        if isinstance(speaker, np.ndarray):
            speaker = speaker.tolist()
        if isinstance(speaker, list | tuple) and all(
            type(part) in (int, float) for part in speaker
        ):
            speaker = repr(list(speaker))
        if not isinstance(speaker, str | int):
            raise file.wrong(f"dialogue {name!r}, utterance {place + 1}: no speaker")
        speakers.append(speaker)
    return speakers_by_appearance(speakers)
