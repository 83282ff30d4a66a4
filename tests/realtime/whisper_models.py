"""Real Whisper models for tests: in the folder GSCON_MODELS, or fetched once into build/."""

import os
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock

from gscon_live.common.errors import Failure
from gscon_live.realtime.listen import whisper_models

_FETCHED = Path(__file__).parents[2] / "build" / "whisper"


@cache
def whisper_model(name: str) -> Path:
    """The folder of `tiny.en` or `base`. Skips the test where it cannot be had."""
    given = Path(os.environ.get("GSCON_MODELS", ".")) / f"whisper-{name}"
    if (given / "model.bin").is_file():
        return given
    _FETCHED.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(_FETCHED / f"{name}.lock"):
            return whisper_models.fetch(name, lambda line: None, within=_FETCHED)
    except Failure as failure:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(failure))
