"""Weights that ship with the project."""

import hashlib
from pathlib import Path

import safetensors
from safetensors.torch import load_file
from torch import nn

from gscon_live.common.errors import InputError

#: Where they are.
FOLDER = Path(__file__).parent / "weights"


def load_weights(net: nn.Module, path: Path, what: str, recipe: str | None = None) -> str:
    """Puts weights from a file in place; gives twelve hexadecimal digits that tell them from any
    others.

    Args:
        net: a network of the kind that the file is of.
        path: a safetensors file.
        what: `face`, `voice`, `text` or `speaker`: the encoder that it belongs to.
        recipe: that of its training; None: of the same name.

    Raises:
        InputError: the file is missing or holds something else.
    """
    try:
        net.load_state_dict(load_file(path))
        return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise InputError(
            f"{what} encoder {path}: {_reason(error, what)}; give the file {what}.safetensors that "
            f"ships with the project, or train one with `gscon-live fit {recipe or what}`"
        ) from error


def _reason(error: Exception, what: str) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, RuntimeError):
        return f"not the weights of this {what} network"
    return " ".join(str(error).split())
