"""Names the code of an installation, so that machines can tell whether they have the same."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def hash_of_code(files: Iterable[Path]) -> str:
    """blake2b (6 bytes, hex) of the contents of some text files, in their order. The line ends of a
    checkout depend on the system and do not count."""
    digest = hashlib.blake2b(digest_size=6)
    for path in files:
        digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def code_in(folder: Path, *endings: str) -> list[Path]:
    """The files in a folder and below with these endings (`.py`), sorted; none of `__pycache__`."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in endings and path.is_file() and "__pycache__" not in path.parts
    )
