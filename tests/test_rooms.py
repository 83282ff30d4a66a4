"""The rooms of the project stay apart, and each says what types it has."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("configs", "model", "realtime", "train")
#: What each room may import of ours, besides itself.
ALLOWED = {
    "configs": set(),
    "model": {"configs"},
    "realtime": {"configs", "model"},
    "train": {"configs", "model"},
}
#: Longer modules have more than one idea.
MOST_LINES = 350


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and first name of every import in a file, those inside functions included."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                assert node.level <= len(package), f"{path}:{node.lineno} leaves its package"
                yield node.lineno, package[0]
            else:
                assert node.module is not None
                yield node.lineno, node.module.split(".")[0]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_below_it(room: str) -> None:
    assert modules(room)
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules(room)
        for line, name in imported(path)
        if name in {*ROOMS, "tests"} - ALLOWED[room] - {room}
    ]
    assert wrong == []


def test_imports_are_seen_wherever_they_stand(tmp_path: Path) -> None:
    path = ROOT / "model" / "imagined.py"
    text = "import os.path\ndef f():\n    from train.fit import x\n    from . import y\n"
    seen = sorted({name for _, name in _imported_text(text, path)})
    assert seen == ["model", "os", "train"]


def _imported_text(text: str, path: Path) -> list[tuple[int, str]]:
    class Imagined(type(path)):  # type: ignore[misc]
        def read_text(self, **_: object) -> str:  # type: ignore[override]
            return text

    return list(imported(Imagined(path)))


@pytest.mark.parametrize("room", ROOMS)
def test_modules_are_small(room: str) -> None:
    lines = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n")
        for path in modules(room)
    }
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_typed(room: str) -> None:
    assert (ROOT / room / "py.typed").is_file()
