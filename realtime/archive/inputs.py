"""The recordings that a command is given: files, folders, globs and lists of paths."""

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gscon_live.common.errors import InputError
from gscon_live.realtime.capture.recording_inputs import has_ending


class Problem(NamedTuple):
    """A path that gives no recordings, and why, with the remedy."""

    path: str
    reason: str


class Inputs(NamedTuple):
    """The recordings in order, each once, and what could not be read."""

    recordings: list[Path]
    problems: list[Problem]


def expand(
    words: Sequence[str], lists: Sequence[str] = (), leave_out: Path | None = None
) -> Inputs:
    """The recordings of files, folders (with all folders in them), globs and lists.

    A file that is named is taken whatever its ending; of folders and globs, only those
    with the ending of a recording, and no hidden files.

    Args:
        words: paths and globs.
        lists: text files with a path or glob a line; `-` is standard input. Empty lines and those
            that begin with `#` are left out. Relative paths count from the current folder.
        leave_out: a folder that is not looked into, such as the output.

    Raises:
        InputError: a word or a list does not exist, or nothing is given.
    """
    problems: list[Problem] = []
    paths: list[Path] = []
    outside = None if leave_out is None else os.path.realpath(leave_out)
    for word in words:
        if not os.path.lexists(word) and not glob.has_magic(word):
            raise InputError(f"{word}: no such file or folder; check the path")
        paths += _of_word(word, outside, problems)
    for name in lists:
        for line in _lines(name):
            if not os.path.lexists(line) and not glob.has_magic(line):
                problems.append(Problem(line, f"no such file or folder; correct it in {name}"))
            paths += _of_word(line, outside, problems)
    if not paths and not problems:
        given = ", ".join([*words, *lists])
        raise InputError(
            f"{given}: no recordings there; give folders, globs or files, for example *.mp4"
        )
    return Inputs(list({os.path.realpath(path): path for path in paths}.values()), problems)


def _of_word(word: str, outside: str | None, problems: list[Problem]) -> Iterator[Path]:
    if os.path.isdir(word):
        yield from _of_folder(word, outside, problems)
    elif os.path.lexists(word):
        yield _absolute(word)
    else:
        matches = sorted(glob.glob(word, recursive=True))
        if glob.has_magic(word) and not matches:
            problems.append(Problem(word, "matches nothing; check the pattern"))
        for match in matches:
            if os.path.isdir(match):
                yield from _of_folder(match, outside, problems)
            elif _is_recording(match):
                yield _absolute(match)


def _of_folder(folder: str, outside: str | None, problems: list[Problem]) -> Iterator[Path]:
    def tell(error: OSError) -> None:
        reason = f"cannot be read ({error.strerror}); change its permissions"
        problems.append(Problem(str(error.filename), reason))

    for here, folders, files in os.walk(folder, onerror=tell):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(here, name)) != outside
        )
        if os.path.realpath(here) == outside:
            folders[:] = []
            continue
        yield from (
            _absolute(os.path.join(here, name)) for name in sorted(files) if _is_recording(name)
        )


def _is_recording(path: str) -> bool:
    name = os.path.basename(path)
    return not name.startswith(".") and has_ending(name)


def _absolute(path: str) -> Path:
    return Path(os.path.abspath(path))


def _lines(name: str) -> list[str]:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise InputError(f"--list {name}: {error.strerror}; give a text file of paths") from error
    lines = [os.fsdecode(line).strip() for line in data.removeprefix(b"\xef\xbb\xbf").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]
