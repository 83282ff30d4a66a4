"""Classes that are chosen by name: those of the project, and those that other packages add."""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

import msgspec

from gscon_live.common.errors import InputError

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)


class Registry(Generic[T]):
    """Classes of one kind by name, imported when they are asked for.

    Another package adds one by an entry point, in its `pyproject.toml`:

        [project.entry-points."gscon_live.networks"]
        mine = "my_package.network:Mine"

    Args:
        noun: what is chosen, for messages: "network".
        base: the class that all of them inherit from.
        table: those of the project: by name the module and the class, with a dot between.
        group: the group of entry points that adds more; "" for none.
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
            InputError: there is none, two packages give the same name, it cannot be imported, or
                it is not of this kind.
        """
        added = self._added()
        entries = added.get(name, [])
        if name in self.table and not entries:
            module, _, attribute = self.table[name].rpartition(".")
            found: Any = getattr(import_module(module), attribute)
            return self._checked(found, f"{self.noun} {name!r}")
        if not entries:
            raise InputError(
                f"{self.noun} {name!r}: there is none; give one of {', '.join(self.names())}"
            )
        givers = [_package(entry) for entry in entries]
        if name in self.table or len(entries) > 1:
            ours = ["gscon-live"] if name in self.table else []
            raise InputError(
                f"{self.noun} {name!r}: comes from {' and from '.join([*ours, *givers])}; "
                "uninstall all but one of them, or rename one"
            )
        where = f"{self.noun} {name!r} of {givers[0]} ({entries[0].value})"
        try:
            found = entries[0].load()
        except Exception as error:  # another package's code runs here and may raise anything
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise InputError(f"{where}: cannot be imported: {reason}; mend that package") from error
        return self._checked(found, where)

    def _added(self) -> dict[str, list[EntryPoint]]:
        added: dict[str, list[EntryPoint]] = {}
        for entry in entry_points(group=self._group) if self._group else ():
            added.setdefault(entry.name, []).append(entry)
        return added

    def _checked(self, found: object, where: str) -> type[T]:
        if isinstance(found, type) and issubclass(found, self._base):
            return found
        raise InputError(
            f"{where}: is no {self.noun}; it must be a class that inherits from "
            f"{self._base.__module__}.{self._base.__qualname__}"
        )


def settings(where: str, given: Mapping[str, Any], kind: type[S], noun: str) -> S:
    """Values checked against `kind`; those that are not given are its defaults. `noun` is what
    they are called.

    Raises:
        InputError: naming `where`, what is wrong, and the values that there are.
    """
    try:
        return msgspec.convert(dict(given), kind)
    except msgspec.ValidationError as error:
        known = ", ".join(kind.__struct_fields__) or "none"
        raise InputError(f"{where}: {error}; its {noun} are: {known}") from error


def _package(entry: EntryPoint) -> str:
    return f"package {entry.dist.name}" if entry.dist is not None else "a package"
