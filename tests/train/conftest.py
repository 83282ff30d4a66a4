from pathlib import Path

import made_show
import pytest
import torch

# Several threads on a busy machine are slower than one, by far.
torch.set_num_threads(1)


@pytest.fixture
def show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two tables of one show, and an empty cache."""
    monkeypatch.setenv("GSCON_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made_show.write(tmp_path / "data" / "erc")
    return tmp_path
