"""Weights that ship with the project."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import safetensors
from safetensors.torch import load_file
from torch import nn

from gscon_live.common.errors import InputError

#: The folder of the weights.
FOLDER = Path(__file__).parent / "weights"


def load_weights(net: nn.Module, path: Path, name: str, recipe: str | None = None) -> str:
    """Loads weights from a file into a network.

    Args:
        net: the network that the weights belong to.
        path: a safetensors file.
        name: the encoder: `face`, `voice`, `text` or `speaker`.
        recipe: the recipe that trains it; None: the recipe of the same name.

    Returns:
        The first twelve hexadecimal digits of the file's SHA-256.

    Raises:
        InputError: the file is missing or holds something else.
    """
    with _reading(path, name, recipe):
        net.load_state_dict(load_file(path))
        return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def read_metadata(path: Path, name: str, recipe: str | None = None) -> dict[str, str]:
    """The metadata of a file of weights, see `load_weights`; empty where it has none.

    Raises:
        InputError: the file is missing or damaged.
    """
    with _reading(path, name, recipe), safetensors.safe_open(path, "pt") as file:
        return dict(file.metadata() or {})


@contextmanager
def _reading(path: Path, name: str, recipe: str | None) -> Iterator[None]:
    """Turns the exceptions of a missing or damaged file into an `InputError` that names it."""
    try:
        yield
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise InputError(
            f"{name} encoder {path}: {_reason(error, name)}; give the file {name}.safetensors that "
            f"ships with the project, or train one with `gscon-live fit {recipe or name}`"
        ) from error


def _reason(error: Exception, name: str) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, RuntimeError):
        return f"not the weights of this {name} network"
    return " ".join(str(error).split())
