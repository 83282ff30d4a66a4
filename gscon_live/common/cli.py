"""Shared parts of all commands: exit codes, one-line errors, `--debug`."""

import argparse
import contextlib
import errno
import io
import os
import sys
import textwrap
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

from gscon_live.common import guard, signals
from gscon_live.common.errors import Failure, InputError

#: The errors of a write to a full disk, or beyond a quota.
_FULL = (errno.ENOSPC, errno.EDQUOT)
#: The errors where no more files may be open.
_NO_MORE_FILES = (errno.EMFILE, errno.ENFILE)
_MORE_FILES = "ulimit -n 1024"
#: The errors of a reader or a terminal that has gone.
_GONE = (errno.EPIPE, errno.EIO)

OK, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")


def parser(program: str, summary: str, examples: str) -> argparse.ArgumentParser:
    """An argument parser with a summary, examples and `--debug`.

    Args:
        program: the command by its name, for example `gscon-live replay`.
        summary: one sentence on what the command does.
        examples: lines that begin with `program`, shown under `--help`.
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


def program(main: Callable[[Sequence[str]], int | None]) -> NoReturn:
    """Runs a command's `main` as this program, and ends with its exit code: see `run`."""
    streams = _open_standard_streams()
    code = _run(main, sys.argv[1:]) if streams else WRONG_INPUT
    # What was asked for is done or given up; a signal could only disturb the end.
    signals.ignore()
    _forget_closed_streams()
    sys.exit(code)


def run(main: Callable[[Sequence[str]], int | None], arguments: Sequence[str] | None = None) -> int:
    """Runs a command's `main` and returns its exit code.

    0 done, 2 the request or the input is wrong, 1 it failed, 130 stopped with Ctrl-C, 143 by
    SIGTERM, 129 since the terminal was closed. An error is one line on standard error; `--debug`
    adds the traceback. All output is UTF-8, whatever the locale: it holds the words of any
    language.
    """
    with signals.restored():
        return _run(main, sys.argv[1:] if arguments is None else arguments)


def _run(main: Callable[[Sequence[str]], int | None], words: Sequence[str]) -> int:
    guard.check()
    debug = "--debug" in words
    _write_utf8()
    try:
        code = main(words) or OK
    except (InputError, Failure) as error:
        shown: Exception = error
        code = WRONG_INPUT if isinstance(error, InputError) else FAILED
        message = " ".join(str(error).split())
    except signals.Interrupted as interrupt:
        _complain(signals.in_words(interrupt.number))
        return signals.exit_code(interrupt.number)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the output is closed (`| head`): not an error, and nothing to flush to.
        sys.stdout = None
        return OK
    except Exception as error:  # unexpected errors are one line, too
        shown = error
        code = FAILED
        message = f"{type(error).__name__}: {' '.join(str(error).split())}; run with --debug"
        if isinstance(error, OSError) and error.errno in _NO_MORE_FILES:
            code = WRONG_INPUT
            message = f"too few files may be open; raise their number with {_MORE_FILES}"
        elif isinstance(error, OSError) and not _output_works():
            message = f"standard output: {error.strerror}; check the space left where it goes"
        elif isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
            # A failed write does not name its file; those that the user asked for are named.
            message = f"standard output or a temporary file: {error.strerror}; check the space left"
    else:
        return _finish_output(code)
    if not _output_works():
        # The interpreter would try again at its end, and print a second error.
        sys.stdout = None
    if debug:
        traceback.print_exception(shown)
    _complain(f"error: {message}")
    return code


def _complain(line: str) -> None:
    with contextlib.suppress(OSError):  # a terminal that was closed
        print(line, file=sys.stderr)


def _finish_output(code: int) -> int:
    """Flushes standard output, here rather than when the interpreter ends, which could only
    complain. Returns the exit code."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        sys.stdout = None
        if error.errno not in _GONE:
            _complain(
                f"error: standard output: {error.strerror}; check the space left where it goes"
            )
            return code or FAILED
    return code


def _forget_closed_streams() -> None:
    """Drops the standard streams that nobody reads any more: the interpreter would try to write
    what is left, and end with another exit code."""
    for name in ("stdout", "stderr"):
        try:
            stream = getattr(sys, name)
            if stream is not None:
                stream.flush()
        except OSError:
            setattr(sys, name, None)


def _open_standard_streams() -> bool:
    """Opens the standard streams that are closed, so that no other file gets their numbers. Returns
    whether there is a standard output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    if sys.stderr is None:
        sys.stderr = open(2, "w")  # noqa: SIM115 - open to the end
    if sys.stdout is None:
        _complain("error: standard output is closed; give it a place, for example >/dev/null")
        return False
    return True


def _write_utf8() -> None:
    """Makes standard output and standard error UTF-8. No line endings are translated: events are
    the same bytes on all systems."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace", newline="")
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(encoding="utf-8", errors="backslashreplace")


def _output_works() -> bool:
    """Whether what was printed so far could be written."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        return False
    return True


def is_override(word: str) -> bool:
    """Whether a word of the command line is `key=value` and not a path."""
    key, equals, _ = word.partition("=")
    return bool(equals) and all(part.isidentifier() for part in key.split("."))
