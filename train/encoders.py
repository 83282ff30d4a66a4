"""Text encoders: their recipes, and the trained ones, which are kept in the user's cache.

A file's name is made of all that it depends on.
"""

import hashlib
import json
from pathlib import Path

import msgspec
from filelock import FileLock
from safetensors.torch import load_file, save_file

import configs
from configs.errors import InputError
from configs.files import replacing
from model.context_text import ContextTextModel, fresh
from train import cache, text
from train.corpora import corpus as data
from train.corpora import tables
from train.features import Report
from train.lessons import lessons
from train.text import TextRecipe

#: Changes when the same recipe would give another encoder or other features.
_VERSION = 3


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
    path = trained(made, seed, report)
    with cache.reading(path):
        model.load_state_dict(load_file(path))
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
        state = {name: one.contiguous() for name, one in fitted.model.state_dict().items()}
        notes = {"epoch": str(fitted.epoch), "validation": json.dumps(fitted.validation)}
        with replacing(path) as unfinished:
            save_file(state, unfinished, metadata=notes)
    return path


def is_trained(made: TextRecipe, seed: int) -> bool:
    """Whether the weights of a recipe and seed are in the cache."""
    return _weights(made, seed).is_file()


def key(made: TextRecipe, seed: int) -> str:
    """What an encoder depends on: its recipe, that of the one it starts from, seed and data."""
    alike = msgspec.structs.replace(made, seeds=1, first_seed=1)
    parts = [f"{_VERSION} {seed}", msgspec.json.encode(alike).decode()]
    if made.start is not None:
        parts.append(key(recipe(made.start), 1))
    files = {"goemotions": "text/goemotions_ekman.csv.gz"}
    for name in made.corpora:
        path = data(files.get(name, f"erc/{name}.csv"))
        with path.open("rb") as file:
            parts.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _weights(made: TextRecipe, seed: int) -> Path:
    return kept() / f"text-{made.name}-{seed}-{key(made, seed)}.safetensors"


def kept() -> Path:
    """The folder in which encoders and the features that they give are kept."""
    return cache.folder("text")
