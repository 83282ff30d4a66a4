"""When and on what something is made, for its card or file."""

import os
import platform
from datetime import UTC, datetime

import torch


def provenance() -> dict[str, str]:
    """The day (`created`) and the `machine`, in words."""
    now = datetime.now(UTC).strftime("%Y-%m-%d")
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    if torch.cuda.is_available():
        machine += f", {torch.cuda.get_device_name()}"
    return {"created": now, "machine": f"{machine}, torch {torch.__version__}"}
