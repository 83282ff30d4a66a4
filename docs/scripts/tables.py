"""`python docs/scripts/tables.py`: the tables of the documentation that come from the code.

A page marks the place of such a table:

    <!-- generated: settings camera -->
    ...
    <!-- end -->

The command rewrites all of them. The description of a setting is its comment `#:` in the code. If
there is none, the description on the page is kept.
"""

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec
import yaml
from msgspec.inspect import Type

from gscon_live.common import cli
from gscon_live.common.errors import Failure
from gscon_live.common.files import write_whole
from gscon_live.configs import loader
from gscon_live.model import checkpoint, priors
from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime.pipeline.settings import DAY, Settings
from gscon_live.train.leaderboard.plots import percent
from gscon_live.train.leaderboard.published import PublishedScore, published
from gscon_live.train.trainables import trainable

PAGES = Path(__file__).parents[1]
#: Bounds whose only purpose is to exclude infinity; they are not shown.
LIMITS = (DAY, 1e6)
#: The description of a setting that has none.
MISSING = "(no description)"

_PLACE = re.compile(r"<!-- generated: ([\w ]+) -->\n(.*?)<!-- end -->", re.DOTALL)
_ROW = re.compile(r"^\| `([\w.]+)` \|.*\| (.*?) \|$", re.MULTILINE)


def rendered(page: str) -> str:
    """A page with all its tables rewritten. Raises `Failure` for an unknown table."""
    return _PLACE.sub(lambda place: _filled(place[1], place[2]), page)


def _filled(name: str, before: str) -> str:
    kind, _, group = name.partition(" ")
    makers: dict[str, Callable[[], str]] = {
        "settings": lambda: settings_table(group, dict(_ROW.findall(before))),
        "recipe": lambda: recipe_table(group, dict(_ROW.findall(before))),
        "priors": priors_table,
        "needs": needs_table,
        "measured": measured_table,
        "recall": recall_table,
        "seeds": seeds_table,
        "published": published_table,
        "faults": faults_tables,
    }
    if kind not in makers:
        raise Failure(f"table {name!r}: unknown; expected one of {', '.join(makers)}")
    return f"<!-- generated: {name} -->\n{makers[kind]()}<!-- end -->"


def settings_table(group: str, words: dict[str, str]) -> str:
    """The keys of one group of settings: type, default in `configs/live.yaml`, and meaning.

    Args:
        group: a field of `Settings`, for example "camera".
        words: meanings of keys that the code does not describe.
    """
    shipped = getattr(loader.load("live", Settings), group)
    return _keys(shipped, f"{group}.", words)


def recipe_table(name: str, words: dict[str, str]) -> str:
    """The keys of recipes of one kind: type, default, and meaning.

    Args:
        name: the kind, for example "voice".
        words: meanings of keys that the code does not describe.
    """
    return _keys(trainable(name).recipe(), "", words)


def _keys(struct: msgspec.Struct, prefix: str, words: dict[str, str]) -> str:
    return _table(("key", "type", "default", "what it is"), _key_rows(struct, prefix, words))


def _key_rows(
    struct: msgspec.Struct, prefix: str, words: dict[str, str]
) -> list[tuple[str, str, str, str]]:
    """A row for each key; below a key with keys of its own, those of these."""
    described = comments(type(struct))
    rows = []
    for field in msgspec.structs.fields(struct):
        name = f"{prefix}{field.encode_name}"
        # None is null in YAML.
        meaning = described.get(field.name, words.get(name, MISSING)).replace("None", "null")
        # Users write neither the kind nor deprecated keys.
        if name != "kind" and not meaning.startswith("Deprecated"):
            type_ = kind(msgspec.inspect.type_info(field.type))
            default = _plain(getattr(struct, field.name))
            rows.append((f"`{name}`", type_, f"`{default}`", meaning))
            if (inner := _inner(getattr(struct, field.name), field.type)) is not None:
                rows += _key_rows(inner, f"{name}.", words)
    return rows


def _inner(value: Any, type_: Any) -> msgspec.Struct | None:
    """The value of a key that has keys of its own, or its defaults where it is None; else None."""
    for each in (type(value), *get_args(type_)):
        if inspect.isclass(each) and issubclass(each, msgspec.Struct):
            if any(field.required for field in msgspec.structs.fields(each)):
                continue  # It has no defaults to show.
            return value if isinstance(value, each) else each()
    return None


