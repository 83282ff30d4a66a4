"""`gscon-live COMMAND`: every command by its name, refused in one line where it is none."""

import subprocess
import sys
from pathlib import Path

import pytest

import gscon_live
from gscon_live import commands
from gscon_live.common import cli

SCRIPT = Path(sys.executable).with_name("gscon-live")


def say(*words: object, folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*map(str, words)], capture_output=True, text=True, check=False, cwd=folder
    )


@pytest.mark.parametrize("start", [[SCRIPT], [sys.executable, "-m", "gscon_live"]], ids=str)
def test_the_commands_are_listed_as_they_are_typed(start: list[object]) -> None:
    done = say(*start, "--help")
    assert done.returncode == 0
    assert done.stderr == ""
    for name in commands.COMMANDS:
        assert f"\n  {name} " in done.stdout
    typed = "gscon-live" if start == [SCRIPT] else "python -m gscon_live"
    assert done.stdout.startswith(f"usage: {typed} COMMAND")
    assert say(*start).stdout == done.stdout


def test_the_version_is_that_of_the_package() -> None:
    done = say(SCRIPT, "--version")
    assert done.stdout == f"gscon-live {gscon_live.__version__}\n"


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_every_command_helps_by_the_name_that_was_typed(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        commands.main([name, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: gscon-live {name} ")
    examples = shown.partition("examples:\n")[2].splitlines()
    assert examples
    assert all(line.strip().startswith("gscon-live ") for line in examples)


@pytest.mark.parametrize(
    ("typed", "said"), [("replya", "did you mean 'replay'?"), ("", "live, replay"), ("x y", "fit")]
)
def test_an_unknown_command_is_refused_in_one_line(
    typed: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(commands.main, [typed]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert repr(typed) in shown.err
    assert said in shown.err
    assert "--help" in shown.err


@pytest.mark.fault
def test_files_of_the_users_own_get_in_nobodys_way(tmp_path: Path) -> None:
    """A folder with a `model.py` or `train.py` of the user's own: commands work.

    A folder may hold anything under the names of our rooms.
    """
    (tmp_path / "configs").mkdir()
    for name in ("model.py", "train.py", "realtime.py", "configs/__init__.py"):
        (tmp_path / name).write_text("raise SystemExit('not this file')\n")
    help_of_all = (
        "import contextlib\nfrom gscon_live import commands\n"
        "for name in commands.COMMANDS:\n"
        "    with contextlib.suppress(SystemExit):\n"
        "        commands.main([name, '--help'])\n"
    )
    done = say(sys.executable, "-c", help_of_all, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("examples:") == len(commands.COMMANDS)
    for start in ([SCRIPT, "fit"], [sys.executable, "-m", "gscon_live.train.fit"],
                  [sys.executable, "-m", "gscon_live.realtime.replay"]):  # fmt: skip
        done = say(*start, "--help", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "examples:" in done.stdout
    done = say(sys.executable, "-c", "import gscon_live; print(gscon_live.recognise)",
               folder=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
