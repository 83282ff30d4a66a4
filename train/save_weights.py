"""Saves trained encoders, and installs weights among those that ship."""

from pathlib import Path
from typing import Any

import msgspec
import safetensors.torch
from torch import nn

from gscon_live.common.files import write_whole
from gscon_live.model import checkpoint
from gscon_live.train.runs.provenance import provenance


def save_encoder(
    net: nn.Module, card: dict[str, Any], path: Path, metadata: dict[str, str] | None = None
) -> Path:
    """Writes an encoder's weights with metadata, and beside them its card with date and machine;
    returns the path of the weights."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {key: value.contiguous() for key, value in net.state_dict().items()}
    content = msgspec.json.encode(card | provenance())
    write_whole(path, safetensors.torch.save(state, metadata or None))
    write_whole(path.with_suffix(".json"), msgspec.json.format(content) + b"\n")
    return path


def ship(weights: Path, name: str | None = None) -> list[Path]:
    """Installs a run's weights and card among those that ship, under their own name or `name`;
    returns the paths."""
    installed = []
    for suffix in (".safetensors", ".json", ".md"):
        source = weights.with_suffix(suffix)
        if source.is_file():
            target = checkpoint.WEIGHTS / f"{name or weights.stem}{suffix}"
            write_whole(target, source.read_bytes())
            installed.append(target)
    return installed
