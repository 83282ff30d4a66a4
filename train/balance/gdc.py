"""GDC: gradient direction consistency, the first of GSCon's two losses on its shared encoder."""

import msgspec
import torch

from gscon_live.model.networks.consistency_losses import disagreement
from gscon_live.train.balance.plugin import Plugin, StepContext
from gscon_live.train.bounds import Above0
from gscon_live.train.engine.losses import Weighted


class GDCSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`weight` is the weight of the loss in the objective (published: 0.5)."""

    weight: Above0 = 0.5


class GDC(Plugin):
    """The disagreement of the modalities' gradients on the shared encoder, see
    `model.networks.consistency_losses.disagreement`: a mean over the parts of a step."""

    SETTINGS = GDCSettings
    settings: GDCSettings
    NEEDS_SHARED = True
    READS_GRADIENTS = True

    def losses(self, context: StepContext, random: torch.Generator) -> dict[str, Weighted]:
        if context.gradients is None:
            return {}
        loss = disagreement(context.gradients) / context.step.parts
        return {"gdc": Weighted(loss, self.settings.weight)}
