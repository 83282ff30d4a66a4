"""Configurations that ship with the project, and their loader.

A configuration is a YAML file: a set-up of the live system or a training recipe. It is chosen by
name (a file of this package) or by path, and read into a typed `msgspec.Struct`. Any value can be
overridden on the command line as `key=value`, with dots for nested keys.

A renamed key stays readable for a version: its Struct declares
`deprecated: ClassVar[Mapping[str, str | Renamed]] = {"old": "new"}`. The use of an old name prints
a warning with the new one on standard error.
"""

import math
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import yaml

from gscon_live.common.errors import InputError
from gscon_live.common.suggestions import did_you_mean, nearest_key
from gscon_live.configs.bounded_yaml import UNREADABLE, value_of

T = TypeVar("T", bound=msgspec.Struct)

_FOLDER = Path(__file__).parent


class Renamed(NamedTuple):
    """The new name of a deprecated key whose value changes too.

    `value` computes the new key's value from the old key's value and the new key's current value
    (None where it has none). `exclusive`: both names in one file or in one list of overrides are
    an error; otherwise the later of the two places holds.
    """

    key: str
    value: Callable[[Any, Any], Any]
    exclusive: bool = False


def names(folder: str = "") -> list[str]:
    """The configurations that ship with the project: set-ups, or those of a folder (`train`)."""
    return sorted(path.stem for path in (_FOLDER / folder).glob("*.yaml"))


def find(name_or_path: str | Path, folder: str = "") -> Path:
    """The file of a configuration given by name (`live`) or by path (`my/setup.yaml`).

    Args:
        name_or_path: a name among the shipped configurations, or a path.
        folder: where names are looked up: set-ups, or training recipes (`train`).

    Raises:
        InputError: neither exists.
    """
    directory = _FOLDER / folder
    shipped = directory / f"{name_or_path}.yaml"
    if shipped.parent == directory and os.path.isfile(shipped):
        return shipped
    path = Path(name_or_path)
    if os.path.isfile(path):
        return path
    raise InputError(
        f"configuration {str(name_or_path)!r}: no such file, and not one of "
        f"{', '.join(names(folder))}; {did_you_mean(str(name_or_path), names(folder))}"
        "give one of these names or the path of a YAML file"
    )


def load(name_or_path: str | Path, kind: type[T], overrides: Iterable[str] = ()) -> T:
    """Reads a configuration into `kind`, a Struct that forbids unknown fields.

    Args:
        name_or_path: as for `find`.
        kind: the `msgspec.Struct` that states the keys, their types and defaults.
        overrides: `key=value` strings, later ones win; values are YAML.

    Raises:
        InputError: the file cannot be read, is not a YAML mapping, or has a wrong key or value.
    """
    path = find(name_or_path)
    return build(read(path), kind, overrides, str(path))


def read(path: Path) -> dict[str, Any]:
    """The mapping in a configuration file, as plain values.

    Raises:
        InputError: the file cannot be read or is not a YAML mapping.
    """
    try:
        tree = value_of(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"configuration {path}: cannot be read ({error.strerror}); give another file"
        ) from error
    except UNREADABLE as error:
        raise InputError(f"configuration {path}: {_one_line(error)}; correct the YAML") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise InputError(f"configuration {path}: expected a mapping of keys to values")
    return tree


def build(tree: dict[str, Any], kind: type[T], overrides: Iterable[str], source: str) -> T:
    """Applies `key=value` overrides to a plain tree and checks it against `kind`."""
    notices: dict[str, str] = {}
    tree = _renamed(tree, kind, notices)
    overrides = list(overrides)
    for override in overrides:
        _apply(tree, override, kind, notices)
    _refuse_both({override.partition("=")[0] for override in overrides}, kind)
    _warn(notices)
    return convert(tree, kind, source, overrides)


def convert(tree: Any, kind: type[T], source: str, overrides: Sequence[str] = ()) -> T:
    """Checks a plain tree against `kind` and builds it.

    Args:
        tree: plain values.
        kind: the Struct to build.
        source: where the values come from, for errors.
        overrides: those of them that come from `key=value` words.

    Raises:
        InputError: a wrong key or value; it names the key, and the override or the source.
    """
    notices: dict[str, str] = {}
    tree = _renamed(tree, kind, notices)
    _warn(notices)
    try:
        return msgspec.convert(tree, kind, strict=True)
    except msgspec.ValidationError as error:
        place = _override_of(error, overrides) or f"configuration {source}"
        raise InputError(f"{place}: {_one_line(error)}{_expected(error, tree, kind)}") from error


def override(key: str, value: str | int | bool | None) -> str:
    """A value as the override `key=value`, quoted for YAML."""
    # Quoted, since a word may mean something else in YAML: "HDA Intel: ALC257", "off", "1".
    style = '"' if isinstance(value, str) else None
    dumped = yaml.safe_dump(value, default_style=style, allow_unicode=True, width=math.inf)
    plain = dumped.removesuffix("...\n").strip()  # the mark of a document's end
    return f"{key}={plain}"


def deprecated(kind: type[msgspec.Struct]) -> Mapping[str, str | Renamed]:
    """The old names of keys that a Struct still reads, with the new ones."""
    names = getattr(kind, "deprecated", {})
    # A Struct may have a field of this name, which is no table.
    return names if isinstance(names, Mapping) else {}


