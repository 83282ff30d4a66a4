"""A feature file in a layout of the literature, small and made up."""

import pickle
from pathlib import Path

import numpy as np

from gscon_live.train.corpora.feature_pickles import COSMIC_VALIDATION

DIMS = {"text": 6, "audio": 5, "visual": 4}
TRAIN = [f"Ses01F_impro{place:02d}" for place in range(3, 9)]
TEST = [f"Ses05F_impro{place:02d}" for place in range(1, 4)]


def write(path: Path, *, broken: float | None = None, unlabelled: str | None = None) -> Path:
    """IEMOCAP as DialogueRNN has it; `broken` replaces one audio value of a training dialogue."""
    random = np.random.default_rng(5)
    names = [*TRAIN, *sorted(COSMIC_VALIDATION), *TEST]
    centres = {m: random.normal(size=(6, dim)) for m, dim in DIMS.items()}
    labels = {name: random.integers(0, 6, random.integers(2, 7)).tolist() for name in names}
    features = {
        m: {
            name: [centres[m][one] + random.normal(0, 0.7, DIMS[m]) for one in mine]
            for name, mine in labels.items()
        }
        for m in DIMS
    }
    if broken is not None:
        features["audio"][TRAIN[2]][1][3] = broken
    if unlabelled is not None:
        labels[unlabelled] = [-1] * len(labels[unlabelled])
    parts = (
        {name: [f"{name}_{turn}" for turn in range(len(mine))] for name, mine in labels.items()},
        {name: ["MF"[turn % 2] for turn in range(len(mine))] for name, mine in labels.items()},
        labels,
        features["text"],
        features["audio"],
        features["visual"],
        {name: ["words"] * len(mine) for name, mine in labels.items()},
        [*TRAIN, *sorted(COSMIC_VALIDATION)],
        TEST,
    )
    path.write_bytes(pickle.dumps(parts, 2))
    return path
