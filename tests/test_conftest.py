"""What a test leaves in a cache is its own; the user's is out of reach, or else it is told."""

import os
import subprocess
import sys
from pathlib import Path

from gscon_live.train.data.cache import folder

#: Tests that say nothing of caches, one with a place of its own, and one that breaks out.
TESTS = """
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


def test_only_a_test_that_breaks_out_reaches_the_users_cache_and_is_told(tmp_path: Path) -> None:
    (tmp_path / "test_of_a_user.py").write_text(TESTS, encoding="utf-8")
    (tmp_path / "conftest.py").symlink_to(Path(__file__).with_name("conftest.py"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", tmp_path],
        env={**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": ""},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
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
