"""CMATH's hierarchical distillation (Zhu et al. 2024, arXiv 2411.10060, equations 18 and 23): the
fusion teaches each modality, below by its vector and above by its answer."""

from typing import Annotated

import msgspec
import torch
from torch import Tensor
from torch.nn import functional

from gscon_live.train.balance.plugin import Plugin, StepContext

AtLeast0 = Annotated[float, msgspec.Meta(ge=0, le=1e6)]


class HierarchicalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`low` weighs the distance of the vectors, `high` the divergence of the answers (published:
    1 and, on IEMOCAP 1.8, on MELD 1.2). With `stop_gradient`, the teacher is not taught by its
    pupils; the paper is silent on that."""

    low: AtLeast0 = 1.0
    high: AtLeast0 = 1.2
    stop_gradient: bool = False


class HierarchicalDistillation(Plugin):
    """The mean square between `fused` and each modality's `encoded`, and the Kullback-Leibler
    divergence of its opinion from the final answer; summed over the modalities that an utterance
    has, averaged over utterances. The paper's sum over a vector's elements is a mean here, so that
    it does not grow with their number."""

    SETTINGS = HierarchicalSettings
    settings: HierarchicalSettings

    def losses(self, context: StepContext, random: torch.Generator) -> dict[str, Tensor]:
        answers, settings = context.answers, self.settings
        fused = context.rows(answers.fused)
        said = context.rows(answers.final).log_softmax(-1)
        if settings.stop_gradient:
            fused, said = fused.detach(), said.detach()
        low, high = said.new_zeros(()), said.new_zeros(())
        for place, m in enumerate(self.modalities):
            there = context.targets.present[:, place]
            apart = (fused - context.rows(answers.encoded[m])).square().mean(-1)
            own = context.rows(answers.specific[m]).log_softmax(-1)
            diverged = functional.kl_div(own, said, reduction="none", log_target=True).sum(-1)
            low = low + (apart * there).sum()
            high = high + (diverged * there).sum()
        count = context.step.count
        return {"hvd_low": settings.low * low / count, "hvd_high": settings.high * high / count}
