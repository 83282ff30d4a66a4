"""The recordings that a command is given: files, folders, globs, addresses and lists of them."""

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gscon_live.common.errors import InputError
from gscon_live.realtime.archive import remote
from gscon_live.realtime.capture import recording_inputs
from gscon_live.realtime.capture.recording_inputs import is_recording, is_url, shown_address


class Problem(NamedTuple):
    """A path that gives no recordings, and why, with the remedy."""

    path: str
    reason: str


class Inputs(NamedTuple):
    """The recordings in order, each once, as absolute paths or addresses, and what could not be
    read."""

    recordings: list[str]
    problems: list[Problem]


def expand(
    words: Sequence[str],
    lists: Sequence[str] = (),
    leave_out: Path | None = None,
    allow_url: bool = False,
) -> Inputs:
    """The recordings of files, folders (with all folders in them), globs and lists.

    A file that is named is taken whatever its ending; of folders and globs, only those
    with the ending of a recording, and no hidden files.

    Args:
        words: paths, globs and addresses.
        lists: text files with one of them a line; `-` is standard input. Empty lines and those
            that begin with `#` are left out. Relative paths count from the current folder.
        leave_out: a folder that is not looked into, such as the output.
        allow_url: whether addresses may be opened.

    Raises:
        InputError: a word or a list does not exist, nothing is given, or an address may not be
            opened.
    """
    problems: list[Problem] = []
    paths: list[str] = []
    outside = None if leave_out is None else os.path.realpath(leave_out)
    for word in words:
        if is_url(word):
            paths += _of_address(word, outside, problems, allow_url)
            continue
        if not os.path.lexists(word) and not glob.has_magic(word):
            raise InputError(f"{word}: no such file or folder; check the path")
        paths += _of_word(word, outside, problems)
    for name in lists:
        for line in _lines(name):
            if is_url(line):
                if recording_inputs.file_of_url(line) is None:
                    recording_inputs.check_allowed(line, allow_url)
                try:
                    paths += _of_address(line, outside, problems, allow_url)
                except InputError as error:
                    shown = shown_address(line)
                    reason = str(error).removeprefix(f"{shown}: ")
                    problems.append(Problem(shown, f"{reason}, or correct it in {name}"))
                continue
            if not os.path.lexists(line) and not glob.has_magic(line):
                problems.append(Problem(line, f"no such file or folder; correct it in {name}"))
            paths += _of_word(line, outside, problems)
    if not paths and not problems:
        given = ", ".join([*words, *lists])
        raise InputError(
            f"{given}: no recordings there; give folders, globs or files, for example *.mp4"
        )
    by_place = {path if is_url(path) else os.path.realpath(path): path for path in paths}
    return Inputs(list(by_place.values()), problems)


def _of_address(
    address: str, outside: str | None, problems: list[Problem], allow_url: bool
) -> list[str]:
    path = recording_inputs.file_of_url(address)
    if path is not None:
        if not os.path.lexists(path):
            raise InputError(f"{address}: no such file or folder; check the address")
        return list(_of_word(path, outside, problems))
    recording_inputs.check_allowed(address, allow_url)
    recordings = remote.addresses(address)
    if not recordings:
        problems.append(Problem(address, "no recordings there; check the address"))
    return recordings


def _of_word(word: str, outside: str | None, problems: list[Problem]) -> Iterator[str]:
    if os.path.isdir(word):
        yield from _of_folder(word, outside, problems)
    elif os.path.lexists(word):
        yield os.path.abspath(word)
    else:
        matches = recording_inputs.matches(word)
        if glob.has_magic(word) and not matches:
            problems.append(Problem(word, "matches nothing; check the pattern"))
        for match in matches:
            if os.path.isdir(match):
                yield from _of_folder(match, outside, problems)
            elif is_recording(match):
                yield os.path.abspath(match)


def _of_folder(folder: str, outside: str | None, problems: list[Problem]) -> Iterator[str]:
    def note(error: OSError) -> None:
        reason = f"cannot be read ({error.strerror}); change its permissions"
        problems.append(Problem(str(error.filename), reason))

    files = recording_inputs.files_in(folder, note, deep=True, leave_out=outside)
    yield from (os.path.abspath(path) for path in files if is_recording(path))


def _lines(name: str) -> list[str]:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise InputError(f"--list {name}: {error.strerror}; give a text file of paths") from error
    lines = [os.fsdecode(line).strip() for line in data.removeprefix(b"\xef\xbb\xbf").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]
