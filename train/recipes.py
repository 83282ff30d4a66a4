"""Training recipes of all kinds, by name or path."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from gscon_live.common.errors import InputError
from gscon_live.configs import loader
from gscon_live.train.trainables import Recipe, trainable

T = TypeVar("T", bound=msgspec.Struct)


class Seeded(Protocol):
    """A recipe that asks for several trainings."""

    @property
    def seeds(self) -> int:
        """How many."""
        ...

    @property
    def first_seed(self) -> int:
        """The first one's seed; each other's is one more."""
        ...


def recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Reads a training recipe of any kind. Raises `InputError` naming what is wrong in it."""
    path = loader.find(name_or_path, "train")
    tree = loader.read(path)
    try:
        kind = trainable(tree.get("kind"))
    except InputError as error:
        raise InputError(f"recipe {path}: {error}") from error
    made: Recipe = kind.resolved(loader.build(tree, kind.recipe, overrides, str(path)))
    if not made.name or Path(made.name).name != made.name:
        raise InputError(f"recipe {path}: name {made.name!r} is no folder name; give a plain name")
    return made


def written(name_or_path: str, kind: type[T]) -> T:
    """Reads a training recipe of one type, as it is written, with nothing filled in. Raises
    `InputError` naming what is wrong in it."""
    path = loader.find(name_or_path, "train")
    return loader.build(loader.read(path), kind, (), str(path))


def seeds(recipe: Seeded) -> range:
    """The seeds that a recipe asks trainings for."""
    return range(recipe.first_seed, recipe.first_seed + recipe.seeds)
