"""Modalities that say the same."""

import torch
from torch import Tensor

from gscon_live.train.balance.plugin import Plugin, Seen


class Agree(Plugin):
    """The squared distance of each modality's own opinion from the mean of all."""

    def losses(self, seen: Seen, random: torch.Generator) -> dict[str, Tensor]:
        said = [seen.rows(x).softmax(-1) for x in seen.answers.specific.values()]
        apart = torch.stack(said) - torch.stack(said).mean(0)
        return {"agree": apart.square().sum() / seen.step.count}
