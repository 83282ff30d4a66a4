"""Atomic writes, and checks of output paths."""

import glob
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gscon_live.common.errors import Failure, InputError

#: Bytes of a file's name up to which the name of its temporary folder holds it, too.
_SHORT = 200


def check_output(path: Path | str) -> None:
    """Refuses a path that cannot be written to. Call it before any work is done.

    Raises:
        InputError: the path is a folder or a disk, its folder does not exist, or the file cannot be
            written there.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        _check_new_file(path)
        return
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give another path") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"{path}: is a folder; give the path of a file")
    if stat.S_ISBLK(mode):
        raise InputError(f"{path}: is a disk, which would be overwritten; give the path of a file")
    # Opening a pipe would wait for its reader.
    if not os.access(path, os.W_OK):
        raise InputError(f"{path}: is not writable; change its permissions or give another path")


def _check_new_file(path: Path) -> None:
    # The file that a link points to need not lie in the link's folder.
    folder = Path(os.path.realpath(path)).parent
    try:
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
    except OSError as error:
        is_folder = isinstance(error, PermissionError)  # the attempt to write says it
    if not is_folder:
        raise InputError(f"{path}: its folder does not exist; create it or give another path")
    _check_writable(path, folder)


def _check_writable(path: Path, folder: Path) -> None:
    """Refuses a folder in which no file can be created. Only trying is sure: permissions do not
    tell of file systems that are read-only."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"{path}: nothing can be written in its folder ({error.strerror}); "
            "change its permissions or give another path"
        ) from error


def check_new_folder(path: Path | str) -> None:
    """Refuses an output folder with files in it. Call it before any work is done.

    Raises:
        InputError: the path is a file, or a folder that is not empty, or it cannot be created or
            written to.
    """
    path = Path(path)
    check_folder(path)
    try:
        if path.is_dir() and any(path.iterdir()):
            raise InputError(f"{path}: not empty, and nothing is overwritten; give a new folder")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a new folder") from error


def check_folder(path: Path | str) -> None:
    """Refuses a folder that cannot be written to, or created where it is missing.

    Raises:
        InputError: that is so, or it is a file.
    """
    path = Path(path)
    # These functions answer no where a folder on the way may not be entered; those of `Path` raise.
    if os.path.exists(path) and not os.path.isdir(path):
        raise InputError(f"{path}: is a file; give a new folder")
    folder = Path(os.path.realpath(path))
    while not os.path.exists(folder):
        folder = folder.parent
    if not os.path.isdir(folder):
        raise InputError(f"{path}: {folder} is a file; give a new folder")
    _check_writable(path, folder)


def make_private_folder(path: Path | str) -> None:
    """Creates a folder that its owner alone may enter, with its parents. An empty one that is there
    becomes private.

    Raises:
        InputError: that is not possible.
    """
    path = Path(path)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give another folder") from error


def private(path: str, flags: int) -> int:
    """An opener for `open`: a file that it creates is readable for its owner alone."""
    return os.open(path, flags, 0o600)


@contextmanager
def replacing(path: Path, alone: bool = True) -> Iterator[Path]:
    """Yields a temporary path in the same file system, which replaces `path` at the end. If writing
    fails, the temporary file is deleted and `path` stays unchanged. The new file has the
    permissions of the old one.

    The temporary file lies in a new folder beside `path`, which nobody else may enter: a link that
    somebody else puts there is never followed.

    Args:
        path: the file; its folder must exist.
        alone: no other process writes the same file at the same time. Then what a killed process
            has left is deleted first.
    """
    short = len(os.fsencode(path.name)) <= _SHORT
    prefix = f".{path.name}.unfinished-" if short else ".unfinished-"
    if alone and short:
        for left in path.parent.glob(f"{glob.escape(prefix)}*"):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
    try:
        unfinished = folder / path.name
        yield unfinished
        if path.is_file():
            shutil.copymode(path, unfinished)
        os.replace(unfinished, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file atomically: it is complete or missing."""
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)


def write_output(path: Path | str, content: bytes) -> None:
    """Writes a file that the user asked for, atomically. A link stays, and the file that it points
    to is written; so is a device or a pipe.

    Raises:
        Failure: the file cannot be written; what was there before is left as it was.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        target = Path(os.path.realpath(path))
        try:
            with replacing(target, alone=False) as unfinished:
                unfinished.write_bytes(content)
        except PermissionError:
            # The folder is not writable, but the file may be.
            if not target.is_file():
                raise
            target.write_bytes(content)
    except OSError as error:
        raise Failure(
            f"{path}: {error.strerror or error}; check permissions and space left"
        ) from error
