"""The commands that the documentation shows, given to the programs' own parsers and never run."""

import argparse
import re
import shlex
import tomllib
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import pytest
from pages import ROOT, Block

from gscon_live.commands import COMMANDS
from gscon_live.common import cli
from gscon_live.configs import loader
from gscon_live.model import checkpoint
from gscon_live.realtime.pipeline.settings import Settings
from gscon_live.train.evaluate import STRANGERS
from gscon_live.train.recipes import recipe

#: The subcommands of `gscon-live`, and the module of each.
SUBCOMMANDS = {name: f"gscon_live.{command.module}" for name, command in COMMANDS.items()}
#: Measurements beside these, as modules; their names alone speak of the command.
MEASUREMENTS = {
    f"gscon_live.realtime.bench.{name}"
    for name in (
        "acted_words",
        "ends",
        "languages",
        "leakage",
        "noise",
        "realtimestt",
        "transcription",
    )
}
#: Programs of others, and what may follow them.
OTHERS = {
    "apt-get": {"install"},
    "arecord": {"-f"},
    "pre-commit": {"install"},
    "ray": {"start"},
    "source": {".venv/bin/activate"},
    "zensical": {"build", "serve"},
}


class Parsed(BaseException):
    """A command line was accepted; no base of it is caught by a command."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__()
        self.options = options


def lines(block: Block) -> list[str]:
    """The command lines of a block; continued lines are joined."""
    joined = block.code.replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def parsed(module: str, words: Sequence[str]) -> argparse.Namespace:
    """What a command's own parser makes of its words. Raises `InputError` where it refuses them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("parse_args", "parse_intermixed_args"):
            patch.setattr(argparse.ArgumentParser, name, _stopping(name))
        try:
            import_module(module).main(list(words))
        except Parsed as accepted:
            return accepted.options
    raise AssertionError(f"{module} did not parse its arguments")


def _stopping(name: str) -> Callable[..., None]:
    original = getattr(argparse.ArgumentParser, name)

    def parse(self: argparse.ArgumentParser, *arguments: Any) -> None:
        raise Parsed(original(self, *arguments))

    return parse


def check(line: str) -> None:
    """Fails where a command line would be refused: a program, option, setting, recipe, extra or
    target that there is not."""
    program, *words = shlex.split(line, comments=True)
    program = program.removeprefix(".venv/bin/")
    if words == ["--help"]:
        assert program == "gscon-live"
    elif program == "gscon-live":
        _check_ours(SUBCOMMANDS[words[0]], words[1:])
    elif program in ("python", "python3"):
        _check_python(words)
    elif program == "torchrun":
        if words:
            _check_python(words[words.index("-m") :])
    elif program == "make":
        given = {word for word in words if "=" not in word}
        assert given <= targets(), f"make has the targets {sorted(targets())}"
    elif program == "pip":
        _check_pip(words)
    else:
        assert program in OTHERS, f"a program that the tests do not know: {program}"
        assert words[:1] == [] or words[0] in OTHERS[program]


def _check_ours(module: str, words: Sequence[str]) -> None:
    options = parsed(module, words)
    if module == "gscon_live.train.fit":
        recipe(options.recipe, options.overrides)
    elif module == "gscon_live.train.leaderboard.__main__":
        known = loader.names("leaderboard")
        assert all(name.startswith("runs/") or name in known for name in options.runs)
    elif module == "gscon_live.train.evaluate":
        known = (*checkpoint.names(), STRANGERS)
        assert options.model.startswith("runs/") or options.model in known
    else:
        given = [getattr(options, name, None) for name in ("overrides", "words")]
        settings = [word for words in given if isinstance(words, list) for word in words]
        loader.load("live", Settings, filter(cli.is_override, settings))


def _check_python(words: Sequence[str]) -> None:
    if words[:2] == ["-m", "venv"]:
        return
    if words[:2] == ["-m", "pytest"]:
        assert all((ROOT / word).exists() for word in words[2:] if not word.startswith("-"))
    elif words[:2] == ["-m", "gscon_live"]:
        assert words[2:] == [] or words[2] in SUBCOMMANDS
    elif words[0] == "-m":
        module = f"gscon_live.{words[1].removeprefix('gscon_live.')}"
        known = {name.removesuffix(".__main__"): name for name in SUBCOMMANDS.values()}
        known |= {name: name for name in MEASUREMENTS}
        if module not in MEASUREMENTS or words[2:]:
            _check_ours(known[module], words[2:])
    else:
        assert (ROOT / words[0]).is_file()
        assert words[1:] == []


def _check_pip(words: Sequence[str]) -> None:
    assert words[0] == "install"
    for word in words[1:]:
        named = re.fullmatch(r"(?:gscon-live|\.)(?:\[([\w,]+)\])?", word)
        if named and named[1]:
            assert set(named[1].split(",")) <= extras(), f"the extras are {sorted(extras())}"


def extras() -> set[str]:
    """The extras that the package has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return set(project["optional-dependencies"])


def targets() -> set[str]:
    """The targets that make has for people."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    line = re.search(r"^\.PHONY:(.*)$", text, re.MULTILINE)
    assert line is not None
    return set(line[1].split())
