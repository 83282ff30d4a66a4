from pathlib import Path

import made_show
import pytest


@pytest.fixture
def show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two tables of one show."""
    monkeypatch.setenv("GSCON_DATA", str(tmp_path / "data"))
    made_show.write(tmp_path / "data" / "erc")
    return tmp_path
