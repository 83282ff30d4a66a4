"""The folder of an archive: results placed whole, and a journal of what is there.

    DIR/archive.jsonl             the journal, a record a line; the last one of a path holds
    DIR/recordings/NAME-KEY/      the results of a recording
    DIR/recordings/.unfinished-*  results that are being written
    DIR/details/NAME-KEY-VERSION/ what was asked for besides: tables of seconds and of frames
    DIR/voices/NAME-KEY-VERSION/  the same: the voices of the speakers

The name of a results folder ends with the key, so its presence says that they are done. The journal
only saves work: if it is lost, the next run finds the folders again.
"""

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil

from gscon_live.common.errors import Failure, InputError
from gscon_live.common.files import check_folder, make_private_folder, write_output
from gscon_live.realtime.archive import entries
from gscon_live.realtime.archive.entries import Entry, Failed
from gscon_live.realtime.archive.versions import (
    details_version,
    host,
    package_version,
    voices_version,
)

JOURNAL, RECORDINGS, DETAILS, VOICES = "archive.jsonl", "recordings", "details", "voices"
#: What people say of utterances; the archive never writes it.
CORRECTIONS = "corrections.json"
#: The files of a recording.
EVENTS, REPORT, TABLE, RECORD = "events.jsonl", "report.html", "utterances.csv", "recording.json"
FRAMES_TABLE, SECONDS_TABLE, VOICES_FILE = "frames.csv", "seconds.csv", "voices.json"

_UNFINISHED = ".unfinished-"
#: Seconds after which what another machine has left unfinished is deleted.
_FORGOTTEN = 86_400.0
#: Bytes of a recording's name in the name of its folder.
_NAME = 60

_decoder: msgspec.json.Decoder[entries.Line] = msgspec.json.Decoder(entries.Line)


def folder_name(name: str, key: str) -> str:
    """The name of a results folder: readable, safe on all systems, and unique by its key."""
    stem = re.sub(r"[^\w.-]+", "_", Path(name).stem).strip("._") or "recording"
    short = stem.encode()[:_NAME].decode(errors="ignore")
    return f"{short}-{key[:16]}"


def details_name(folder: str) -> str:
    """The name of the folder with a recording's details, by that of its results."""
    return f"{folder}-{details_version()}"


def voices_name(folder: str) -> str:
    """The name of the folder with the voices of a recording's speakers, by that of its results."""
    return f"{folder}-{voices_version()}"


class Results:
    """The results of recordings in an archive's folder, as a worker sees them.

    Args:
        out: the archive's folder.
        kind: the folder in it: `RECORDINGS`, `DETAILS` or `VOICES`.
    """

    def __init__(self, out: Path, kind: str = RECORDINGS) -> None:
        self.path = out / kind

    def there(self, folder: str) -> bool:
        """Whether the results of a folder are complete."""
        return (self.path / folder / RECORD).is_file()

    @contextlib.contextmanager
    def placing(self, folder: str) -> Iterator[Path]:
        """Yields a new folder, which becomes `folder` at the end; if something fails, it is
        deleted. Whoever comes second with the same folder leaves the first one's, which is the
        same.

        Raises:
            Failure: it cannot be written.
        """
        with self.scratch() as unfinished:
            try:
                yield unfinished
                for path in unfinished.iterdir():
                    _sync(path)
                self._place(unfinished, self.path / folder)
            except OSError as error:
                raise Failure(f"{self.path / folder}: {error.strerror}; {_SPACE}") from error

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """A new, empty folder in the archive, for as long as the context lasts. What a killed
        process leaves there is deleted by the next run.

        Raises:
            Failure: it cannot be written.
        """
        try:
            folder = self._new()
        except OSError as error:
            raise Failure(f"{self.path}: {error.strerror}; {_SPACE}") from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _new(self) -> Path:
        name = f"{_UNFINISHED}{host()}-{os.getpid()}-{secrets.token_hex(6)}"
        folder = self.path / name
        folder.mkdir()
        return folder

    def _place(self, unfinished: Path, folder: Path) -> None:
        try:
            unfinished.rename(folder)
        except OSError:
            if self.there(folder.name):
                return
            # Somebody took files out of it.
            shutil.rmtree(folder, ignore_errors=True)
            unfinished.rename(folder)


_SPACE = "check permissions and space left"


