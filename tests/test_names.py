"""Names in the code say what a thing is."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOPS = ("configs", "gscon_live", "model", "realtime", "train")

#: Names that could be anything's.
EMPTY = {"found", "made", "mine", "one", "said", "stuff", "thing", "told", "whole"}


@pytest.mark.parametrize("top", TOPS)
def test_no_name_could_be_anythings(top: str) -> None:
    empty = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sorted((ROOT / top).rglob("*.py"))
        for name, line in names(path.read_text(encoding="utf-8"))
        if name.strip("_").lower() in EMPTY
    ]
    assert empty == []


def test_all_that_a_program_names_is_seen() -> None:
    program = (
        "def one(made, *, told=1):\n    found = said = [mine for mine in made]\nclass Thing: pass"
    )
    assert {name for name, _ in names(program)} == {
        "one", "made", "told", "found", "said", "mine", "Thing",
    }  # fmt: skip


def names(program: str) -> Iterator[tuple[str, int]]:
    """The variables, arguments, functions and classes of a program, with their lines. Attributes
    are left out: files of weights have some of them as keys."""
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Name):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno


def test_no_two_files_of_tests_share_a_name() -> None:
    """Test files are imported by their names alone, so a second of a name stops the collection."""
    files = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert sorted(files) == sorted(set(files))
