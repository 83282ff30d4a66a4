"""For all tests: nothing of the user is read or changed, and who needs the machine alone has it."""

import fcntl
import itertools
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import platformdirs
import pytest

#: What a test, a library and every process that they start may keep; all of it in one folder.
_KEPT = Path(tempfile.mkdtemp(prefix="gscon-tests-"))
_PLACES = {
    "XDG_CACHE_HOME": "cache",
    "XDG_CONFIG_HOME": "config",
    "XDG_DATA_HOME": "data",
    "HF_HOME": "huggingface",
    "TORCH_HOME": "torch",
    "TORCHINDUCTOR_CACHE_DIR": "torchinductor",
    "npm_config_cache": "npm",
}
#: Settings of the user's that name further places.
_ELSEWHERE = ("HF_HUB_CACHE", "HF_ASSETS_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE")

_USERS_CACHE = Path(platformdirs.user_cache_dir())
#: What of the user's cache is ours or of a library that downloads for us.
_WATCHED = ("gscon-live", "huggingface", "torch")

_STARTS = itertools.count()


def _users_files() -> dict[str, int]:
    """The files in the user's cache, and when they were changed."""
    return {
        str(path): path.stat().st_mtime_ns
        for name in _WATCHED
        for path in sorted((_USERS_CACHE / name).rglob("*"))
        if path.is_file()
    }


_BEFORE = _users_files()
# Here rather than in a fixture: modules of tests read the environment when they are collected.
os.environ.update({name: str(_KEPT / place) for name, place in _PLACES.items()})
for _name in _ELSEWHERE:
    os.environ.pop(_name, None)
# No test may fail since the machine is busy.
hypothesis.settings.register_profile(
    "busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy")

# A shell that starts the tests in the background has them, and all that they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    config.add_cleanup(lambda: shutil.rmtree(_KEPT, ignore_errors=True))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that need the machine alone come last, so that others seldom wait for them."""
    items.sort(key=lambda item: item.get_closest_marker("alone") is not None)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Says to each of the processes that share the tests where their locks are."""
    node.workerinput["locks"] = str(_KEPT)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Where several processes share the tests, one that is marked `alone` has no other beside it,
    from the beginning of its fixtures to their end."""
    worker = getattr(item.config, "workerinput", None)
    if worker is None:
        return (yield)
    # Who waits for the others to end keeps the door, so that none of them begins another.
    with _lock(worker, "door", fcntl.LOCK_EX) as door:
        alone = item.get_closest_marker("alone") is not None
        with _lock(worker, "room", fcntl.LOCK_EX if alone else fcntl.LOCK_SH):
            fcntl.flock(door, fcntl.LOCK_UN)
            return (yield)


@contextmanager
def _lock(worker: dict[str, Any], name: str, how: int) -> Iterator[int]:
    """A lock between processes, on a file."""
    with (Path(worker["locks"]) / name).open("a") as file:
        fcntl.flock(file, how)
        try:
            yield file.fileno()
        finally:  # rather than by closing: a process that was forked has the file too
            fcntl.flock(file, fcntl.LOCK_UN)


def _changed() -> list[str]:
    """The files of the user's that are new, changed or gone since the tests began."""
    now = _users_files()
    return sorted(path for path in {*now, *_BEFORE} if now.get(path) != _BEFORE.get(path))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _changed() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for path in _changed():
        terminalreporter.write_line(
            f"ERROR {path}: a test, or another program meanwhile, changed the user's cache",
            red=True,
        )


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Several threads on a busy machine are slower than one, by far."""
    if torch := sys.modules.get("torch"):  # else nothing that was collected needs it
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def four_utterances(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The beginning of the sample, 17 s: four utterances with words and voice, all but the
    second also with a face."""
    from sessions import cut

    return cut(tmp_path_factory.mktemp("sample") / "four.mkv", 17.0)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The cache of this test alone: empty, and made when something is put into it."""
    place = _KEPT / f"cache-{next(_STARTS)}"
    monkeypatch.setenv("XDG_CACHE_HOME", str(place))
    yield place
    shutil.rmtree(place, ignore_errors=True)
