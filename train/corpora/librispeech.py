"""LibriSpeech: ten people reading, ten utterances each."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gscon_live.train.corpora import corpus_file
from gscon_live.train.corpora.archive import opened
from gscon_live.train.corpora.flac import samples

#: The file in the data folder.
FILE = "speech/librispeech_10x10.zip"
#: Utterances, for progress.
COUNT = 100


def load() -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Speakers and their recordings, mono float32 at 16 kHz, in the order of the file names.

    Raises:
        InputError: the file is not there.
    """
    with opened(corpus_file(FILE)) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".flac"):
                yield name.split("/")[-2], samples(archive.read(name))