def comments(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The comments `#:` above the fields of a struct and of its bases, by field."""
    meanings: dict[str, str] = {}
    for base in reversed(struct.__mro__):
        if issubclass(base, msgspec.Struct) and base is not msgspec.Struct:
            meanings |= _own_comments(base)
    return meanings


def _own_comments(struct: type[msgspec.Struct]) -> dict[str, str]:
    source = inspect.getsource(struct)
    lines = source.splitlines()
    (body,) = ast.parse(source).body
    assert isinstance(body, ast.ClassDef)
    meanings = {}
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            above = []
            place = node.lineno - 2
            while lines[place].strip().startswith("#:"):
                above.append(lines[place].strip().removeprefix("#:").strip())
                place -= 1
            if above:
                meanings[node.target.id] = " ".join(reversed(above))
    return meanings


def kind(info: Type) -> str:
    """A type in words, with its bounds."""
    match info:
        case msgspec.inspect.UnionType(types=types):
            return " or ".join(map(kind, types))
        case msgspec.inspect.NoneType():
            return "null"
        case msgspec.inspect.BoolType():
            return "true or false"
        case msgspec.inspect.StrType():
            return "text"
        case msgspec.inspect.LiteralType(values=values):
            return " or ".join(f"`{value}`" for value in values)
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            return _number(info)
        case msgspec.inspect.VarTupleType(item_type=item):
            return f"list of {kind(item)}"
        case msgspec.inspect.DictType():
            return "mapping"
        case msgspec.inspect.StructType(fields=fields):
            return "keys " + ", ".join(f"`{field.encode_name}`" for field in fields)
        case _:
            return str(info)


def _number(info: msgspec.inspect.IntType | msgspec.inspect.FloatType) -> str:
    noun = "whole number" if isinstance(info, msgspec.inspect.IntType) else "number"
    bounds = [
        f"{words} {bound:g}"
        for words, bound in (
            ("above", info.gt), ("from", info.ge), ("below", info.lt), ("to", info.le)
        )
        if bound is not None and bound not in LIMITS
    ]  # fmt: skip
    return " ".join([noun, *bounds])


def priors_table() -> str:
    """The shares of the emotions in the included model's prior, and in the named ones."""
    own = checkpoint.read_card("live").prior
    names = (priors.MODEL, *priors.PROFILES)
    rows = [(f"`{name}`", *(f"{s:.3f}" for s in priors.shares(name, own))) for name in names]
    return _table(("prior", *EMOTIONS), rows)


def needs_table() -> str:
    """The encoders that the included model was trained with."""
    card = checkpoint.read_card("live")
    rows = [
        (m, f"`{card.encoders[m]}`".replace("|", "\\|"), str(card.dims[m]))
        for m in card.architecture.modalities
    ]
    return _table(("modality", "encoder", "length"), rows)


def measured_table() -> str:
    """The scores of the included model, by set of modalities."""
    names = ("weighted_f1", "accuracy", "macro_f1", "balanced_accuracy", "ece")
    rows = [
        (name, *(f"{figures[key]:.3f}" for key in names), str(figures["count"]))
        for name, figures in _sets().items()
    ]
    head = ("set", "weighted F1", "accuracy", "macro F1", "mean recall", "ECE", "utterances")
    return _table(head, rows)


def recall_table() -> str:
    """The included model's recall of each emotion, by set of modalities."""
    emotions = checkpoint.read_card("live").emotions
    rows = [
        (name, *(f"{figures['per_class'][emotion]['recall']:.2f}" for emotion in emotions))
        for name, figures in _sets().items()
    ]
    return _table(("set", *emotions), rows)


#: The sets whose means over seeds are shown, and the material they were measured on.
_SHOWN = {
    **dict.fromkeys(("text+audio+visual", "text+audio", "text+visual", "audio+visual"), "composed"),
    "text": "real: MELD test, gold words and turns",
    **{
        f"text; {share}% of words wrong": f"the same, no punctuation, {share} % of words wrong"
        for share in (0, 12, 30)
    },
    "audio": "acted voices, left-out corpora",
    "visual": "photographs of faces",
    "nothing": "the prior alone",
    **{
        f"{modalities}; all agree": "composed, all agree"
        for modalities in ("text+audio+visual", "text+audio", "text+visual", "audio+visual")
    },
}


def seeds_table() -> str:
    """The scores of the included model, mean and standard deviation over its seeds."""
    over_seeds = checkpoint.read_card("live").scores["seeds"]
    rows = [
        (
            name.partition(";")[0].replace("+", ", "),
            *(
                f"{figure['mean']:.3f} ± {figure['sd']:.3f}"
                for figure in map(over_seeds[name].get, ("weighted_f1", "macro_f1", "ece"))
            ),
            material.replace(", 0 % of words wrong", ""),
        )
        for name, material in _SHOWN.items()
    ]
    return _table(("modalities", "weighted F1", "macro F1", "ECE", "test material"), rows)


def published_table() -> str:
    """The published models that know the past alone, and what is known of their figures."""
    corpora = {"iemocap": "IEMOCAP", "meld": "MELD"}
    rows = [
        (
            model.model,
            model.modalities.replace("+", ", "),
            model.selection,
            str(model.seeds or "unknown"),
            *(_score(model.scores.get(corpus)) for corpus in corpora),
            model.source,
        )
        for model in published()
        if model.context == "past-only"
    ]
    head = ("model", "modalities", "selected on", "trainings", *corpora.values(), "source")
    return _table(head, rows)


def _score(score: PublishedScore | None) -> str:
    if score is None:
        return "–"
    return percent(score.weighted_f1 / 100, None if score.sd is None else score.sd / 100)


#: The headings of faults, by the folder of their tests; the longest folder that fits counts.
_FAULTS = {
    "common": "Outputs",
    "realtime": "Commands",
    "realtime/capture": "Recordings, captions and devices",
    "realtime/listen": "Words",
    "realtime/watch": "Faces",
    "realtime/recognise": "Faces",
    "realtime/session": "Sessions and their processes",
    "realtime/events": "Events and subscribers",
    "realtime/display": "Reports and the screen",
    "configs": "Settings",
    "gscon_live": "Commands",
    "model": "Models",
    "train": "Training",
    "faults": "The system around it",
    "": "Everything else",
}


def faults_tables() -> str:
    """A table for each kind of fault: what was tried, and what happens now."""
    rows: dict[str, list[tuple[str, str]]] = {heading: [] for heading in _FAULTS.values()}
    for path, words in faults(PAGES.parent / "tests"):
        done, _, happens = words.partition(": ")
        if not happens:
            raise Failure(f"{path}: {words!r}; write what is done, a colon, and what happens")
        row = (done.replace("|", "\\|"), happens.removesuffix(".").replace("|", "\\|"))
        rows[_heading(path)].append(row)
    head = ("what is done", "what happens")
    return "\n".join(f"## {name}\n\n{_table(head, rows[name])}" for name in rows if rows[name])


def _heading(path: Path) -> str:
    folder = path.parent.as_posix()
    fitting = [key for key in _FAULTS if not key or f"{folder}/".startswith(f"{key}/")]
    return _FAULTS[max(fitting, key=len)]


def faults(folder: Path) -> Iterator[tuple[Path, str]]:
    """The first line of the docstring of every test that is marked `fault`, and its file below a
    folder. Where the whole file is marked, its tests without a docstring are left out. Read from
    the source: no test is imported."""
    for path in sorted(folder.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        whole = any(map(_marks_all, tree.body))
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef):
                continue
            words = ast.get_docstring(node)
            of_file = whole and words is not None and node.name.startswith("test_")
            if of_file or any(map(_is_fault, node.decorator_list)):
                line = (words or node.name).splitlines()[0]
                yield path.relative_to(folder), line[0].upper() + line[1:] if words else line


def _marks_all(statement: ast.stmt) -> bool:
    """Whether a statement gives all tests of its file the mark: `pytestmark = [...]`."""
    if not isinstance(statement, ast.Assign) or ast.unparse(statement.targets[0]) != "pytestmark":
        return False
    value = statement.value
    return any(map(_is_fault, value.elts if isinstance(value, ast.List) else [value]))


def _is_fault(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(called) == "pytest.mark.fault"


def _sets() -> dict[str, dict[str, Any]]:
    scores = checkpoint.read_card("live").scores
    return {name: figures for name, figures in scores.items() if "weighted_f1" in figures}


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n".replace("| --- ", "|---") for cells in lines)


def _plain(value: object) -> str:
    """A value as YAML."""
    written = yaml.safe_dump(msgspec.to_builtins(value), default_flow_style=True, sort_keys=False)
    return written.removesuffix("\n").removesuffix("...").strip()


def main(arguments: Sequence[str]) -> None:
    """Entry point."""
    parser = cli.parser(
        "python docs/scripts/tables.py",
        "Rewrites the tables of the documentation that come from the code.",
        "python docs/scripts/tables.py",
    )
    parser.parse_args(arguments)
    for path in sorted(PAGES.rglob("*.md")):
        before = path.read_text(encoding="utf-8")
        after = rendered(before)
        if after != before:
            write_whole(path, after.encode())
            print(path)


if __name__ == "__main__":
    sys.exit(cli.run(main))
