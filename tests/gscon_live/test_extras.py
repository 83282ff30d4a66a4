"""Extras: what is not installed is named in one line, with the command that installs it."""

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gscon_live.common import extras

ROOT = Path(__file__).parents[2]
#: Folders of the checkout that lie inside the installed package.
ROOMS = ("configs", "model", "realtime", "train")


def distributions(requirements: list[str]) -> set[str]:
    """The names of the distributions that every system is asked for, other extras of ours left
    out."""
    everywhere = [line for line in requirements if ";" not in line]
    names = {re.split(r"[\[<>=!~ ]", line)[0].lower() for line in everywhere}
    return names - {"gscon-live"}


def test_the_modules_of_each_extra_are_those_of_its_distributions() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    by_module = importlib.metadata.packages_distributions()
    for extra, modules in extras.EXTRAS.items():
        asked = distributions(declared["optional-dependencies"][extra])
        given = {name.lower() for module in modules for name in by_module[module]}
        assert asked <= given
        assert len(modules) == len(asked)


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing but the subscriber's needs are installed."""
    site = tmp_path / "site"
    site.mkdir()
    for module in ("msgspec", "zmq"):
        found = importlib.util.find_spec(module)
        assert found is not None
        assert found.origin is not None
        (site / module).symlink_to(Path(found.origin).parent)
        for libraries in Path(found.origin).parents[1].glob(f"py{module}.libs"):
            (site / libraries.name).symlink_to(libraries)
    package = site / "gscon_live"
    package.mkdir()
    for part in [*(ROOT / "gscon_live").iterdir(), *map(ROOT.joinpath, ROOMS)]:
        if part.name != "__pycache__":
            (package / part.name).symlink_to(part)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    return {
        **os.environ,
        "PYTHONPATH": str(site),
        "PYTHONSAFEPATH": "1",
        "BARE_PYTHON": str(python),
    }


def run(environment: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    """Runs Python without the packages that are installed for the tests."""
    return subprocess.run(
        [environment["BARE_PYTHON"], *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_subscriber_needs_two_packages(bare: dict[str, str]) -> None:
    for words in (("-m", "gscon_live", "subscribe", "--help"), ("-m", "gscon_live.realtime.keys",
                  "--help"), ("-c", "from gscon_live import Subscriber; Subscriber().close()"),
                  ("-m", "gscon_live", "convert", "--help"),
                  ("-m", "gscon_live", "outlet", "--help"),
                  ("-m", "gscon_live", "--help")):  # fmt: skip
        done = run(bare, *words)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("module", "extra", "absent"),
    [
        ("realtime.replay", "live", "torch"),
        ("realtime.live", "live", "cv2"),
        ("realtime.doctor", "live", "rich"),
        ("realtime.report", "live", "jinja2"),
        ("realtime.bench", "live", "psutil"),
        ("realtime.page", "web", "starlette"),
        ("realtime.archive", "live", "torch"),
        ("train.fit", "train", "lightning_fabric"),
        ("train.evaluate", "train", "sklearn"),
        ("train.leaderboard", "train", "scipy"),
        ("train.shares", "train", "filelock"),
        ("train.bench", "train", "tensorboard"),
    ],
)
def test_a_command_without_its_extra_says_how_to_install_it(
    bare: dict[str, str], module: str, extra: str, absent: str
) -> None:
    name = {"train.bench": "bench-train"}.get(module, module.partition(".")[2])
    for words in (("-m", f"gscon_live.{module}", "--help"), ("-m", "gscon_live", name, "--help")):
        done = run(bare, *words)
        assert done.returncode == 2, done.stderr
        assert done.stdout == ""
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        assert absent in done.stderr
        assert f"pip install 'gscon-live[{extra}]'" in done.stderr


@pytest.mark.parametrize(("kind", "absent"), [("lsl", "pylsl"), ("osc", "pythonosc")])
def test_an_outlet_without_its_extra_says_how_to_install_it(
    bare: dict[str, str], kind: str, absent: str
) -> None:
    done = run(bare, "-m", "gscon_live", "outlet", kind)
    assert done.returncode == 2
    assert absent in done.stderr
    assert f"pip install 'gscon-live[{kind}]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_events_are_converted_and_read_without_the_extras_as_far_as_that_goes(
    bare: dict[str, str], tmp_path: Path
) -> None:
    events = tmp_path / "talk.jsonl"
    events.write_text(
        '{"type":"session.ended","schema":"gscon.events/1","session":"a","seq":0,"duration":1.0,'
        '"utterances":0,"complete":true}\n'
    )
    for name in ("csv", "srt", "vtt", "label-studio"):
        done = run(bare, "-m", "gscon_live", "convert", str(events), "--to", name)
        assert done.returncode == 0, done.stderr
    for name, extra in (("parquet", "archive"), ("eaf", "archive"), ("report", "live")):
        done = run(bare, "-m", "gscon_live", "convert", str(events), "--to", name)
        assert done.returncode == 2
        assert f"pip install 'gscon-live[{extra}]'" in done.stderr
        assert done.stderr.count("\n") == 1
    code = f"import gscon_live; gscon_live.read({str(events)!r})"
    done = run(bare, "-c", code)
    assert "this needs pandas, which is not installed" in done.stderr.splitlines()[-1]


def test_the_front_door_names_the_missing_extra(bare: dict[str, str]) -> None:
    code = (
        "import sys, gscon_live\nfrom gscon_live.common.errors import InputError\n"
        "sys.executable = sys.argv[1]\n"
        "try:\n    next(gscon_live.recognise('any.mkv'))\n"
        "except InputError as error:\n    print(error)"
    )
    done = run(bare, "-c", code, str(bare["BARE_PYTHON"]))
    assert done.returncode == 0, done.stderr
    assert "pip install 'gscon-live[live]'" in done.stdout


def test_the_front_door_loads_nothing_heavy() -> None:
    code = (
        "import sys, gscon_live; dir(gscon_live); print(*{'torch', 'cv2', 'zmq'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