class Archive:
    """An archive's folder, as the program that builds it sees it.

    Args:
        out: a new or empty folder, or an archive.

    Attributes:
        done: the entries, by the path of their recording.
        failed: the failures, by path.

    Raises:
        InputError: it is something else, or cannot be written.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.journal = out / JOURNAL
        self.done: dict[str, Entry] = {}
        self.failed: dict[str, Failed] = {}
        check_folder(out)
        if self.journal.is_file():
            self._read()
        elif out.is_dir() and any(out.iterdir()):
            raise InputError(
                f"--out {out}: is not empty and no archive of gscon-live; give a new folder"
            )
        self.results = Results(out)
        self.details = Results(out, DETAILS)
        self.voices = Results(out, VOICES)

    def begin(self, details: bool = False, voices: bool = False) -> None:
        """Creates what is missing, and clears away what ended programs have left unfinished.

        Args:
            details: whether there will be details.
            voices: whether there will be voices.

        Raises:
            Failure: the folder cannot be written.
        """
        try:
            self.results.path.mkdir(parents=True, exist_ok=True)
            if details:
                self.details.path.mkdir(exist_ok=True)
            if voices:
                make_private_folder(self.voices.path)
        except OSError as error:
            raise Failure(f"--out {self.out}: {error.strerror}; {_SPACE}") from error
        header = entries.Header(format=entries.FORMAT, version=package_version())
        lines = [header, *self.done.values(), *self.failed.values()]
        write_output(self.journal, b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
        self.clear_unfinished()

    def add(self, line: Entry | Failed) -> None:
        """Records a result, and deletes the results that it supersedes.

        Raises:
            Failure: the journal cannot be written.
        """
        if isinstance(line, Failed):
            self.failed[line.path] = line
            self._append(line)
            return
        before = self.done.get(line.path)
        self.done[line.path] = line
        self.failed.pop(line.path, None)
        self._append(line)
        if before is not None and before.folder != line.folder:
            self._delete(before.folder)

    def forget_failure(self, path: str) -> None:
        """Takes a failure out, before its recording is tried again."""
        if self.failed.pop(path, None) is not None:
            self._append(entries.Cleared(path=path))

    def refresh(self) -> None:
        """Takes in what other programs have added meanwhile.

        Raises:
            InputError: the journal cannot be read any more.
        """
        if self.journal.is_file():
            self._read()

    def clear_unfinished(self) -> None:
        """Deletes results that an ended program was writing."""
        for kind in (self.results, self.details, self.voices):
            for folder in kind.path.glob(f"{_UNFINISHED}*"):
                if _forgotten(folder):
                    shutil.rmtree(folder, ignore_errors=True)

    def clear_superseded(self) -> None:
        """Deletes the results of recordings that have newer ones. Call it when all that is there is
        in the journal."""
        used = {entry.folder for entry in self.done.values()}
        for folder in self.results.path.iterdir():
            if folder.name not in used and self._superseded(folder):
                shutil.rmtree(folder, ignore_errors=True)
        for kind, name in ((self.details, details_name), (self.voices, voices_name)):
            wanted = {name(folder) for folder in used}
            for folder in kind.path.glob("*"):
                if folder.name not in wanted and self._superseded(folder):
                    shutil.rmtree(folder, ignore_errors=True)

    def _superseded(self, folder: Path) -> bool:
        """Whether a folder is of a recording that has newer results; a lost journal's are not."""
        try:
            record = msgspec.json.decode((folder / RECORD).read_bytes())
            path = str(record["path"])
        except (OSError, msgspec.DecodeError, KeyError, TypeError):
            return False
        return path in self.done

    def _delete(self, folder: str) -> None:
        if folder not in {entry.folder for entry in self.done.values()}:
            shutil.rmtree(self.results.path / folder, ignore_errors=True)

    def _append(self, line: entries.Line) -> None:
        try:
            with self.journal.open("ab") as file:
                file.write(msgspec.json.encode(line) + b"\n")
        except OSError as error:
            raise Failure(f"{self.journal}: {error.strerror}; {_SPACE}") from error

    def _read(self) -> None:
        try:
            lines = self.journal.read_bytes().splitlines()
        except OSError as error:
            raise InputError(
                f"{self.journal}: {error.strerror}; give another folder with --out"
            ) from error
        try:
            first = _decoder.decode(lines[0] if lines else b"")
        except (msgspec.DecodeError, UnicodeDecodeError):
            first = None
        if not isinstance(first, entries.Header):
            raise InputError(
                f"--out {self.out}: its {JOURNAL} is of another kind or version; give a new folder"
            )
        for raw in lines[1:]:
            # The last line of a killed program may be cut; its recording is looked at again.
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                line = _decoder.decode(raw)
                if isinstance(line, Entry):
                    self.done[line.path] = line
                    self.failed.pop(line.path, None)
                elif isinstance(line, Failed):
                    self.failed[line.path] = line
                elif isinstance(line, entries.Cleared):
                    self.failed.pop(line.path, None)


def _forgotten(folder: Path) -> bool:
    """Whether the process that writes a folder has ended; on other machines, whether it is old."""
    machine, _, process = folder.name.removeprefix(_UNFINISHED).rpartition("-")[0].rpartition("-")
    if machine == host() and process.isdigit():
        return not psutil.pid_exists(int(process))
    try:
        return time.time() - folder.stat().st_mtime > _FORGOTTEN
    except OSError:
        return False


def _sync(path: Path) -> None:
    """Has a file on the disk, so that a folder that is there is complete after a loss of power."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
