"""Atomic writes, and checks of output paths."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gscon_live.common.errors import Failure, InputError


def check_output(path: Path | str) -> None:
    """Refuses a path that cannot be written to. Call it before any work is done.

    Raises:
        InputError: the path is a folder, or its folder does not exist.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the path of a file")
    if not path.parent.is_dir():
        raise InputError(f"{path}: its folder does not exist; create it or give another path")


def check_new_folder(path: Path | str) -> None:
    """Refuses an output folder with files in it. Call it before any work is done.

    Raises:
        InputError: the path is a file, or a folder that is not empty.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file; give a new folder")
    if path.is_dir() and any(path.iterdir()):
        raise InputError(f"{path}: not empty, and nothing is overwritten; give a new folder")


@contextmanager
def replacing(path: Path, alone: bool = True) -> Iterator[Path]:
    """Yields a temporary path in the same folder, which replaces `path` at the end. If writing
    fails, the temporary file is deleted and `path` stays unchanged.

    Args:
        path: the file; its folder must exist.
        alone: no other process writes the same file at the same time. If false, temporary names
            differ by process, and the leftover of a killed process is not overwritten.
    """
    process = "" if alone else f"-{os.getpid()}"
    unfinished = path.with_name(f".{path.stem}.unfinished{process}{path.suffix}")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file atomically: it is complete or missing."""
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)


def write_output(path: Path, content: bytes) -> None:
    """Writes a file that the user asked for, atomically.

    Raises:
        Failure: the file cannot be written; what was there before is left as it was.
    """
    try:
        write_whole(path, content)
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}; check permissions and space left") from error
