"""Made-up words for text encoders: they tell the label."""

import torch

from gscon_live.train.encoders.text.recipe import TextRecipe
from gscon_live.train.encoders.text.text_data import TextCorpus, TokenDialogue

QUICK = TextRecipe(name="quick", epochs=3, batch=60, stretch=40, learning_rate=3e-4)


def said(words: int, label: int, classes: int = 2) -> TokenDialogue:
    """Three utterances whose words tell the label; the middle one has none."""
    targets = torch.zeros(3, classes)
    targets[[0, 2], label] = 1
    return TokenDialogue([[101, 2000 + words, 102]] * 3, [0, 1, 0], targets, torch.zeros(3, 2))


def made_up() -> dict[str, TextCorpus]:
    rows = [said(number % 2 * 500 + number // 2, number % 2) for number in range(24)]
    return {"made": TextCorpus(2, rows[:20], rows[20:])}
