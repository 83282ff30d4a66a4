"""Gradient modulation by the strength of each modality: OGM-GE and Ada2I's disparity ratio.

The strength s_m of a modality is the mean probability of the label by its own head, over the
utterances of a step that have the modality. A modality that is stronger than others learns slower:
the gradients of its encoder are multiplied by k_m. The heads of Ada2I's network are cosines; the
released code takes the dot products of the same vectors instead.
"""

import math
from collections.abc import Mapping, Sequence

import msgspec
import torch

from gscon_live.model.networks.network import Network
from gscon_live.train.balance.plugin import Plugin, StepContext
from gscon_live.train.bounds import AtLeast0, NotNegative
from gscon_live.train.engine.gradient_scaling import Scaling


class OGMGESettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`alpha` is the degree of modulation; `noise` adds Gaussian noise to the gradients."""

    alpha: AtLeast0 = 0.1
    noise: bool = True


class RatioSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`alpha` is the degree of modulation (published: 0.037 on IEMOCAP, 0.42 on MELD). `start` is
    the number of epochs without modulation (published: 3). `noise` adds Gaussian noise to the
    gradients. With `continuous`, the factor falls steadily from 1 at ratio 1; as published, it
    drops there to 1 - tanh(alpha)."""

    alpha: AtLeast0 = 0.42
    start: NotNegative = 3
    noise: bool = True
    continuous: bool = False


class OGMGE(Plugin):
    """On-the-fly gradient modulation with generalisation enhancement (Peng et al. 2022, Balanced
    Multimodal Learning via On-the-fly Gradient Modulation, CVPR).

    It was published for two modalities, each compared with the other. Here each is compared with
    the mean of the others. The noise has the deviation of the unscaled gradients.
    """

    SETTINGS = OGMGESettings
    settings: OGMGESettings
    SCALES = True

    def scaling(self, step: Sequence[StepContext], epoch: int) -> Scaling | None:
        strong = strengths(step, self.modalities)
        factors = {
            m: coefficient(x, self.settings.alpha) for m, x in ratios_to_others(strong).items()
        }
        return encoder_scaling(self.network, factors, self.settings.noise, unscaled_noise=True)


class Ratio(Plugin):
    """Ada2I's modulation by the disparity ratio, of each modality to the weakest (Nguyen et al.
    2024, arXiv 2408.12895). The noise has the deviation of the scaled gradients."""

    SETTINGS = RatioSettings
    settings: RatioSettings
    SCALES = True

    @classmethod
    def start_epoch(cls, settings: RatioSettings) -> int:
        return settings.start

    def scaling(self, step: Sequence[StepContext], epoch: int) -> Scaling | None:
        settings = self.settings
        if epoch < self.start_epoch(settings):
            return None
        ratios = ratios_to_weakest(strengths(step, self.modalities))
        factors = {
            m: coefficient(x, settings.alpha, settings.continuous) for m, x in ratios.items()
        }
        return encoder_scaling(self.network, factors, settings.noise, unscaled_noise=False)


def strengths(step: Sequence[StepContext], modalities: Sequence[str]) -> dict[str, float]:
    """The strength of each modality that an utterance of the step has."""
    means = {}
    for place, m in enumerate(modalities):
        total, count = 0.0, 0
        for context in step:
            present = context.targets.present[:, place]
            probabilities = context.rows(context.answers.specific[m].detach()).softmax(-1)
            of_label = probabilities.gather(1, context.targets.labels[:, None])[:, 0]
            total += float(of_label[present].sum())
            count += int(present.sum())
        if count:
            means[m] = total / count
    return means


def ratios_to_others(strong: Mapping[str, float]) -> dict[str, float]:
    """The ratio of each strength to the mean of the others; 1 for a single modality."""
    ratios = {}
    for m, own in strong.items():
        others = [x for other, x in strong.items() if other != m]
        ratios[m] = own / max(sum(others) / len(others), 1e-12) if others else 1.0
    return ratios


def ratios_to_weakest(strong: Mapping[str, float]) -> dict[str, float]:
    """The disparity ratio: the ratio of each strength to the weakest."""
    weakest = max(min(strong.values(), default=1.0), 1e-12)
    return {m: own / weakest for m, own in strong.items()}


def coefficient(ratio: float, alpha: float, continuous: bool = False) -> float:
    """The coefficient k of a ratio: 1 up to a ratio of 1, above it 1 - tanh(alpha * ratio), or with
    `continuous` 1 - tanh(alpha * (ratio - 1)). At least 1e-6."""
    if ratio <= 1 + 1e-6:
        return 1.0
    return max(1 - math.tanh(alpha * (ratio - 1 if continuous else ratio)), 1e-6)


def encoder_scaling(
    network: Network, factors: Mapping[str, float], noisy: bool, unscaled_noise: bool
) -> Scaling:
    """The scaling of each modality's encoder by its factor."""
    groups = network.groups()
    like = next(network.parameters())
    return Scaling(
        [
            (parameter, torch.tensor(factor, dtype=like.dtype, device=like.device))
            for m, factor in factors.items()
            for parameter in groups[f"enc.{m}"]
        ],
        noisy,
        unscaled_noise,
        {f"factor_{m}": factor for m, factor in factors.items()},
    )
