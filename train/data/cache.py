"""The user's cache: its folders, and errors for damaged files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

import platformdirs
from safetensors import SafetensorError

from gscon_live.common.errors import InputError

#: Exceptions of readers of a truncated or overwritten file.
_DAMAGED = (OSError, EOFError, ValueError, KeyError, RuntimeError, BadZipFile, SafetensorError)


def folder(kind: str) -> Path:
    """The folder of a kind of files, created where missing."""
    path = Path(platformdirs.user_cache_dir("gscon-live")) / kind
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns the exceptions of a damaged file into an `InputError` that names it."""
    try:
        yield
    except _DAMAGED as error:
        raise InputError(
            f"cache {path}: cannot be read ({' '.join(str(error).split())}); delete it, and it is "
            "made anew"
        ) from error
