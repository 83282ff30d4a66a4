"""Types of the events for programs in TypeScript and C#, written from the JSON Schema.

`python -m realtime.events.client_types typescript` prints the one, `csharp` the other; `make
schema` keeps both in `realtime/examples`. Both ignore fields that they do not know.
"""

import sys
from collections.abc import Mapping
from typing import Any

from gscon_live.realtime.events.schema import SCHEMA, json_schema

#: The class in C# that all events extend.
_HEADER = "Event"

Schema = Mapping[str, Any]

_NOTICE = f"Written from the JSON Schema of {SCHEMA} by `make schema`; do not edit."


def typescript() -> str:
    """The types of TypeScript; `Event` is a union that `event.type` tells apart."""
    schema = json_schema()
    lines = [f"// {_NOTICE}", ""]
    for name, definition in schema["$defs"].items():
        lines += [f"export interface {name} {{"]
        for field, kind in definition["properties"].items():
            mark = "" if field in definition["required"] else "?"
            lines.append(f"  {field}{mark}: {_ts_type(kind)}")
        lines += ["}", ""]
    union = " | ".join(_referred(part) for part in schema["anyOf"])
    return "\n".join([*lines, f"export type Event = {union}", ""])


def _ts_type(kind: Schema) -> str:
    if "$ref" in kind:
        return _referred(kind)
    if "anyOf" in kind:
        return " | ".join(map(_ts_type, kind["anyOf"]))
    if "enum" in kind:
        return " | ".join(f'"{value}"' for value in kind["enum"])
    if "prefixItems" in kind:
        return f"[{', '.join(map(_ts_type, kind['prefixItems']))}]"
    if kind["type"] == "array":
        items = _ts_type(kind["items"])
        return f"({items})[]" if " | " in items else f"{items}[]"
    if kind["type"] == "object":
        return f"Record<string, {_ts_type(kind['additionalProperties'])}>"
    return "number" if kind["type"] == "integer" else str(kind["type"])


def csharp() -> str:
    """The types of C#: plain classes for any reader of JSON that obeys `DataContract`, such as
    Newtonsoft's (Unity's own) and that of .NET. Read a line as `Event` first, to see its type."""
    schema = json_schema()
    events = [_referred(part) for part in schema["anyOf"]]
    definitions: dict[str, Schema] = {_HEADER: _common(schema, events), **schema["$defs"]}
    lines = [f"// {_NOTICE}", "", "using System.Collections.Generic;",
             "using System.Runtime.Serialization;", "", "namespace Gscon", "{"]  # fmt: skip
    for name, definition in definitions.items():
        base = f" : {_HEADER}" if name in events else ""
        lines += ["    [DataContract]", f"    public class {name}{base}", "    {"]
        for field, kind in definition["properties"].items():
            if name in events and field in definitions[_HEADER]["properties"]:
                continue
            optional = field not in definition["required"]
            lines.append(f'        [DataMember(Name = "{field}")]')
            lines.append(f"        public {_cs_type(kind, optional)} {_cs_name(field, name)};")
        lines += ["    }", ""]
    return "\n".join([*lines[:-1], "}", ""])


def _common(schema: Schema, events: list[str]) -> Schema:
    """What all types of events have."""
    first, *others = [schema["$defs"][name]["properties"] for name in events]
    shared = {
        field: kind
        for field, kind in first.items()
        if all(field in other and _cs_type(other[field], False) == _cs_type(kind, False)
               for other in others)
    }  # fmt: skip
    return {"properties": shared, "required": list(shared)}


def _cs_name(field: str, owner: str) -> str:
    """A field of a class; C# has none with the name of its class."""
    name = "".join(part.capitalize() for part in field.split("_"))
    return f"{name}Value" if name == owner else name


def _cs_type(kind: Schema, optional: bool) -> str:
    if "$ref" in kind:
        return _referred(kind)
    if "anyOf" in kind:
        (known,) = [part for part in kind["anyOf"] if part.get("type") != "null"]
        return _cs_type(known, True)
    if "enum" in kind or kind["type"] == "string":
        return "string"
    if kind["type"] == "array":
        items = kind["prefixItems"][0] if "prefixItems" in kind else kind["items"]
        return f"List<{_cs_type(items, False)}>"
    if kind["type"] == "object":
        return f"Dictionary<string, {_cs_type(kind['additionalProperties'], False)}>"
    simple = {"integer": "long", "number": "double", "boolean": "bool", "null": "object"}[
        kind["type"]
    ]
    return f"{simple}?" if optional else simple


def _referred(kind: Schema) -> str:
    return str(kind["$ref"]).rpartition("/")[2]


if __name__ == "__main__":
    print({"typescript": typescript, "csharp": csharp}[sys.argv[1]](), end="")
