"""Training recipes of all kinds, by name or path."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from gscon_live.common.errors import InputError
from gscon_live.configs import loader
from gscon_live.train.trainables import Recipe, trainable

T = TypeVar("T", bound=msgspec.Struct)


class Seeded(Protocol):
    """A recipe for trainings with several seeds."""

    @property
    def seeds(self) -> int:
        """Number of seeds."""
        ...

    @property
    def first_seed(self) -> int:
        """The first seed; the others follow in steps of one."""
        ...


def recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Reads a training recipe of any kind. Raises `InputError` for a wrong key or value."""
    path = loader.find(name_or_path, "train")
    tree = loader.read(path)
    try:
        kind = trainable(tree.get("kind"))
    except InputError as error:
        raise InputError(f"recipe {path}: {error}") from error
    written: Any = loader.build(tree, kind.recipe, overrides, str(path))
    if written.name is None:
        written = msgspec.structs.replace(written, name=kind.run_name(written, path.stem))
    settings: Recipe = kind.resolved(written)
    if not settings.name or Path(settings.name).name != settings.name:
        raise InputError(
            f"recipe {path}: name {settings.name!r} is no folder name; give a plain name"
        )
    return settings


def as_written(name_or_path: str, kind: type[T]) -> T:
    """Reads a training recipe of a known type, without `Trainable.resolved`. Raises `InputError`
    for a recipe of another kind, and for a wrong key or value."""
    path = loader.find(name_or_path, "train")
    tree = loader.read(path)
    expected = getattr(kind(), "kind", None)
    # Else the first key that this kind does not have would be called unknown.
    if tree.get("kind", expected) != expected:
        raise InputError(f"recipe {path}: kind {tree['kind']!r}; give a recipe of kind {expected}")
    return loader.build(tree, kind, (), str(path))


def seeds(recipe: Seeded) -> range:
    """The seeds of a recipe's trainings."""
    return range(recipe.first_seed, recipe.first_seed + recipe.seeds)
