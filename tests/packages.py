"""An index of Python packages on this disk, for what is fetched as packages."""

import zipfile
from pathlib import Path

import pytest


def wheel(index: Path, package: str, files: dict[str, bytes]) -> None:
    """Writes a real, installable wheel."""
    index.mkdir(exist_ok=True)
    info = f"{package}-1.0.0.dist-info"
    with zipfile.ZipFile(index / f"{package}-1.0.0-py3-none-any.whl", "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{package}/data/{name}", content)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


def only(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets pip know this index alone."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
