"""Where a sink writes its text: a file in UTF-8, or an open stream."""

import contextlib
import errno
import os
import sys
from pathlib import Path
from typing import TextIO

from gscon_live.common.errors import Failure
from gscon_live.common.files import check_output, private

#: A file to write, or an open text stream, which stays open.
Target = Path | str | TextIO


class TextOutput:
    """Text into a file that is opened at the first text, or into an open stream.

    Args:
        target: the file or the stream.
        header: stands before the first text.
        secret: a new file is readable for its owner alone.
    """

    def __init__(self, target: Target, header: str = "", secret: bool = False) -> None:
        self._path: Path | None = None
        self._stream: TextIO | None = None
        self._header = header
        self._opener = private if secret else None
        self._closed = False
        if isinstance(target, (Path, str)):
            self._path = Path(target)
            check_output(self._path)
        else:
            self._stream = target

    def put(self, text: str) -> None:
        """Writes and flushes a text. Raises `Failure` where that is not possible, and
        `BrokenPipeError` where a stream's reader or terminal has gone."""
        if self._closed:
            raise ValueError("the sink is closed")
        try:
            if self._stream is None:
                assert self._path is not None
                # UTF-8 cannot encode a lone surrogate: it becomes a question mark.
                self._stream = open(  # noqa: SIM115 - closed by `close`
                    self._path,
                    "w",
                    encoding="utf-8",
                    errors="replace",
                    newline="",
                    opener=self._opener,
                )
            self._stream.write(self._header + text)
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            if error.errno == errno.EIO and self._path is None:  # a terminal that was closed
                raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from error
            self._give_up()
            raise self._failure(error) from error
        self._header = ""

    def close(self) -> None:
        """Closes a file. Raises `Failure` as `put` does."""
        self._closed = True
        if self._path is not None and self._stream is not None:
            try:
                self._stream.close()
            except OSError as error:  # some file systems report a full disk only now
                raise self._failure(error) from error

    def _give_up(self) -> None:
        """Closes a file that cannot be written: closing it later would raise the error again."""
        if self._path is not None and self._stream is not None:
            with contextlib.suppress(OSError):
                self._stream.close()
            self._stream, self._closed = None, True

    def _failure(self, error: OSError) -> Failure:
        where = "standard output" if self._stream is sys.stdout else self._path or "output"
        reason = error.strerror or error
        return Failure(f"{where}: {reason}; check its permissions and the space left")
