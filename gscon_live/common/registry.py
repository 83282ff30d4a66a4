"""Tables of things that are chosen by name, and what these are set to."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, TypeVar

import msgspec

from gscon_live.common.errors import InputError

T = TypeVar("T", bound=msgspec.Struct)


def member(what: str, name: str, table: Mapping[str, str]) -> Any:
    """What a table has under a name, imported now.

    Args:
        what: what is chosen, for messages.
        name: its name.
        table: by name, the module and the class, with a dot between.

    Raises:
        InputError: the table does not have it.
    """
    if name not in table:
        raise InputError(f"{what} {name!r}: there is none; give one of {', '.join(table)}")
    module, _, made = table[name].rpartition(".")
    return getattr(import_module(module), made)


def settings(where: str, given: Mapping[str, Any], kind: type[T], noun: str) -> T:
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
