"""No library reports on the user."""

import os

#: What turns the reports of libraries off. Libraries read it when they are imported.
_OFF = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # ONNX Runtime would ask for a host of Microsoft's, and keep a database and a number for the
    # machine in the user's cache. Its own function for this comes too late.
    "ORT_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def turn_off() -> None:
    """Turns it off for this process and for all that it starts; what the user has set stays."""
    for name, value in _OFF.items():
        os.environ.setdefault(name, value)
