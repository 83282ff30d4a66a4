"""Files that can be made anew, in the user's cache: where they lie, and what is wrong with them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

import platformdirs
from safetensors import SafetensorError

from gscon_live.common.errors import InputError

#: What a file that was cut short or overwritten makes its reader say.
_DAMAGED = (OSError, EOFError, ValueError, KeyError, RuntimeError, BadZipFile, SafetensorError)


def folder(kind: str) -> Path:
    """The folder of a kind of files, which is made where it is not there."""
    path = Path(platformdirs.user_cache_dir("gscon-live")) / kind
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Within it, what a damaged file raises is an `InputError` that names the file."""
    try:
        yield
    except _DAMAGED as error:
        raise InputError(
            f"cache {path}: cannot be read ({' '.join(str(error).split())}); delete it, and it is "
            "made anew"
        ) from error
