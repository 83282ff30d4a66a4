"""Registries of classes by name: the project's own, and those of other packages."""

import sys
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

import msgspec

from gscon_live.common.errors import InputError
from gscon_live.common.suggestions import did_you_mean

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)


class Registry(Generic[T]):
    """Classes of a kind by name, imported on use.

    Another package adds one by an entry point, in its `pyproject.toml`:

        [project.entry-points."gscon_live.networks"]
        mine = "my_package.network:Mine"

    Args:
        noun: the kind, for messages: "network".
        base: the base class of all of them.
        table: the project's own classes, as "module.Class" by name.
        group: the entry point group of other packages; "" for none.
    """

    def __init__(
        self, noun: str, base: type[Any], table: Mapping[str, str], group: str = ""
    ) -> None:
        self.noun = noun
        self.table = table
        self._base = base
        self._group = group

    def names(self) -> list[str]:
        """All names: the project's in their order, then those of other packages."""
        return [*self.table, *sorted(self._added().keys() - self.table.keys())]

    def get(self, name: str) -> type[T]:
        """The class of that name.

        Raises:
            InputError: no such name, the same name from two packages, a class that cannot be
                imported, or one that does not inherit from the base class.
        """
        added = self._added()
        entries = added.get(name, [])
        if name in self.table and not entries:
            module, _, attribute = self.table[name].rpartition(".")
            cls: Any = getattr(import_module(module), attribute)
            return self._checked(cls, f"{self.noun} {name!r}")
        if not entries:
            raise InputError(
                f"{self.noun} {name!r}: there is none; {did_you_mean(name, self.names())}"
                f"give one of {', '.join(self.names())}"
            )
        packages = [_package(entry) for entry in entries]
        if name in self.table or len(entries) > 1:
            own = ["gscon-live"] if name in self.table else []
            raise InputError(
                f"{self.noun} {name!r}: comes from {' and from '.join([*own, *packages])}; "
                "uninstall all but one of them, or rename one"
            )
        origin = f"{self.noun} {name!r} of {packages[0]} ({entries[0].value})"
        try:
            cls = entries[0].load()
        except Exception as error:  # another package's code runs here and may raise anything
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise InputError(
                f"{origin}: cannot be imported: {reason}; correct that package"
            ) from error
        return self._checked(cls, origin)

    def _added(self) -> Mapping[str, list[EntryPoint]]:
        return _entry_points(self._group, tuple(sys.path)) if self._group else {}

    def _checked(self, cls: object, origin: str) -> type[T]:
        if isinstance(cls, type) and issubclass(cls, self._base):
            return cls
        raise InputError(
            f"{origin}: is no {self.noun}; it must be a class that inherits from "
            f"{self._base.__module__}.{self._base.__qualname__}"
        )


def settings(context: str, values: Mapping[str, Any], kind: type[S], noun: str) -> S:
    """Values checked against `kind`, with its defaults for missing ones. `noun` is the word for
    them in messages.

    Raises:
        InputError: a wrong key or value; names `context` and the known keys.
    """
    try:
        return msgspec.convert(dict(values), kind)
    except msgspec.ValidationError as error:
        names = ", ".join(kind.__struct_fields__) or "none"
        raise InputError(f"{context}: {error}; its {noun} are: {names}") from error


@cache
def _entry_points(group: str, path: tuple[str, ...]) -> Mapping[str, list[EntryPoint]]:
    """The entry points of a group by name, as the packages on `path` give them: looked up once,
    since all installed packages are read for it."""
    added: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=group):
        added.setdefault(entry.name, []).append(entry)
    return added


def _package(entry: EntryPoint) -> str:
    return f"package {entry.dist.name}" if entry.dist is not None else "a package"
