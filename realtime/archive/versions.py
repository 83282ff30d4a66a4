"""Versions of the parts on which results depend: of code, models and libraries."""

import hashlib
import platform
import socket
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gscon_live.common.code_version import code_in, hash_of_code
from gscon_live.model import shipped_weights
from gscon_live.realtime import events

#: The rooms whose code computes events, below `gscon_live`.
_PIPELINE = (
    "model",
    *(f"realtime/{name}" for name in ("capture", "listen", "pipeline", "recognise", "session")),
    *("realtime/watch", "realtime/events/schema.py"),
)
#: The files that turn events into pages and tables.
_VIEWS = (
    *(f"realtime/display/{name}" for name in ("report_data.py", "report_page.py")),
    *(f"realtime/display/{name}" for name in ("report_figure.py", "report_marks.py")),
    *("realtime/events/corrections.py", "realtime/display/report_script.js.j2"),
    *(f"realtime/display/{name}" for name in ("report_timeline.py", "report.html.j2")),
    *("realtime/display/common.css", "realtime/display/report_style.css.j2"),
    "realtime/events/in_words.py",
    *("realtime/events/sinks.py", "realtime/archive/views.py"),
)
#: The files that write details.
_DETAILS = ("realtime/archive/details.py",)
#: The files that decide what a profile of a voice is.
_VOICES = (
    "model/encoders/speaker/voice_profiles.py",
    "model/weights/profile.safetensors",
    *(
        f"realtime/{name}.py"
        for name in ("archive/voices", "listen/heard_voices", "listen/stored_voice")
    ),
)
#: Libraries that decode and compute.
LIBRARIES = (
    "av",
    "ctranslate2",
    "faster-whisper",
    "numpy",
    "onnxruntime",
    "opencv-python",
    "torch",
)


def package_version() -> str:
    """The version of the installed package."""
    return version("gscon-live")


@cache
def pipeline_version() -> str:
    """The package's version, and a hash of the code that computes events."""
    return f"{package_version()}+{hash_of_code(_files(_PIPELINE))}"


@cache
def views_version() -> str:
    """A hash of the code that writes reports and tables."""
    return hash_of_code(_files(_VIEWS))


@cache
def details_version() -> str:
    """A hash of the code that writes details."""
    return hash_of_code(_files(_DETAILS))


@cache
def voices_version() -> str:
    """A hash of the code and weights that make profiles of voices."""
    return hash_of_code(_files(_VOICES))


def library_versions() -> dict[str, str]:
    """The versions of Python and of `LIBRARIES`, as far as they are installed."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def hash_of_files(paths: Iterable[Path]) -> str:
    """blake2b (8 bytes, hex) of the contents of some files."""
    digest = hashlib.blake2b(digest_size=8)
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def transcriber_version(directory: str) -> str:
    """Names a Whisper model by its size, its settings, and the beginning and end of its weights;
    the same on all machines. Reading gigabytes for it would take long."""
    folder = Path(directory)
    weights = folder / "model.bin"
    size = weights.stat().st_size
    digest = hashlib.blake2b(str(size).encode(), digest_size=8)
    for name in ("config.json", "tokenizer.json", "preprocessor_config.json"):
        if (folder / name).is_file():
            digest.update((folder / name).read_bytes())
    with weights.open("rb") as file:
        digest.update(file.read(1 << 20))
        file.seek(max(0, size - (1 << 20)))
        digest.update(file.read())
    return f"whisper:{digest.hexdigest()}"


def host() -> str:
    """This machine's name."""
    return socket.gethostname()


def _files(parts: Iterable[str]) -> list[Path]:
    # The rooms lie in the package where it is installed, and beside it in a checkout.
    rooms = {
        "model": Path(shipped_weights.__file__).parent,
        "realtime": Path(events.__file__).parents[1],
    }
    files: list[Path] = []
    for part in parts:
        top, _, rest = part.partition("/")
        path = rooms[top] / rest
        files += [path] if path.is_file() else code_in(path, ".py", ".j2")
    return files
