"""A small made-up corpus on which networks train in seconds."""

import torch

from gscon_live.model.labels import MODALITIES
from gscon_live.train.corpora.dataset import FeaturedCorpus, FeaturedDialogue

LABELS = ("calm", "glad", "cross")
DIMS = {"text": 6, "audio": 5, "visual": 4}


def dialogue(
    name: str, length: int, random: torch.Generator, modalities: tuple[str, ...] = MODALITIES
) -> FeaturedDialogue:
    """One whose features tell the labels, more or less; some are missing, some without label."""
    labels = torch.randint(len(LABELS), (length,), generator=random)
    features = {}
    for m in modalities:
        centres = torch.randn(
            len(LABELS), DIMS[m], generator=torch.Generator().manual_seed(DIMS[m])
        )
        features[m] = centres[labels] + torch.randn(length, DIMS[m], generator=random)
    hidden = torch.rand(length, generator=random) < 0.15
    hidden[0] = False
    return FeaturedDialogue(
        name,
        features,
        torch.rand(length, len(modalities), generator=random) < 0.85,
        torch.randint(3, (length,), generator=random),
        labels.masked_fill(hidden, -1),
    )


def corpus(
    seed: int = 1, modalities: tuple[str, ...] = MODALITIES, dialogues: int = 12
) -> FeaturedCorpus:
    random = torch.Generator().manual_seed(seed)

    def split(name: str, count: int) -> tuple[FeaturedDialogue, ...]:
        lengths = torch.randint(1, 12, (count,), generator=random).tolist()
        return tuple(
            dialogue(f"{name} {place}", length, random, modalities)
            for place, length in enumerate(lengths)
        )

    return FeaturedCorpus(
        "made",
        LABELS,
        {m: f"{m}:1" for m in modalities},
        {
            "train": split("train", dialogues),
            "validation": split("validation", 5),
            "test": split("test", 5),
        },
    )
