"""What a test leaves in a cache is its own; the user's is out of reach, or else it is told. Where
time counts, a test is alone."""

import os
import subprocess
import sys
from pathlib import Path

from gscon_live.train.data.cache import folder

#: Tests that say nothing of caches, one with a place of its own, and one that breaks out.
KEEPING = """
import os, subprocess, sys
import pytest
from gscon_live.train.data.cache import folder

COLLECTED = dict(os.environ)

def keep(name, environment):
    code = "import sys; from gscon_live.train.data.cache import folder; "
    code += "(folder('kept') / sys.argv[1]).touch()"
    subprocess.run([sys.executable, "-c", code, name], env=environment, check=True)

@pytest.fixture(scope="session")
def shared():
    (folder("kept") / "shared").touch()

def test_says_nothing(shared):
    assert list(folder("kept").iterdir()) == []
    (folder("kept") / "test").touch()

def test_starts_a_process():
    keep("process", None)
    assert [path.name for path in folder("kept").iterdir()] == ["process"]
    keep("collected", COLLECTED)

def test_has_its_own_place(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (folder("kept") / "own").touch()
    assert (tmp_path / "gscon-live/kept/own").exists()

def test_breaks_out():
    keep("broken", {**os.environ, "XDG_CACHE_HOME": ""})
"""

#: Tests that note when they, or what they are set up with, were running.
TIMED = """
import time
from pathlib import Path
import pytest

def note(name, seconds):
    began = time.monotonic()
    time.sleep(seconds)
    with open("times", "a") as file:
        file.write(f"{name} {began} {time.monotonic()}\\n")

@pytest.fixture(scope="module")
def slow():
    note("alone", 0.2)
    yield
    note("alone", 0.2)

def test_meets_that_of_the_other_file():
    Path(f"here-{__name__}").touch()
    until = time.monotonic() + 60
    while len(list(Path().glob("here-*"))) < 2:
        assert time.monotonic() < until
        time.sleep(0.01)

@pytest.mark.parametrize("number", range(5))
def test_short(number):
    note("beside", 0.05)

@pytest.mark.alone
@pytest.mark.parametrize("number", range(2))
def test_counts_time(slow, number):
    note("alone", 0.1)
"""


def run(folder: Path, tests: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    """Runs tests in a folder as those of the project, for a user whose home the folder is."""
    for name, text in tests.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "conftest.py").symlink_to(Path(__file__).with_name("conftest.py"))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", folder, *words],
        env={**os.environ, "HOME": str(folder), "XDG_CACHE_HOME": ""},
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_only_a_test_that_breaks_out_reaches_the_users_cache_and_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, {"test_of_a_user.py": KEEPING})
    assert "4 passed" in done.stdout, done.stdout
    mine = tmp_path / ".cache/gscon-live"
    assert [path.name for path in mine.rglob("*") if path.is_file()] == ["broken"]
    told = [line for line in done.stdout.splitlines() if line.startswith("ERROR")]
    assert len(told) == 1
    assert str(mine / "kept" / "broken") in told[0]
    assert done.returncode == 1


def test_the_cache_of_a_test_is_empty_at_first(cache: Path) -> None:
    assert not cache.exists()
    assert list(folder("kept").iterdir()) == []
    assert folder("kept").is_relative_to(cache)


def test_where_time_counts_no_other_test_is_beside(tmp_path: Path) -> None:
    files = {"test_one.py": TIMED, "test_two.py": TIMED}
    done = run(tmp_path, files, "--numprocesses=2", "--dist=loadfile")
    assert "16 passed" in done.stdout, done.stdout + done.stderr
    lines = [line.split() for line in (tmp_path / "times").read_text().splitlines()]
    times = [(name, float(began), float(ended)) for name, began, ended in lines]
    assert len(times) == 18
    for place, (name, began, ended) in enumerate(times):
        others = times[:place] + times[place + 1 :]
        assert name != "alone" or not any(b < ended and began < e for _, b, e in others)
