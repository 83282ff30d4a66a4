"""Modalities that say the same."""

import torch
from torch import Tensor

from gscon_live.train.balance.plugin import Plugin, StepContext


class Agree(Plugin):
    """The squared distance of each modality's own opinion from the mean of all."""

    def losses(self, context: StepContext, random: torch.Generator) -> dict[str, Tensor]:
        opinions = torch.stack(
            [context.rows(logits).softmax(-1) for logits in context.answers.specific.values()]
        )
        distance = (opinions - opinions.mean(0)).square().sum()
        return {"agree": distance / context.step.count}
