"""What every command of the project has in common: exit codes, one-line errors, `--debug`."""

import argparse
import signal
import sys
import textwrap
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

from gscon_live.common.errors import Failure, InputError

OK, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")


def parser(program: str, summary: str, examples: str) -> argparse.ArgumentParser:
    """An argument parser in the project's manner: a summary, examples, and `--debug`.

    Args:
        program: the command by its name, for example `gscon-live replay`.
        summary: one sentence on what the command does.
        examples: lines to copy, shown under `--help`, that begin with `program`.
    """
    typed = as_typed(program)
    lines = textwrap.dedent(examples).strip().replace(program, typed)
    parser = _Parser(
        prog=typed,
        description=summary,
        epilog="examples:\n" + textwrap.indent(lines, "  "),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def as_typed(program: str) -> str:
    """How the user started this command: `gscon-live replay`, or with `python -m`."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    module = spec.name.removesuffix(".__main__") if spec is not None else ""
    if module == "gscon_live":
        return program.replace("gscon-live", "python -m gscon_live", 1)
    if module.removeprefix("gscon_live.").startswith(("realtime.", "train.")):
        return f"python -m {module}"
    return program


def run(main: Callable[[Sequence[str]], int | None], arguments: Sequence[str] | None = None) -> int:
    """Runs a command's `main` and turns the way it ends into an exit code.

    0 done, 2 the request or the input is wrong, 1 it failed, 130 stopped with Ctrl-C. Errors are
    one line on standard error; `--debug` among the arguments adds the traceback.
    """
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words
    try:
        return main(words) or OK
    except (InputError, Failure) as error:
        shown: Exception = error
        code = WRONG_INPUT if isinstance(error, InputError) else FAILED
        message = " ".join(str(error).split())
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): not an error, and nothing left to flush to.
        sys.stdout = None
        return OK
    except Exception as error:  # the last line of defence: still one line
        shown = error
        code = FAILED
        message = f"{type(error).__name__}: {' '.join(str(error).split())}; run with --debug"
    if debug:
        traceback.print_exception(shown)
    print(f"error: {message}", file=sys.stderr)
    return code


def terminate_like_interrupt() -> None:
    """Lets SIGTERM end a command the way Ctrl-C does, with complete files."""

    def raise_interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, raise_interrupt)


def is_override(word: str) -> bool:
    """Whether a word of the command line is `key=value` and no path."""
    key, equals, _ = word.partition("=")
    return bool(equals) and all(part.isidentifier() for part in key.split("."))
