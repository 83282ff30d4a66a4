"""Every command that the documentation shows is accepted by the program that it is for."""

import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from as_told import shown
from commands import OTHERS, SUBCOMMANDS, check, extras, lines
from pages import ROOT, Block, blocks, module, pages

from gscon_live.common.errors import InputError
from gscon_live.realtime.events import sinks

#: What begins a command in running text.
PROGRAMS = ("gscon-live ", "python ", "pip ", "make ", *(f"{name} " for name in OTHERS))


def commands() -> list[object]:
    """Every command line of the pages, with the place where it stands."""
    shown_lines = [(block.name, line) for block in blocks("sh") for line in lines(block)]
    shown_lines += [
        (page.name, code)
        for page in pages()
        for code in page.inline_code
        # A command's name alone speaks of the command.
        if code.startswith(PROGRAMS) and code.removeprefix("gscon-live ") not in SUBCOMMANDS
    ]
    return [pytest.param(line, id=f"{place} {line}") for place, line in dict.fromkeys(shown_lines)]


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network, the plug-in and the sink of the documentation, which some commands name."""
    for part in shown(tmp_path):
        # So that it is taken out again.
        monkeypatch.setitem(sys.modules, part.module, None)  # type: ignore[arg-type]
        part.loaded()
        monkeypatch.setitem(part.table, part.name, part.where)
    monkeypatch.setitem(sys.modules, "documented_sink", module("docs/extend/sink.md"))
    monkeypatch.setitem(sinks.SINKS, "md", "documented_sink.Markdown")


@pytest.mark.parametrize("line", commands())
@pytest.mark.usefixtures("examples")
def test_a_command_of_the_documentation_is_accepted(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check(line)
    # No name is deprecated.
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "line",
    [
        "gscon-live replay a.mp4 --evnets out.jsonl",
        "gscon-live live segmentation.hangovr=1",
        "gscon-live fit nothing",
        "gscon-live fit meld model=nothing",
        "gscon-live subscribe --format xml",
    ],
)
def test_a_command_with_a_mistake_is_refused(line: str) -> None:
    with pytest.raises(InputError):
        check(line)


@pytest.mark.parametrize(
    "line", ["gscon-live leaderboard nothing", "make coffee", "pip install .[nothing]", "rm -r x"]
)
def test_an_unknown_name_is_refused(line: str) -> None:
    with pytest.raises(AssertionError):
        check(line)


def test_every_subcommand_is_shown() -> None:
    shown_here = {line.split()[1] for block in blocks("sh") for line in lines(block)
                  if line.startswith("gscon-live ")}  # fmt: skip
    assert shown_here == set(SUBCOMMANDS)


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_option_is_on_a_page(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The options of the commands for users are on the page about using them."""
    with pytest.raises(SystemExit):
        import_module(SUBCOMMANDS[name]).main(["--help"])
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", capsys.readouterr().out))
    assert options >= {"--help", "--debug"}
    on_one_page = name in ("live", "replay", "subscribe")
    text = "".join(page.text for page in pages() if not on_one_page or page.name == "docs/use.md")
    assert [option for option in sorted(options) if option not in text] == []


def test_commands_that_are_named_alone_are_there() -> None:
    named = {code.split()[1] for page in pages() for code in page.inline_code
             if code.startswith("gscon-live ") and code.split()[1] != "--help"}  # fmt: skip
    assert named <= set(SUBCOMMANDS)


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.name)
def test_entry_points_are_those_that_are_read(block: Block) -> None:
    groups = tomllib.loads(block.code)["project"]["entry-points"]
    assert set(groups) == {"gscon_live.networks", "gscon_live.plugins", "gscon_live.sinks"}
    for names in groups.values():
        for target in names.values():
            module, colon, name = target.partition(":")
            assert colon
            assert all(part.isidentifier() for part in [*module.split("."), name])


def test_every_extra_is_on_the_page_of_installation() -> None:
    page = (ROOT / "docs/install.md").read_text(encoding="utf-8")
    assert [name for name in extras() if f"| `{name}` |" not in page] == []