def _renamed(tree: Any, kind: Any, notices: dict[str, str], prefix: str = "") -> Any:
    """A copy of a tree in which every deprecated key has its new name.

    `notices` collects the warnings, by old key. If the tree has both names, the new one wins,
    unless `Renamed.value` combines the two. Raises `InputError` where they are exclusive.
    """
    if not _is_struct(kind) or not isinstance(tree, dict):
        return tree
    renamed = dict(tree)
    for old, new in deprecated(kind).items():
        if old in renamed:
            if isinstance(new, Renamed) and new.exclusive and new.key in renamed:
                raise _both(f"{prefix}{old}", f"{prefix}{new.key}")
            value = renamed.pop(old)
            keep = isinstance(new, str) and new in renamed
            _rename(renamed, old, renamed[new] if keep else value, kind, notices, prefix)
    for field in msgspec.structs.fields(kind):
        name = field.encode_name
        if name in renamed:
            renamed[name] = _renamed(renamed[name], field.type, notices, f"{prefix}{name}.")
    return renamed


def _rename(
    node: dict[str, Any],
    old: str,
    value: Any,
    kind: type[msgspec.Struct],
    notices: dict[str, str],
    prefix: str,
) -> None:
    """Sets the new key for the deprecated key `old`, and adds a notice."""
    new = deprecated(kind)[old]
    key = new if isinstance(new, str) else new.key
    node[key] = value if isinstance(new, str) else new.value(value, node.get(key))
    shown = node[key] if isinstance(node[key], str) else override("", node[key]).removeprefix("=")
    notices[f"{prefix}{old}"] = f"{prefix}{key}={shown}"


def _refuse_both(keys: Collection[str], kind: type[msgspec.Struct]) -> None:
    """Raises `InputError` where known keys have an old name and the new one that excludes it."""
    for key in keys:
        holder, last = _holder(key, kind), key.rpartition(".")[2]
        new = deprecated(holder).get(last) if _is_struct(holder) else None
        if isinstance(new, Renamed) and new.exclusive:
            current = key.removesuffix(last) + new.key
            if current in keys:
                raise _both(key, current)


def _both(old: str, new: str) -> InputError:
    return InputError(f"{old} and {new} are the same setting; leave out {old}, the deprecated name")


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _warn(notices: Mapping[str, str]) -> None:
    for old, new in notices.items():
        print(f"{old} is deprecated and will be removed; use {new}", file=sys.stderr)


def _apply(
    tree: dict[str, Any], override: str, kind: type[msgspec.Struct], notices: dict[str, str]
) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise InputError(f"override {override!r}: expected key=value, for example context=8")
    *parents, last = key.split(".")
    node = tree
    for parent in parents:
        # Null counts as an empty mapping, so that keys below it can be set.
        child = {} if node.get(parent) is None else node[parent]
        node[parent] = child
        if not isinstance(child, dict):
            raise InputError(f"override {override!r}: {parent!r} holds a value, not further keys")
        node = child
    holder = _holder(key, kind)
    try:
        value = value_of(text)
    except UNREADABLE as error:
        raise InputError(f"override {override!r}: the value is not YAML") from error
    if _is_struct(holder) and last in deprecated(holder):
        _rename(node, last, value, holder, notices, key.removesuffix(last))
    else:
        node[last] = value


def _holder(key: str, kind: type[Any]) -> type[Any]:
    """The Struct that has the last part of a dotted key as a field. Raises `InputError` for an
    unknown key, and lists the known ones."""
    top = kind
    *parents, last = key.split(".")
    for depth, part in enumerate([*parents, last]):
        if not _is_struct(kind) or (depth == len(parents) and part in deprecated(kind)):
            return kind
        fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
        if part not in fields:
            parent = ".".join(key.split(".")[:depth])
            near = nearest_key(key, dotted_keys(top))
            hint = "" if near is None else f"did you mean {near}? "
            raise InputError(
                f"unknown key {key!r} on the command line; {hint}"
                f"{parent or 'the configuration'} has {', '.join(fields)}"
            )
        if depth < len(parents):
            kind = fields[part]
    return kind


def _expected(error: msgspec.ValidationError, tree: Any, kind: type[msgspec.Struct]) -> str:
    if "unknown field" not in str(error):
        return ""
    keys = _keys_near(str(error), kind)
    unknown = re.search("field `([^`]*)`", str(error))
    hint = did_you_mean(unknown[1], keys) if unknown else ""
    return f"; {hint}the keys are {', '.join(keys)}"


def dotted_keys(kind: type[Any], prefix: str = "") -> list[str]:
    """All keys of a Struct and of those in it, with dots."""
    keys: list[str] = []
    for field in msgspec.structs.fields(kind):
        if _is_struct(field.type):
            keys += dotted_keys(field.type, f"{prefix}{field.encode_name}.")
        else:
            keys.append(f"{prefix}{field.encode_name}")
    return keys


def _override_of(error: msgspec.ValidationError, overrides: Sequence[str]) -> str | None:
    """The last override whose value an error is about; None: it is about another value."""
    path = re.search(r"at `\$\.([\w.]+)", str(error))
    if path is None:
        return None
    for word in reversed(overrides):
        key = word.partition("=")[0]
        if path[1] == key or path[1].startswith(f"{key}."):
            return word
    return None


def _keys_near(message: str, kind: Any) -> Sequence[str]:
    path = message.rpartition("$")[2].strip("`.").split(".") if "$" in message else []
    for part in path:
        fields = msgspec.structs.fields(kind)
        below = {field.encode_name: field.type for field in fields}.get(part)
        if isinstance(below, type) and issubclass(below, msgspec.Struct):
            kind = below
    return [field.encode_name for field in msgspec.structs.fields(kind)]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
