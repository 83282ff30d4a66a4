"""From tables of conversations to features: words by an encoder, voices by their prosody.

Trained text encoders and the features that they give are kept in the user's cache, under names made
of all that they depend on.
"""

import dataclasses
import hashlib
import json
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
import platformdirs
import torch
from filelock import FileLock
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

import configs
from configs.errors import InputError
from configs.files import replacing
from model.context_text import ContextTextModel, Tokenise, digest, fresh, tokeniser
from model.conversations import speakers_by_appearance
from model.labels import EMOTIONS
from model.relative import SpeakerRelative
from model.text import TextEncoder
from train import text
from train.corpora import corpus as data
from train.corpora import goemotions, tables
from train.corpora.overlap import disjoint
from train.corpora.table import PROSODY, Dialogue, Table, Utterance
from train.featured import FeaturedCorpus, FeaturedDialogue
from train.features import Report, text_vectors
from train.text import Lessons, Spoken, TextRecipe

#: Changes when the same recipe would give another encoder or other features.
_VERSION = 2
#: The tables' prosody, each value beside its difference from the speaker's mean so far.
_PROSODY = "table-prosody/1+speaker-relative"
#: The two corpora that transcribe the same show: neither is learned from where it tells a scene of
#: the other's validation or test.
_SAME_SHOW = {"meld": "emorynlp", "emorynlp": "meld"}


def featured(corpus: str, words: str, seed: int, report: Report) -> FeaturedCorpus:
    """The features of a table's conversations.

    Args:
        corpus: a name of `train.corpora.tables`.
        words: `frozen` for the sentence encoder as it is, or the recipe of a text encoder (a name
            or a path), which is trained first where it has not been.
        seed: that of the text encoder's training; the one that it starts from always has seed 1.

    Raises:
        InputError: the corpus or the recipe is not there or wrong.
    """
    table = tables.load(corpus)
    if words == "frozen":
        frozen = TextEncoder()
        identity = frozen.identity
        every = text_vectors(frozen, [one.text for one in _utterances(table)], report)
        splits = _by_dialogue(table, torch.from_numpy(every))
    else:
        identity, splits = _in_context(table, recipe(words), seed, report)
    heard = any(one.prosody is not None for one in _utterances(table))
    return FeaturedCorpus(
        name=table.name,
        labels=table.labels,
        encoders={"text": identity} | ({"audio": _PROSODY} if heard else {}),
        splits={
            name: tuple(
                _featured(dialogue, rows, heard)
                for dialogue, rows in zip(table.splits[name], vectors, strict=True)
            )
            for name, vectors in splits.items()
        },
    )


def recipe(name_or_path: str) -> TextRecipe:
    """The recipe of a text encoder. Raises `InputError` naming what is wrong in it."""
    made = _read(name_or_path)
    check(made)
    return made


def check(made: TextRecipe) -> None:
    """Refuses a recipe, or one that it starts from, whose corpora there are not, with
    `InputError`; and recipes that start from each other."""
    there = {*tables.TABLES, "goemotions"}
    chain = [made]
    while True:
        one = chain[-1]
        if not one.corpora or not there.issuperset(one.corpora):
            raise InputError(
                f"recipe {one.name!r}: corpora {', '.join(one.corpora) or 'none'}; expected some "
                f"of {', '.join(sorted(there))}"
            )
        if one.start is None:
            return
        before = _read(one.start)
        if before in chain:
            raise InputError(f"recipe {one.name!r}: it starts from itself; give another start")
        chain.append(before)


def _read(name_or_path: str) -> TextRecipe:
    path = configs.find(name_or_path, "train")
    return configs.build(configs.read(path), TextRecipe, [], str(path))


def encoder(made: TextRecipe, seed: int, report: Report) -> ContextTextModel:
    """The text encoder of a recipe and seed, trained or from the cache."""
    model = fresh(made.context)
    model.load_state_dict(load_file(trained(made, seed, report)))
    return model.eval().requires_grad_(False)


def trained(made: TextRecipe, seed: int, report: Report) -> Path:
    """The weights of a recipe and seed in the cache; trains them where they are not there."""
    path = _weights(made, seed)
    # Of several trainings that need the same encoder, the first makes it and the others wait.
    with FileLock(path.with_suffix(".lock")):
        if path.is_file():
            return path
        start = None
        if made.start is not None:
            start = encoder(recipe(made.start), 1, report).state_dict()
        fitted = text.fit(made, lessons(made), start, seed, report)
        notes = {"epoch": str(fitted.epoch), "validation": json.dumps(fitted.validation)}
        state = {key: value.contiguous() for key, value in fitted.model.state_dict().items()}
        with replacing(path) as unfinished:
            save_file(state, unfinished, metadata=notes)
    return path


def is_trained(made: TextRecipe, seed: int) -> bool:
    """Whether the weights of a recipe and seed are in the cache."""
    return _weights(made, seed).is_file()


def lessons(made: TextRecipe) -> dict[str, Lessons]:
    """What a recipe learns from: training splits; selection is on validation splits."""
    tokenise = tokeniser(made.context)
    found = {}
    for name in made.corpora:
        if name == "goemotions":
            sentences = goemotions.load()["train"]
            ids = tokenise([one.text for one in sentences])
            found[name] = Lessons(
                len(EMOTIONS),
                [
                    Spoken([row], [0], _several(one.labels), torch.zeros(1, 0))
                    for row, one in zip(ids, sentences, strict=True)
                ],
            )
            continue
        table = tables.load(name)
        train = table.splits["train"]
        if len(made.corpora) > 1 and name in _SAME_SHOW:
            other = tables.load(_SAME_SHOW[name])
            train = disjoint(train, [*other.splits["validation"], *other.splits["test"]])
        learned, selected = (
            [_spoken(tokenise, one, table) for one in dialogues]
            for dialogues in (train, table.splits["validation"])
        )
        found[name] = _standardised(Lessons(len(table.labels), learned, selected))
    return found


