"""Small made-up material on which networks train in seconds."""

import numpy as np
import torch

from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.train.corpora.schema import Utterance
from gscon_live.train.data.composed import ComposedSplit, Kinds
from gscon_live.train.data.feature_banks import VARIANTS, Bank
from gscon_live.train.networks.composed_task import ComposedMaterial, FusionRecipe, resolved

DIMS = {"text": 9, "audio": 8, "visual": 7}
RECIPE = resolved(FusionRecipe(
    name="toy", model="gscon", experts=False, epochs=12, batch=32, learning_rate=1e-2, width=16,
    weight_decay=0.03, balance=0.75, keep="best", heads=2, context=4, dropout=0.1, compositions=2,
    kinds=Kinds(0.1, 0.1, 0.05, 0.05),
))  # fmt: skip


def vectors(emotions: np.ndarray, dim: int, seed: int, noise: float) -> np.ndarray:
    """Rows that tell their emotion, more or less."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99 + dim).normal(size=(len(EMOTIONS), dim))
    return (centres[emotions] + random.normal(0, noise, (len(emotions), dim))).astype(np.float32)


def bank(owners: list[str], dim: int, seed: int, without: tuple[str, int] | None = None) -> Bank:
    rows = [
        (owner, emotion)
        for owner in owners
        for emotion in range(len(EMOTIONS))
        for _ in range(3)
        if (owner, emotion) != without
    ]
    emotions = np.array([emotion for _, emotion in rows])
    stacked = np.stack([vectors(emotions, dim, seed + v, 0.4) for v in range(VARIANTS)], 1)
    return Bank(stacked, emotions, np.array([owner for owner, _ in rows]))


def split(count: int, seed: int) -> ComposedSplit:
    random = np.random.default_rng(seed)
    dialogues = [
        [
            Utterance(
                f"P{random.integers(3)}", f"word {d} {t}", int(random.integers(len(EMOTIONS)))
            )
            for t in range(random.integers(1, 8))
        ]
        for d in range(count)
    ]
    emotions = np.array([turn.label for turns in dialogues for turn in turns])
    words = [vectors(emotions, DIMS["text"], seed + 7 * v, 0.8) for v in range(VARIANTS)]
    return ComposedSplit(
        torch.from_numpy(np.stack(words, 1)),
        dialogues,
        bank(["A", "B"], DIMS["audio"], seed, without=("A", 1)),
        bank([""], DIMS["visual"], seed),
    )


def material() -> ComposedMaterial:
    test = split(20, 3)
    return ComposedMaterial(
        split(80, 1),
        split(20, 2),
        test,
        {0.3: test.text[:, 1]},
        {m: f"{m}:1" for m in MODALITIES},
        DIMS,
        {m: torch.ones(len(EMOTIONS)) for m in MODALITIES},
    )
