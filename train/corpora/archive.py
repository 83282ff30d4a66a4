"""The archives (ZIP) of corpora: a damaged one is refused with its name."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from gscon_live.common.errors import InputError

#: Bytes of the contents for each byte of the archive at most, beyond the first 64 MB. Sound and
#: pictures hardly shrink; tables do, ten times.
_MOST, _FREE = 50, 64 << 20


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Raises `InputError` with the archive's name where the block meets damage in it."""
    try:
        yield
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{path}: damaged archive ({reason}); download it again") from error


@contextmanager
def opened(path: Path) -> Iterator[ZipFile]:
    """The archive, open for reading inside the block.

    Raises:
        InputError: it is damaged, or would unpack to far more than it has bytes. What the block
            reads from it counts.
    """
    with refusing(path), ZipFile(path) as archive:
        total = sum(member.file_size for member in archive.infolist())
        if total > _MOST * path.stat().st_size + _FREE:
            raise InputError(f"{path}: unpacks to {total} bytes; give the corpus's own archive")
        yield archive
