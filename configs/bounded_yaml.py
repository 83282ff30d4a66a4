"""YAML as configurations have it: plain values, of bounded size."""

import re
from typing import Any

import yaml

#: Keys and values of a configuration at most, those of repeated parts counted each time.
MOST_VALUES = 100_000

#: Exceptions of the YAML reader: its own, those of invalid values (a thirteenth month, bytes that
#: are not text), and those of too deep nesting.
UNREADABLE = (ValueError, RecursionError, yaml.YAMLError)


class _Loader(yaml.SafeLoader):
    """YAML 1.2 values: `on`, `off`, `yes` and `no` are strings, not booleans, and `2e-5` is a
    number. What merges (`<<`) make is bounded."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > MOST_VALUES:
            raise yaml.YAMLError("it merges more keys than any configuration has")


def value_of(text: str) -> Any:
    """A value in YAML. Raises one of `UNREADABLE` for what is none, is too large, or has text that
    cannot be written."""
    value = yaml.load(text, _Loader)
    left = MOST_VALUES
    waiting = [value]
    while waiting:
        part = waiting.pop()
        left -= 1
        if left < 0:
            raise ValueError("it has more values than any configuration")
        if isinstance(part, dict):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple | set):
            waiting += part
        elif isinstance(part, str):
            part.encode()
        elif isinstance(part, int) and part.bit_length() > 64:
            raise ValueError("it has a number of more than 64 bits")
    return value


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)
