"""Modalities that say the same."""

import torch
from torch import Tensor

from gscon_live.train.balance.plugin import Plugin, StepContext


class Agree(Plugin):
    """The squared distance of each modality's own opinion from the mean of all."""

    def losses(self, context: StepContext, random: torch.Generator) -> dict[str, Tensor]:
        said = [context.rows(x).softmax(-1) for x in context.answers.specific.values()]
        apart = torch.stack(said) - torch.stack(said).mean(0)
        return {"agree": apart.square().sum() / context.step.count}
