"""Files that are either whole or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, alone: bool = True) -> Iterator[Path]:
    """Gives another name in the same folder to write to, which becomes `path` at the end; where
    writing does not succeed, nothing of it stays, and what was there before is as it was.

    Args:
        path: the file; its folder must be there.
        alone: no other process writes the same file at the same time. If one may, names differ by
            process, and what a killed one leaves behind is not written over.
    """
    process = "" if alone else f"-{os.getpid()}"
    unfinished = path.with_name(f".{path.stem}.unfinished{process}{path.suffix}")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file so that it is either whole or not there."""
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)
