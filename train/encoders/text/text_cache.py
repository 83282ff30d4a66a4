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
from gscon_live.model.encoders.text.context_encoder import ContextTextModel, emotion_head, fresh
from gscon_live.train.corpora import corpus as data
from gscon_live.train.corpora import erc
from gscon_live.train.data import cache
from gscon_live.train.encoders.text import training
from gscon_live.train.encoders.text.recipe import TextRecipe
from gscon_live.train.encoders.text.text_data import corpora
from gscon_live.train.progress import Report, Reporting
from gscon_live.train.recipes import as_written
from gscon_live.train.runs.run_folder import TrainingFolder

#: Changes when the same recipe would give another encoder or other features.
_VERSION = 4
#: What the names of heads begin with in a file.
_HEADS = "heads."


def recipe(name_or_path: str) -> TextRecipe:
    """The recipe of a text encoder. Raises `InputError` naming what is wrong in it."""
    chosen = as_written(name_or_path, TextRecipe)
    check(chosen)
    return chosen


def check(chosen: TextRecipe) -> None:
    """Refuses a recipe, or one that it starts from, whose corpora there are not, with
    `InputError`; and recipes that start from each other."""
    there = {*erc.TABLES, "goemotions"}
    chain = [chosen]
    while True:
        last = chain[-1]
        if not last.corpora or not there.issuperset(last.corpora):
            raise InputError(
                f"recipe {last.name!r}: corpora {', '.join(last.corpora) or 'none'}; expected some "
                f"of {', '.join(sorted(there))}"
            )
        if not {*erc.TABLES} >= {*last.apart}:
            raise InputError(
                f"recipe {last.name!r}: apart {', '.join(last.apart)}; expected some of "
                f"{', '.join(sorted(erc.TABLES))}"
            )
        if last.left_out > last.parts:
            raise InputError(
                f"recipe {last.name!r}: left_out {last.left_out}; there are {last.parts} parts"
            )
        if last.start is None:
            return
        before = as_written(last.start, TextRecipe)
        if before in chain:
            raise InputError(f"recipe {last.name!r}: it starts from itself; give another start")
        chain.append(before)


def encoder(chosen: TextRecipe, seed: int, report: Report) -> ContextTextModel:
    """The text encoder of a recipe and seed, trained or from the cache."""
    return _loaded(chosen, seed, report)[0]


def with_head(
    chosen: TextRecipe, seed: int, corpus: str, report: Report
) -> tuple[ContextTextModel, nn.Sequential]:
    """The text encoder of a recipe and seed, trained or from the cache, and the head that answers
    for a corpus from its vectors alone. Raises `InputError` where the recipe's head for the corpus
    also reads prosody, or there is none."""
    model, heads = _loaded(chosen, seed, report)
    mine = f"{_HEADS}{corpus}."
    parts = {name.removeprefix(mine): heads[name] for name in heads if name.startswith(mine)}
    if not parts:
        raise InputError(
            f"recipe {chosen.name!r}: no head that answers for {corpus} from words alone; give "
            f"prosody=false, and {corpus} among the corpora"
        )
    head = emotion_head(model.dim, len(parts["4.bias"]))
    head.load_state_dict(parts)
    return model, head.eval().requires_grad_(False)


def _loaded(
    chosen: TextRecipe, seed: int, report: Report
) -> tuple[ContextTextModel, dict[str, Tensor]]:
    """The text encoder, and the weights of its heads."""
    model, path = fresh(chosen.context), trained(chosen, seed, report)
    with cache.reading(path):
        state = load_file(path)
        heads = {name: state.pop(name) for name in list(state) if name.startswith(_HEADS)}
        model.load_state_dict(state)
    return model.eval().requires_grad_(False), heads


def trained(chosen: TextRecipe, seed: int, report: Report) -> Path:
    """The weights of a recipe and seed in the cache; trains them where they are not there. What was
    interrupted goes on with the epoch that it was at."""
    path = _weights(chosen, seed)
    folder = TrainingFolder(path.with_suffix(".training"))
    # Of several trainings that need the same encoder, the first makes it and the others wait.
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file():
            start = None
            if chosen.start is not None:
                start = encoder(recipe(chosen.start), 1, report).state_dict()
            read = corpora(chosen, seed)
            result = training.fit(chosen, read, start, seed, folder, Reporting(report))
            state = {name: value.contiguous() for name, value in result.model.state_dict().items()}
            for corpus, head in result.heads.items():
                weights = head.state_dict().items()
                state |= {f"{_HEADS}{corpus}.{name}": value.contiguous() for name, value in weights}
            notes = {"epoch": str(result.epoch), "validation": json.dumps(result.validation)}
            with replacing(path) as unfinished:
                save_file(state, unfinished, metadata=notes)
        folder.remove()
    return path


def validation(chosen: TextRecipe, seed: int) -> list[dict[str, float]]:
    """Weighted F1 on validation, by epoch and corpus, of a trained encoder in the cache."""
    path = _weights(chosen, seed)
    with cache.reading(path), safe_open(path, "pt") as stored:
        epochs: list[dict[str, float]] = json.loads(stored.metadata()["validation"])
    return epochs


def is_trained(chosen: TextRecipe, seed: int) -> bool:
    """Whether the weights of a recipe and seed are in the cache."""
    return _weights(chosen, seed).is_file()


def key(chosen: TextRecipe, seed: int) -> str:
    """What an encoder depends on: its recipe, that of the one it starts from, seed and data."""
    alike = msgspec.to_builtins(msgspec.structs.replace(chosen, seeds=1, first_seed=1))
    del alike["ship"]
    parts = [f"{_VERSION} {seed}", msgspec.json.encode(alike).decode()]
    if chosen.start is not None:
        parts.append(key(recipe(chosen.start), 1))
    files = {"goemotions": "text/goemotions_ekman.csv.gz"}
    for name in (*chosen.corpora, *chosen.apart):
        path = data(files.get(name, f"erc/{name}.csv"))
        with path.open("rb") as file:
            parts.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _weights(chosen: TextRecipe, seed: int) -> Path:
    return kept() / f"text-{chosen.name}-{seed}-{key(chosen, seed)}.safetensors"


def kept() -> Path:
    """The folder in which encoders and the features that they give are kept."""
    return cache.folder("text")