def _spoken(tokenise: Tokenise, one: Dialogue, table: Table) -> Spoken:
    labels = torch.tensor([utterance.label for utterance in one.utterances])
    marked = (labels >= 0)[:, None]
    return Spoken(
        tokenise([utterance.text for utterance in one.utterances]),
        speakers_by_appearance([utterance.speaker for utterance in one.utterances]),
        functional.one_hot(labels.clamp(min=0), len(table.labels)) * marked.float(),
        sounds(one),
    )


def _standardised(lessons: Lessons) -> Lessons:
    """The same with sounds of mean 0 and deviation 1 in training, none beyond 4 deviations; of no
    length where no utterance in training was measured."""
    every = torch.cat([one.sound for one in lessons.train])
    measured = every[every.any(1)]
    width = every.shape[1] if len(measured) else 0
    known = measured if width else every
    mean, deviation = known.mean(0), known.std(0, correction=0).clamp(min=1e-4)

    def scaled(one: Spoken) -> Spoken:
        sound = ((one.sound - mean) / deviation).clamp(-4, 4) * one.sound.any(1)[:, None]
        return dataclasses.replace(one, sound=sound[:, :width])

    return Lessons(
        lessons.classes, [*map(scaled, lessons.train)], [*map(scaled, lessons.validation)]
    )


def sounds(dialogue: Dialogue) -> Tensor:
    """The prosody of a dialogue's utterances, each value beside its difference from the speaker's
    mean so far, float32 [U, 16]; zero where it was not measured."""
    relative, rows = SpeakerRelative(), []
    for one in dialogue.utterances:
        if one.prosody is None:
            rows.append(np.zeros(2 * len(PROSODY), np.float32))
        else:
            rows.append(relative(np.asarray(one.prosody, np.float32), one.speaker))
    return torch.from_numpy(np.stack(rows))


def _several(labels: tuple[int, ...]) -> Tensor:
    """The target of a sentence with several labels: all of them alike."""
    return functional.one_hot(torch.tensor(labels), len(EMOTIONS)).float().mean(0)[None]


def _in_context(
    table: Table, made: TextRecipe, seed: int, report: Report
) -> tuple[str, dict[str, tuple[Tensor, ...]]]:
    """The encoder's identity, and its vectors of every dialogue."""
    said = "\n".join(f"{u.speaker}\t{u.text}" for u in _utterances(table))
    name = hashlib.sha256(f"{_key(made, seed)}\n{said}".encode()).hexdigest()[:20]
    path = _cache() / f"words-{table.name}-{made.name}-{seed}-{name}.safetensors"
    if not path.is_file():
        model, tokenise = encoder(made, seed, report), tokeniser(made.context)
        found, done = {}, 0
        for split, dialogues in table.splits.items():
            rows = []
            for place, dialogue in enumerate(dialogues):
                rows.append(text.vectors(model, _spoken(tokenise, dialogue, table)))
                done += len(dialogue.utterances)
                report(place + 1, len(dialogues), f"words of {table.name}, {split}")
            found[split] = torch.cat(rows)
        identity = {"identity": f"{made.name}:{digest(model)}"}
        with replacing(path, alone=False) as unfinished:
            save_file(found, unfinished, metadata=identity)
    with safe_open(path, "pt") as stored:
        every = torch.cat([stored.get_tensor(split) for split in table.splits])
        return stored.metadata()["identity"], _by_dialogue(table, every)


def _by_dialogue(table: Table, every: Tensor) -> dict[str, tuple[Tensor, ...]]:
    """The rows of all utterances, see `_utterances`, by split and dialogue."""
    dialogues = [one for rows in table.splits.values() for one in rows]
    parts = iter(torch.split(every, [len(one.utterances) for one in dialogues]))
    return {split: tuple(islice(parts, len(rows))) for split, rows in table.splits.items()}


def _featured(dialogue: Dialogue, words: Tensor, heard: bool) -> FeaturedDialogue:
    speakers = speakers_by_appearance([one.speaker for one in dialogue.utterances])
    features, there = {"text": words}, [torch.ones(len(words), dtype=torch.bool)]
    if heard:
        features["audio"] = sounds(dialogue)
        there.append(torch.tensor([one.prosody is not None for one in dialogue.utterances]))
    return FeaturedDialogue(
        name=dialogue.name,
        features=features,
        present=torch.stack(there, -1),
        speakers=torch.tensor(speakers),
        labels=torch.tensor([one.label for one in dialogue.utterances]),
    )


def _utterances(table: Table) -> list[Utterance]:
    return [one for rows in table.splits.values() for d in rows for one in d.utterances]


def _key(made: TextRecipe, seed: int) -> str:
    """What an encoder depends on: its recipe, that of the one it starts from, seed and data."""
    alike = msgspec.structs.replace(made, seeds=1, first_seed=1)
    parts = [f"{_VERSION} {seed}", msgspec.json.encode(alike).decode()]
    if made.start is not None:
        parts.append(_key(recipe(made.start), 1))
    files = {"goemotions": "text/goemotions_ekman.csv.gz"}
    for name in made.corpora:
        path = data(files.get(name, f"erc/{name}.csv"))
        with path.open("rb") as file:
            parts.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _weights(made: TextRecipe, seed: int) -> Path:
    return _cache() / f"text-{made.name}-{seed}-{_key(made, seed)}.safetensors"


def _cache() -> Path:
    folder = Path(platformdirs.user_cache_dir("gscon-live")) / "text"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
