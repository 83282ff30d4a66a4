"""SSC: spatial structure consistency, the second of GSCon's two losses on its shared encoder."""

import msgspec
import torch

from gscon_live.model.networks.consistency_losses import ssc
from gscon_live.train.balance.plugin import Plugin, StepContext
from gscon_live.train.bounds import Above0, Positive
from gscon_live.train.engine.losses import Weighted


class SSCSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`weight` is the weight of the loss in the objective (published: 1). `rows` is the number of
    utterances that are drawn and compared, `tau` the temperature. The loss depends on `rows`."""

    weight: Above0 = 1.0
    rows: Positive = 32
    tau: Above0 = 0.07


class SSC(Plugin):
    """The agreement between modalities on which utterances are similar in their common parts, see
    `model.networks.consistency_losses.ssc`: a mean over the parts of a step."""

    SETTINGS = SSCSettings
    settings: SSCSettings
    NEEDS_SHARED = True

    def losses(self, context: StepContext, random: torch.Generator) -> dict[str, Weighted]:
        shared, targets, settings = context.answers.shared, context.targets, self.settings
        if len(shared) < 2:
            return {}
        drawn = torch.randperm(len(targets.rows), generator=random)[: settings.rows]
        drawn = drawn.to(targets.rows.device)
        common = [context.rows(vectors) for vectors in shared.values()]
        loss = ssc(common, drawn, settings.tau, targets.present) / context.step.parts
        return {"ssc": Weighted(loss, settings.weight)}
