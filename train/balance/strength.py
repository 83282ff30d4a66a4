"""Modulation by how strong each modality is by itself: OGM-GE and Ada2I's disparity ratio.

The strength s_m of a modality is the mean probability that its own opinion gives to the label, over
the utterances of a step that have it. Who is stronger than others learns slower: the gradients of
its encoder are multiplied by k_m. With Ada2I's network, an opinion is that of the cosines which
answer; the released code takes the products of the same vectors, not normalised.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
import torch

from gscon_live.model.networks.network import Network
from gscon_live.train.balance.plugin import Plugin, StepContext
from gscon_live.train.engine.gradient_scaling import Scaling

AtLeast0 = Annotated[float, msgspec.Meta(ge=0, le=1e6)]


class OGMGESettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`alpha` is how much strength slows, `noise` whether gradients are disturbed."""

    alpha: AtLeast0 = 0.1
    noise: bool = True


class RatioSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`alpha` is how much disparity slows (published: 0.037 on IEMOCAP, 0.42 on MELD), `start` the
    number of epochs before the first that is modulated (published: the fourth is), `noise` whether
    gradients are disturbed. With `continuous`, the factor begins at 1 where the ratio does; as
    published, it falls to 1 - tanh(alpha) at once."""

    alpha: AtLeast0 = 0.42
    start: Annotated[int, msgspec.Meta(ge=0)] = 3
    noise: bool = True
    continuous: bool = False


class OGMGE(Plugin):
    """On-the-fly gradient modulation with generalisation enhancement (Peng et al. 2022, Balanced
    Multimodal Learning via On-the-fly Gradient Modulation, CVPR).

    Published for two modalities, where each is compared with the other; here with the mean of the
    others. The noise has the deviation of the unscaled gradients.
    """

    SETTINGS = OGMGESettings
    settings: OGMGESettings
    SCALES = True

    def scaling(self, step: Sequence[StepContext], epoch: int) -> Scaling | None:
        strong = strengths(step, self.modalities)
        factors = {m: slowed(x, self.settings.alpha) for m, x in against_others(strong).items()}
        return of_encoders(self.network, factors, self.settings.noise, loud=True)


class Ratio(Plugin):
    """Ada2I's modulation by the disparity ratio, of each modality to the weakest (Nguyen et al.
    2024, arXiv 2408.12895). The noise has the deviation of the scaled gradients."""

    SETTINGS = RatioSettings
    settings: RatioSettings
    SCALES = True

    @classmethod
    def waits(cls, settings: RatioSettings) -> int:
        return settings.start

    def scaling(self, step: Sequence[StepContext], epoch: int) -> Scaling | None:
        settings = self.settings
        if epoch < self.waits(settings):
            return None
        ratios = against_weakest(strengths(step, self.modalities))
        factors = {m: slowed(x, settings.alpha, settings.continuous) for m, x in ratios.items()}
        return of_encoders(self.network, factors, settings.noise, loud=False)


def strengths(step: Sequence[StepContext], modalities: Sequence[str]) -> dict[str, float]:
    """The strength of each modality that somebody in the step has."""
    found = {}
    for place, m in enumerate(modalities):
        told, count = 0.0, 0
        for context in step:
            there = context.targets.present[:, place]
            rows = context.rows(context.answers.specific[m].detach()).softmax(-1)
            right = rows.gather(1, context.targets.labels[:, None])[:, 0]
            told += float(right[there].sum())
            count += int(there.sum())
        if count:
            found[m] = told / count
    return found


def against_others(strong: Mapping[str, float]) -> dict[str, float]:
    """How strong each modality is over the mean of the others; 1 where it is alone."""
    found = {}
    for m, mine in strong.items():
        others = [x for other, x in strong.items() if other != m]
        found[m] = mine / max(sum(others) / len(others), 1e-12) if others else 1.0
    return found


def against_weakest(strong: Mapping[str, float]) -> dict[str, float]:
    """The disparity ratio: how strong each modality is over the weakest."""
    weakest = max(min(strong.values(), default=1.0), 1e-12)
    return {m: mine / weakest for m, mine in strong.items()}


def slowed(ratio: float, alpha: float, continuous: bool = False) -> float:
    """The coefficient k of a ratio: 1 up to a ratio of 1, from there on 1 - tanh(alpha * ratio);
    with `continuous`, 1 - tanh(alpha * (ratio - 1)). Never quite 0: what it is of can be told."""
    if ratio <= 1 + 1e-6:
        return 1.0
    return max(1 - math.tanh(alpha * (ratio - 1 if continuous else ratio)), 1e-6)


def of_encoders(network: Network, factors: Mapping[str, float], noisy: bool, loud: bool) -> Scaling:
    """The scaling of modalities' encoders by a number each."""
    groups = network.groups()
    like = next(network.parameters())
    return Scaling(
        [
            (parameter, torch.tensor(factor, dtype=like.dtype, device=like.device))
            for m, factor in factors.items()
            for parameter in groups[f"enc.{m}"]
        ],
        noisy,
        loud,
        {f"factor_{m}": factor for m, factor in factors.items()},
    )
