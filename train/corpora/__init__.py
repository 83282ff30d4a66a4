"""Readers of the training corpora, and the folder of their files."""

import os
from pathlib import Path

from gscon_live.common.errors import InputError


def data_folder() -> Path:
    """The folder of all corpora: `GSCON_DATA`, or `../shared/data`."""
    return Path(os.environ.get("GSCON_DATA", "../shared/data"))


def corpus_file(relative: str) -> Path:
    """A corpus file inside the data folder, for example `erc/meld.csv`.

    Raises:
        InputError: it is not there.
    """
    path = data_folder() / relative
    if not path.is_file():
        raise InputError(
            f"corpus {path}: no such file; set GSCON_DATA to the folder that holds {relative}"
        )
    return path
