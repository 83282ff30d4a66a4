"""DMD's margin loss on the modalities' common parts (Li et al. 2023, arXiv 2303.13802, equation 4):
utterances of the same emotion shall be nearer to each other, across modalities, than to others."""

from typing import Annotated

import msgspec
import torch
from torch import Tensor
from torch.nn import functional

from gscon_live.train.balance.plugin import Plugin, StepContext
from gscon_live.train.bounds import AtLeast0


class MarginSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`weight` is the weight of the loss in the objective, `margin` the minimum difference of the
    cosines, `rows` the number of utterances compared in a part of a step. In the released code the
    margin grows with the distance between two labels; emotion classes have no distance."""

    weight: AtLeast0 = 0.01
    margin: Annotated[float, msgspec.Meta(ge=0, le=2)] = 0.2
    rows: Annotated[int, msgspec.Meta(ge=2)] = 32


class Margin(Plugin):
    """The margin loss on `shared`, or on `encoded` where a network has no shared encoder."""

    SETTINGS = MarginSettings
    settings: MarginSettings

    def losses(self, context: StepContext, random: torch.Generator) -> dict[str, Tensor]:
        targets, settings = context.targets, self.settings
        drawn = torch.randperm(len(targets.rows), generator=random)[: settings.rows]
        drawn = drawn.to(targets.rows.device)
        parts = context.answers.shared or context.answers.encoded
        vectors = torch.stack([context.rows(x)[drawn] for x in parts.values()])
        loss = margin_loss(vectors, targets.labels[drawn], targets.present[drawn], settings.margin)
        return {"margin": settings.weight * loss / context.step.parts}


def margin_loss(vectors: Tensor, labels: Tensor, present: Tensor, margin: float) -> Tensor:
    """The mean over anchors i, and over their pairs of j and k, of
    max(0, margin - cos(i, j) + cos(i, k)): j has the label of i and another modality, k another
    label and the modality of i.

    Args:
        vectors: [M, n, d].
        labels: int64 [n].
        present: bool [n, M]; missing vectors are left out.
        margin: the minimum difference of the cosines.

    Returns:
        A scalar; 0 where no anchor has a pair.
    """
    modalities, count, _ = vectors.shape
    units = functional.normalize(vectors, dim=-1).flatten(0, 1)
    cosines = units @ units.T
    label, available = labels.repeat(modalities), present.T.flatten()
    modality = torch.arange(modalities, device=labels.device).repeat_interleave(count)
    both_available = available[:, None] & available
    same_label, same_modality = label[:, None] == label, modality[:, None] == modality
    positive, negative = (
        same_label & ~same_modality & both_available,
        ~same_label & same_modality & both_available,
    )
    hinge = (margin - cosines[:, :, None] + cosines[:, None, :]).relu()
    pairs = positive[:, :, None] & negative[:, None, :]
    count_of_pairs = pairs.sum((1, 2))
    by_anchor = (hinge * pairs).sum((1, 2)) / count_of_pairs.clamp(min=1)
    return by_anchor.sum() / (count_of_pairs > 0).sum().clamp(min=1)
