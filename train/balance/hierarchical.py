"""CMATH's hierarchical distillation (Zhu et al. 2024, arXiv 2411.10060, equations 18 and 23) from
the fusion to each modality: of the fused vector (low level) and of the final probabilities (high
level)."""

import msgspec
import torch
from torch import Tensor
from torch.nn import functional

from gscon_live.train.balance.plugin import Plugin, StepContext
from gscon_live.train.bounds import AtLeast0


class HierarchicalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`low` is the weight of the distance between vectors (published: 1), `high` the weight of the
    divergence between probabilities (published: 1.8 on IEMOCAP, 1.2 on MELD). With `stop_gradient`,
    the teacher gets no gradient; the paper does not say."""

    low: AtLeast0 = 1.0
    high: AtLeast0 = 1.2
    stop_gradient: bool = False


class HierarchicalDistillation(Plugin):
    """The mean square distance between `fused` and each modality's `encoded`, and the
    Kullback-Leibler divergence between the final probabilities and each modality's. Both are summed
    over the modalities that an utterance has, and averaged over utterances. The paper sums over the
    elements of a vector; here it is the mean, which does not grow with their number."""

    SETTINGS = HierarchicalSettings
    settings: HierarchicalSettings

    def losses(self, context: StepContext, random: torch.Generator) -> dict[str, Tensor]:
        answers, settings = context.answers, self.settings
        fused = context.rows(answers.fused)
        teacher = context.rows(answers.final).log_softmax(-1)
        if settings.stop_gradient:
            fused, teacher = fused.detach(), teacher.detach()
        low, high = teacher.new_zeros(()), teacher.new_zeros(())
        for place, m in enumerate(self.modalities):
            present = context.targets.present[:, place]
            distance = (fused - context.rows(answers.encoded[m])).square().mean(-1)
            student = context.rows(answers.specific[m]).log_softmax(-1)
            divergence = functional.kl_div(student, teacher, reduction="none", log_target=True).sum(
                -1
            )
            low = low + (distance * present).sum()
            high = high + (divergence * present).sum()
        count = context.step.count
        return {"hvd_low": settings.low * low / count, "hvd_high": settings.high * high / count}
