"""Text encoders: their recipes, and the trained ones, which are kept in the user's cache.

A file's name is made of all that it depends on.
"""

import hashlib
import json
from pathlib import Path

import msgspec
from filelock import FileLock
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gscon_live.common.errors import InputError
from gscon_live.common.files import replacing
from gscon_live.configs import loader
from gscon_live.model.encoders.text.context_encoder import ContextTextModel, emotion_head, fresh
from gscon_live.train.corpora import corpus as data
from gscon_live.train.corpora import erc
from gscon_live.train.data import cache
from gscon_live.train.data.feature_banks import Report
from gscon_live.train.encoders.text import training
from gscon_live.train.encoders.text.text_data import lessons
from gscon_live.train.encoders.text.training import TextRecipe

#: Changes when the same recipe would give another encoder or other features.
_VERSION = 3
#: What the names of heads begin with in a file.
_HEADS = "heads."


def recipe(name_or_path: str) -> TextRecipe:
    """The recipe of a text encoder. Raises `InputError` naming what is wrong in it."""
    made = _read(name_or_path)
    check(made)
    return made


def check(made: TextRecipe) -> None:
    """Refuses a recipe, or one that it starts from, whose corpora there are not, with
    `InputError`; and recipes that start from each other."""
    there = {*erc.TABLES, "goemotions"}
    chain = [made]
    while True:
        one = chain[-1]
        if not one.corpora or not there.issuperset(one.corpora):
            raise InputError(
                f"recipe {one.name!r}: corpora {', '.join(one.corpora) or 'none'}; expected some "
                f"of {', '.join(sorted(there))}"
            )
        if not {*erc.TABLES} >= {*one.apart}:
            raise InputError(
                f"recipe {one.name!r}: apart {', '.join(one.apart)}; expected some of "
                f"{', '.join(sorted(erc.TABLES))}"
            )
        if one.left_out > one.parts:
            raise InputError(
                f"recipe {one.name!r}: left_out {one.left_out}; there are {one.parts} parts"
            )
        if one.start is None:
            return
        before = _read(one.start)
        if before in chain:
            raise InputError(f"recipe {one.name!r}: it starts from itself; give another start")
        chain.append(before)


def _read(name_or_path: str) -> TextRecipe:
    path = loader.find(name_or_path, "train")
    return loader.build(loader.read(path), TextRecipe, [], str(path))


def encoder(made: TextRecipe, seed: int, report: Report) -> ContextTextModel:
    """The text encoder of a recipe and seed, trained or from the cache."""
    return _loaded(made, seed, report)[0]


def with_head(
    made: TextRecipe, seed: int, corpus: str, report: Report
) -> tuple[ContextTextModel, nn.Sequential]:
    """The text encoder of a recipe and seed, trained or from the cache, and the head that answers
    for a corpus from its vectors alone. Raises `InputError` where the recipe's head for the corpus
    also reads prosody, or there is none."""
    model, heads = _loaded(made, seed, report)
    mine = f"{_HEADS}{corpus}."
    parts = {name.removeprefix(mine): heads[name] for name in heads if name.startswith(mine)}
    if not parts:
        raise InputError(
            f"recipe {made.name!r}: no head that answers for {corpus} from words alone; give "
            f"prosody=false, and {corpus} among the corpora"
        )
    head = emotion_head(model.dim, len(parts["4.bias"]))
    head.load_state_dict(parts)
    return model, head.eval().requires_grad_(False)


def _loaded(
    made: TextRecipe, seed: int, report: Report
) -> tuple[ContextTextModel, dict[str, Tensor]]:
    """The text encoder, and the weights of its heads."""
    model, path = fresh(made.context), trained(made, seed, report)
    with cache.reading(path):
        state = load_file(path)
        heads = {name: state.pop(name) for name in list(state) if name.startswith(_HEADS)}
        model.load_state_dict(state)
    return model.eval().requires_grad_(False), heads


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
        fitted = training.fit(made, lessons(made, seed), start, seed, report)
        state = {name: one.contiguous() for name, one in fitted.model.state_dict().items()}
        for corpus, head in fitted.heads.items():
            weights = head.state_dict().items()
            state |= {f"{_HEADS}{corpus}.{name}": one.contiguous() for name, one in weights}
        notes = {"epoch": str(fitted.epoch), "validation": json.dumps(fitted.validation)}
        with replacing(path) as unfinished:
            save_file(state, unfinished, metadata=notes)
    return path


def validation(made: TextRecipe, seed: int) -> list[dict[str, float]]:
    """Weighted F1 on validation, by epoch and corpus, of a trained encoder in the cache."""
    path = _weights(made, seed)
    with cache.reading(path), safe_open(path, "pt") as stored:
        found: list[dict[str, float]] = json.loads(stored.metadata()["validation"])
    return found


def is_trained(made: TextRecipe, seed: int) -> bool:
    """Whether the weights of a recipe and seed are in the cache."""
    return _weights(made, seed).is_file()


def key(made: TextRecipe, seed: int) -> str:
    """What an encoder depends on: its recipe, that of the one it starts from, seed and data."""
    alike = msgspec.to_builtins(msgspec.structs.replace(made, seeds=1, first_seed=1))
    del alike["ship"]
    parts = [f"{_VERSION} {seed}", msgspec.json.encode(alike).decode()]
    if made.start is not None:
        parts.append(key(recipe(made.start), 1))
    files = {"goemotions": "text/goemotions_ekman.csv.gz"}
    for name in (*made.corpora, *made.apart):
        path = data(files.get(name, f"erc/{name}.csv"))
        with path.open("rb") as file:
            parts.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _weights(made: TextRecipe, seed: int) -> Path:
    return kept() / f"text-{made.name}-{seed}-{key(made, seed)}.safetensors"


def kept() -> Path:
    """The folder in which encoders and the features that they give are kept."""
    return cache.folder("text")
