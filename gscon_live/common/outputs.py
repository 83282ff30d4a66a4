"""The plan of what a command reads and writes: no output destroys what others made."""

import os
import socket
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from gscon_live.common.errors import InputError
from gscon_live.common.files import check_new_folder, check_output

#: Whether a file is one of ours, by its first bytes.
Recognise = Callable[[bytes], bool]

#: The number of bytes by which a file is recognised.
_HEAD = 65_536


class _Input(NamedTuple):
    """A file that the command reads, and what it is: `the recording`."""

    path: Path
    what: str


class _Output(NamedTuple):
    """A path that the command writes, and the option that names it."""

    path: Path
    option: str
    check: Callable[[], None]


class Outputs:
    """Collects the inputs and outputs of a command, and refuses an output that is an input, another
    output, or a file that somebody else made.

    A file counts as ours if its format's own test recognises its beginning. An empty file holds
    nothing, and devices and pipes keep nothing: they may be written to.
    """

    def __init__(self) -> None:
        self._inputs: list[_Input] = []
        self._outputs: list[_Output] = []

    def reads(self, path: Path | str, what: str) -> None:
        """Adds an input. It need not exist: `talk.vtt` would be read as the captions of `talk.mkv`
        next time.

        Args:
            path: the file.
            what: what it is, for the error.
        """
        self._inputs.append(_Input(Path(path), what))

    def writes(
        self, path: Path | str, option: str, ours: Recognise, endings: Sequence[str] = ()
    ) -> None:
        """Adds a file that will be written.

        Args:
            path: the file.
            option: what names it on the command line.
            ours: recognises a file of this kind that this project wrote.
            endings: the possible endings; none given: any.
        """
        path = Path(path)
        self._outputs.append(_Output(path, option, lambda: _check_file(path, ours, endings)))

    def makes(self, path: Path | str, option: str, *names: str) -> None:
        """Adds a new folder that will be made, and the names of files in it."""
        path = Path(path)
        self._outputs.append(_Output(path, option, lambda: check_new_folder(path)))
        self._outputs += [_Output(path / name, option, lambda: None) for name in names]

    def binds(self, path: Path | str, option: str) -> None:
        """Adds a socket file that will be made."""
        path = Path(path)
        self._outputs.append(_Output(path, option, lambda: check_socket(path)))

    def check(self) -> None:
        """Checks everything. Call it before anything is read, loaded or downloaded.

        Raises:
            InputError: an output would destroy something, or cannot be written.
        """
        for number, output in enumerate(self._outputs):
            if _keeps_nothing(output.path):
                continue
            for other in self._inputs:
                if _same(output.path, other.path):
                    raise InputError(
                        f"{output.option} {output.path}: is {other.what}, which would be lost; "
                        "give another path"
                    )
            for other_output in self._outputs[:number]:
                if _same(output.path, other_output.path):
                    raise InputError(
                        f"{output.option} {output.path}: {other_output.option} writes there, too; "
                        "give each a path of its own"
                    )
        for output in self._outputs:
            output.check()


def check_socket(path: Path) -> None:
    """Refuses a path for a socket at which something else is: ZeroMQ would delete it.

    Raises:
        InputError: a file, a folder or the socket of a running program is there, or the folder of
            the path does not exist.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:
        if not path.parent.is_dir():
            raise InputError(
                f"ipc://{path}: its folder does not exist; create it or give another path"
            ) from None
        return
    if not stat.S_ISSOCK(mode):
        raise InputError(
            f"ipc://{path}: something else is there and would be deleted; give a new path"
        )
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return  # a file that an ended program has left
    raise InputError(f"ipc://{path}: another program publishes there; give another path")


def _check_file(path: Path, ours: Recognise, endings: Sequence[str]) -> None:
    check_output(path)
    special = path.exists() and not path.is_file() and not path.is_dir()
    if endings and not special and path.suffix.lower() not in endings:
        kinds = " or ".join(endings)
        raise InputError(f"{path}: it is written as {kinds}; give a path with this ending")
    if not path.is_file():
        return
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise InputError(
            f"{path}: is there and cannot be read ({error.strerror}); give another path"
        ) from error
    if head and not ours(head):
        raise InputError(
            f"{path}: is there already and was not written by this command; "
            "give another path, or delete it first"
        )


def _same(first: Path, second: Path) -> bool:
    """Whether both are one file, by links too."""
    try:
        return os.path.samefile(first, second)
    except OSError:  # one of them does not exist
        return _resolved(first) == _resolved(second)


def _resolved(path: Path) -> str:
    return os.path.normcase(os.path.realpath(path))


def _keeps_nothing(path: Path) -> bool:
    """Whether it is a device such as /dev/null, which several may write to."""
    try:
        return stat.S_ISCHR(path.stat().st_mode)
    except OSError:
        return False
