"""`gscon-live COMMAND ...`: all commands of the project by name."""

from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple, NoReturn

from gscon_live import __version__
from gscon_live.common import cli, signals
from gscon_live.common.errors import InputError
from gscon_live.common.suggestions import did_you_mean


class Command(NamedTuple):
    """A command: the module with its `main`, and a summary."""

    module: str
    summary: str


#: The commands by name, in the order of typical use.
COMMANDS: dict[str, Command] = {
    "live": Command("realtime.live", "emotions from microphone and camera, as people talk"),
    "replay": Command("realtime.replay", "emotions of recorded conversations"),
    "archive": Command(
        "realtime.archive.__main__", "emotions of many recordings: reports, tables, an index"
    ),
    "subscribe": Command("realtime.subscribe", "the events of a running session"),
    "page": Command("realtime.page", "a running session in the browser"),
    "outlet": Command(
        "realtime.outlets.__main__", "a running session for laboratories, stages and agents"
    ),
    "push": Command("realtime.push", "gives a recording or a stream to a live session, as if live"),
    "report": Command("realtime.report", "a page to read in a browser, from a file of events"),
    "convert": Command(
        "realtime.convert.__main__", "events as tables, captions, or for annotation tools"
    ),
    "doctor": Command("realtime.doctor", "devices, models and files: found or missing, and why"),
    "setup": Command("realtime.setup", "fetches a Whisper model for the words, or a text encoder"),
    "voices": Command("realtime.voices", "voices of people who agree, to know them by name"),
    "keys": Command("realtime.keys", "keys for events that leave this machine"),
    "bench": Command("realtime.bench.__main__", "how fast the pipeline is on this machine"),
    "fit": Command("train.fit", "trains a model by a recipe"),
    "evaluate": Command("train.evaluate", "what a trained model is worth"),
    "leaderboard": Command("train.leaderboard.__main__", "trained models beside each other"),
    "shares": Command("train.shares", "what words, voice and face contribute"),
    "bench-faces": Command("train.bench.faces", "which face detector finds what"),
    "bench-train": Command("train.bench.__main__", "what training and an answer cost"),
}


def main(words: Sequence[str]) -> int | None:
    """Runs the command of the first word with the other words as arguments.

    Raises:
        InputError: there is no such command, or its extra is not installed.
    """
    name, arguments = (words[0], words[1:]) if words else ("--help", words)
    if name in ("-h", "--help", "help"):
        print(_help())
        return cli.OK
    if name == "--version":
        print(f"gscon-live {__version__}")
        return cli.OK
    if name not in COMMANDS:
        raise InputError(
            f"{name!r}: no such command; {did_you_mean(name, COMMANDS)}"
            f"The commands are {', '.join(COMMANDS)}; see {cli.as_typed('gscon-live')} --help"
        )
    module = import_module(f"gscon_live.{COMMANDS[name].module}")
    signals.raise_interrupts()
    code: int | None = module.main(arguments)
    return code


def console() -> NoReturn:
    """Entry point of the console script."""
    cli.program(main)


def _help() -> str:
    program = cli.as_typed("gscon-live")
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {program} COMMAND ...",
            "",
            "Recognises the emotions of a conversation while it runs, or from its recording.",
            "",
            "commands:",
            *lines,
            "",
            f"{program} COMMAND --help shows the options; {program} --version gives the version.",
        ]
    )
