"""A folder to train in: a recipe on a made-up feature file of the literature, done in seconds."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import made_features
import pytest
import yaml

#: The recipe `toy.yaml`.
TOY = {
    "kind": "conversation", "corpus": "iemocap", "features": "features.pkl", "epochs": 8,
    "patience": None, "batch": 4, "width": 16, "heads": 2, "learning_rate": 0.01,
}  # fmt: skip


@contextmanager
def working_in(place: Path, **changes: object) -> Iterator[Path]:
    """Works in a folder with `toy.yaml`, some of its values changed, and its features; what a
    command does about SIGTERM is undone."""
    made_features.write(place / "features.pkl")
    (place / "toy.yaml").write_text(yaml.safe_dump({**TOY, **changes}))
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(place)
            patch.setenv("OMP_NUM_THREADS", "1")
            yield place
    finally:
        signal.signal(signal.SIGTERM, before)
