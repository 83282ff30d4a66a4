"""Date and machine of a result, for its card or file."""

import os
import platform
from datetime import UTC, datetime
from typing import TypedDict

import torch


class Provenance(TypedDict):
    """The day (`created`) and the `machine`, in words: x86_64, 2 cores, Linux, Python 3.11.4, torch
    2.13.0+cpu."""

    created: str
    machine: str


def provenance() -> Provenance:
    """Today, and this machine."""
    parts = [platform.machine(), f"{os.cpu_count()} cores", platform.system()]
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    parts += [f"Python {platform.python_version()}", f"torch {torch.__version__}"]
    return {"created": datetime.now(UTC).date().isoformat(), "machine": ", ".join(parts)}
