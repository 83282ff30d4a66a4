"""DMD's margin loss on the modalities' common parts (Li et al. 2023, arXiv 2303.13802, equation 4):
utterances of one emotion are nearer to each other, across modalities, than to those of another."""

from typing import Annotated

import msgspec
import torch
from torch import Tensor
from torch.nn import functional

from gscon_live.train.balance.plugin import Plugin, StepContext


class MarginSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`weight` is the loss' in the objective, `margin` how much nearer, in cosines; so many `rows`
    are compared in a step. The released code's margin grows with the distance of two labels, which
    emotions do not have."""

    weight: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 0.01
    margin: Annotated[float, msgspec.Meta(ge=0, le=2)] = 0.2
    rows: Annotated[int, msgspec.Meta(ge=2)] = 32


class Margin(Plugin):
    """Acts on `shared`, and on `encoded` where a network has no shared encoder."""

    SETTINGS = MarginSettings
    settings: MarginSettings

    def losses(self, context: StepContext, random: torch.Generator) -> dict[str, Tensor]:
        targets, settings = context.targets, self.settings
        drawn = torch.randperm(len(targets.rows), generator=random)[: settings.rows]
        drawn = drawn.to(targets.rows.device)
        parts = context.answers.shared or context.answers.encoded
        vectors = torch.stack([context.rows(x)[drawn] for x in parts.values()])
        lost = margin_loss(vectors, targets.labels[drawn], targets.present[drawn], settings.margin)
        return {"margin": settings.weight * lost / context.step.parts}


def margin_loss(vectors: Tensor, labels: Tensor, present: Tensor, margin: float) -> Tensor:
    """The mean over anchors i, and over their pairs of j and k, of
    max(0, margin - cos(i, j) + cos(i, k)): j has the label of i and another modality, k another
    label and the modality of i.

    Args:
        vectors: [M, n, d].
        labels: int64 [n].
        present: bool [n, M]; what is missing is no anchor, and nothing that one is compared with.
        margin: see there.

    Returns:
        A scalar; 0 where no anchor has both.
    """
    modalities, count, _ = vectors.shape
    units = functional.normalize(vectors, dim=-1).flatten(0, 1)
    cosines = units @ units.T
    label, there = labels.repeat(modalities), present.T.flatten()
    modality = torch.arange(modalities, device=labels.device).repeat_interleave(count)
    both = there[:, None] & there
    alike, same = label[:, None] == label, modality[:, None] == modality
    positive, negative = alike & ~same & both, ~alike & same & both
    apart = (margin - cosines[:, :, None] + cosines[:, None, :]).relu()
    pairs = positive[:, :, None] & negative[:, None, :]
    number = pairs.sum((1, 2))
    each = (apart * pairs).sum((1, 2)) / number.clamp(min=1)
    return each.sum() / (number > 0).sum().clamp(min=1)
