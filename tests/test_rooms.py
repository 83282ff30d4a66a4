"""The rooms of the project have doors, and each package says what types it has.

A room is a folder of modules, or one module that `DOORS` names by itself. A new folder is a new
line in `DOORS`, below all the rooms that it imports.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "gscon_live"
#: The folders at the top of the checkout; installed, they lie in the package.
TOPS = ("configs", "model", "realtime", "train")
#: Longer modules have more than one idea.
MOST_LINES = 350

#: Which rooms a room may import. A room stands below all that it imports, so that there is no
#: circle; `model/` stands for `model` and all in it that is above. A room may import itself.
DOORS: dict[str, str] = {
    # For everybody
    "gscon_live/common": "",
    "configs": "gscon_live/common",
    # From signals to an emotion; `model` itself has labels, features, conversations and weights
    "model": "gscon_live/common",
    "model/encoders": "model",
    "model/encoders/face": "gscon_live/common model model/encoders",
    "model/encoders/text": "gscon_live/common model model/encoders",
    "model/encoders/voice": "gscon_live/common model model/encoders",
    "model/encoders/speaker": "gscon_live/common model model/encoders model/encoders/voice",
    "model/speech": "gscon_live/common model",
    "model/networks/architecture.py": "gscon_live/common model",
    "model/networks/layers": "model model/networks/architecture.py",
    "model/networks": "gscon_live/common model model/networks/",
    "model/networks/baselines": "model model/networks/",
    "model/checkpoint.py": "gscon_live/common model model/networks/",
    "model/recogniser.py": "gscon_live/common model model/networks/ model/checkpoint.py",
    # Training
    "train/bounds.py": "",
    "train/markdown.py": "",
    "train/progress.py": "",
    "train/trainables.py": "gscon_live/common train/progress.py",
    "train/recipes.py": "gscon_live/common configs train/trainables.py",
    "train/engine": "gscon_live/common model model/networks/",
    "train/balance": "gscon_live/common model model/networks/ train/bounds.py train/engine",
    "train/corpora": "gscon_live/common model model/encoders/voice model/networks",
    "train/data": (
        "gscon_live/common model model/encoders/ model/speech model/networks/ train/engine"
        " train/corpora train/bounds.py train/progress.py"
    ),
    "train/scoring": (
        "gscon_live/common model model/networks/ model/checkpoint.py train/engine train/corpora"
        " train/data"
    ),
    "train/runs": "gscon_live/common train/progress.py train/engine train/balance",
    "train/save_weights.py": "gscon_live/common model model/checkpoint.py train/runs",
    "train/encoders": (
        "gscon_live/common configs model model/encoders/ model/speech train/bounds.py"
        " train/progress.py train/trainables.py"
        " train/recipes.py train/save_weights.py train/engine train/corpora train/data"
        " train/scoring train/runs"
    ),
    "train/encoders/face": "gscon_live/common model/ train/",
    "train/encoders/text": "gscon_live/common model/ train/",
    "train/encoders/voice": "gscon_live/common model/ train/",
    "train/networks": "gscon_live/common model/ train/",
    "train/strangers": "gscon_live/common model/ train/",
    "train/evaluate.py": "gscon_live/common configs model/ train/",
    "train/leaderboard": "gscon_live/common configs model/ train/",
    "train/bench": (
        "gscon_live/common model/ train/progress.py train/engine train/balance train/corpora"
        " train/data train/runs"
    ),
    "train": "gscon_live/common configs model/ train/",
    # Live and replay
    "realtime/events": "gscon_live/common model",
    "realtime/pipeline": "gscon_live/common configs model model/speech realtime/events",
    "realtime/capture": "gscon_live/common model realtime/pipeline",
    "realtime/listen": (
        "gscon_live/common model model/speech model/encoders/text model/encoders/speaker"
        " realtime/pipeline"
    ),
    "realtime/watch": "gscon_live/common model realtime/pipeline",
    "realtime/recognise": (
        "gscon_live/common model model/recogniser.py realtime/events realtime/pipeline"
    ),
    "realtime/display": "gscon_live/common model realtime/events realtime/pipeline",
    "realtime/outlets": "gscon_live/common model realtime/events",
    "realtime/examples": "realtime/events realtime/outlets",
    "realtime/gateway": "gscon_live/common realtime/events realtime/pipeline realtime/display",
    "realtime/session": "gscon_live/common model/ realtime/",
    "realtime/sample": "gscon_live/common",
    "realtime": "gscon_live/common configs model/ realtime/",
    "realtime/archive": "gscon_live/common configs model/ realtime/",
    "realtime/convert": "gscon_live/common model realtime/",
    "realtime/bench": "gscon_live/common configs model model/encoders/ model/speech realtime/",
    # The front door
    "gscon_live": "gscon_live/common configs model/ realtime/ train/",
}

#: Doors against the order, and why they are open for now.
EXCEPTIONS: dict[tuple[str, str], str] = {}


def within(room: str, pattern: str) -> bool:
    """Whether a room is what a word in `DOORS` stands for."""
    return room == pattern.rstrip("/") or (pattern.endswith("/") and room.startswith(pattern))


def opened(doors: Mapping[str, str]) -> dict[str, set[str]]:
    """The rooms that each room may import: those that its words stand for, from above it."""
    above: list[str] = []
    found: dict[str, set[str]] = {}
    for room, words in doors.items():
        found[room] = {one for one in above for word in words.split() if within(one, word)}
        above.append(room)
    return found


def table_faults(doors: Mapping[str, str]) -> list[str]:
    """The words that stand for no room above their line."""
    above: list[str] = []
    faults = []
    for room, words in doors.items():
        faults += [
            f"DOORS[{room!r}]: {word} is no room above it"
            for word in words.split()
            if not any(within(one, word) for one in above)
        ]
        above.append(room)
    return faults


def dotted(path: str) -> str:
    """The name by which a file of the checkout is imported."""
    parts = list(Path(path).with_suffix("").parts)
    if parts[0] != PACKAGE:
        parts.insert(0, PACKAGE)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(text: str, modules: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Line and name of all that a file imports, in functions and for type checkers too."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield node.lineno, whole if whole in modules else base


def faults(
    sources: Mapping[str, str],
    doors: Mapping[str, str],
    exceptions: Mapping[tuple[str, str], str],
) -> list[str]:
    """What breaks the rules in files, given as path and text."""
    modules = {dotted(path): path for path in sources}
    allowed = opened(doors)
    unused = set(exceptions)
    found = []

    def room(path: str) -> str:
        return path if path in doors else str(Path(path).parent)

    for path, text in sources.items():
        here = room(path)
        if here not in doors:
            found.append(f"{path}: DOORS has no line for the room {here}")
            continue
        for line, name in imports(text, modules):
            first = name.split(".")[0]
            if not first:
                found.append(f"{path}:{line} imports {name}: write the whole name, {PACKAGE}.…")
            elif first in TOPS:
                found.append(f"{path}:{line} imports {name}: write {PACKAGE}.{name}")
            elif first == "tests":
                found.append(f"{path}:{line} imports {name}: the tests are not installed")
            elif first == PACKAGE and name not in modules:
                found.append(f"{path}:{line} imports {name}: there is no such module")
            elif first == PACKAGE:
                there = room(modules[name])
                unused.discard((here, there))
                if there not in allowed[here] | {here} and (here, there) not in exceptions:
                    found.append(
                        f"{path}:{line} imports {name}: there is no door from {here} to {there}"
                    )
    return found + [f"EXCEPTIONS[{pair}]: nobody goes there" for pair in sorted(unused)]


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    """The text of all modules, by their path in the checkout."""
    return {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for top in (*TOPS, PACKAGE)
        for path in sorted((ROOT / top).rglob("*.py"))
    }


def test_a_room_imports_only_where_there_is_a_door(sources: dict[str, str]) -> None:
    assert faults(sources, DOORS, EXCEPTIONS) == []


def test_a_room_stands_below_all_that_it_imports() -> None:
    assert table_faults(DOORS) == []
    allowed = opened(DOORS)
    assert not [pair for pair in EXCEPTIONS if pair[1] in allowed[pair[0]]]


def test_training_and_live_sessions_know_nothing_of_each_other_and_the_model_of_neither() -> None:
    tops = {room: {one.split("/")[0] for one in rooms} for room, rooms in opened(DOORS).items()}
    for room, found in tops.items():
        top = room.split("/")[0]
        assert not found & {
            "configs": {"model", "train", "realtime"},
            "model": {"configs", "train", "realtime"},
            "train": {"realtime"},
            "realtime": {"train"},
        }.get(top, set()), room


def test_every_room_in_the_table_is_there(sources: dict[str, str]) -> None:
    assert sources
    there = {*sources, *(str(Path(path).parent) for path in sources)}
    assert [room for room in DOORS if room not in there] == []


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("from gscon_live.model import labels", None),
        ("import gscon_live.model.labels", None),
        ("from gscon_live.train.data import batches", None),
        ("from gscon_live.train.fit import main", "no door from train/data to train/fit.py"),
        ("from gscon_live.train import fit", "no door from train/data to train/fit.py"),
        ("def f():\n    import gscon_live.train.fit", "no door from train/data to train/fit.py"),
        ("if TYPE_CHECKING:\n    from gscon_live.train.fit import x", "no door from"),
        ("from gscon_live.train import x", "no door from train/data to train"),
        ("from gscon_live.realtime.live import x", "no such module"),
        ("from train import fit", "write gscon_live.train"),
        ("import model.labels", "write gscon_live.model.labels"),
        ("from . import batches", "write the whole name"),
        ("from .batches import x", "write the whole name"),
        ("from tests import toy", "not installed"),
        ("import numpy.linalg", None),
    ],
)
def test_a_closed_door_is_named_with_its_file_and_line(line: str, fault: str | None) -> None:
    doors = {"model": "", "train/data": "model", "train/fit.py": "model train/", "train": "model"}
    sources = {
        "model/labels.py": "",
        "model/__init__.py": "",
        "train/__init__.py": "",
        "train/fit.py": "from gscon_live.train.data import batches",
        "train/data/batches.py": "",
        "train/data/cache.py": f"'''Text.'''\n{line}\n",
    }
    found = faults(sources, doors, {})
    if fault is None:
        assert found == []
    else:
        assert len(found) == 1
        assert found[0].startswith(f"train/data/cache.py:{2 + line.count(chr(10))} imports")
        assert fault in found[0]


def test_what_the_table_lacks_is_said() -> None:
    sources = {"model/labels.py": "", "model/new/thing.py": ""}
    assert faults(sources, {"model": ""}, {}) == [
        "model/new/thing.py: DOORS has no line for the room model/new"
    ]
    assert faults({}, {"a": "", "b": ""}, {("a", "b"): "once"}) == [
        "EXCEPTIONS[('a', 'b')]: nobody goes there"
    ]
    assert table_faults({"a": "b", "b": "a"}) == ["DOORS['a']: b is no room above it"]
    assert table_faults({"a/b": "", "c": "a/ d/"}) == ["DOORS['c']: d/ is no room above it"]


def test_a_door_against_the_order_can_be_left_open() -> None:
    doors = {"model": "", "train": "model"}
    sources = {"model/x.py": "import gscon_live.train.y", "train/y.py": ""}
    assert len(faults(sources, doors, {})) == 1
    assert faults(sources, doors, {("model", "train"): "for now"}) == []


def test_modules_are_small(sources: dict[str, str]) -> None:
    lines = {path: text.count("\n") for path, text in sources.items()}
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}


@pytest.mark.parametrize("top", TOPS)
def test_a_package_is_typed(top: str) -> None:
    assert (ROOT / top / "py.typed").is_file()
