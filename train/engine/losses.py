"""The objective: the cross-entropies of a network's heads and the two consistency losses.

    L = L_final + L_auxiliary + L_common + sum_m L_m + ssc * L_SSC + gdc * L_GDC

is GSCon's. Networks without some of the heads have the other terms only; with other heads, also
their cross-entropies, and losses of their own, see `model.networks.outputs.Answers`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional

from gscon_live.model.networks.consistency import cosines, disagreement, shared_gradients, ssc
from gscon_live.model.networks.network import Answers, Network


@dataclass(frozen=True)
class Weighting:
    """What counts how much: `gdc` and `ssc` weigh the consistency losses, `rows` utterances are
    compared at temperature `tau` in SSC, `smoothing` is that of the labels, `classes` float32 [C]
    weigh the labels (None: all 1)."""

    gdc: float = 0.0
    ssc: float = 0.0
    rows: int = 32
    tau: float = 0.07
    smoothing: float = 0.0
    classes: Tensor | None = None


@dataclass(frozen=True)
class Targets:
    """The utterances of a batch that have a label: `rows` int64 [n], their places among all B * N
    in a row; `labels` int64 [n]; `present` bool [n, M]; `soft` float32 [n, C], the probabilities
    that are learned in the labels' place (None: the labels are)."""

    rows: Tensor
    labels: Tensor
    present: Tensor
    soft: Tensor | None = None

    @property
    def learned(self) -> Tensor:
        """What the cross-entropies compare with."""
        return self.labels if self.soft is None else self.soft

    def each(self, change: Callable[[Tensor], Tensor]) -> "Targets":
        """The same with all tensors changed in one way."""
        soft = None if self.soft is None else change(self.soft)
        return Targets(change(self.rows), change(self.labels), change(self.present), soft)

    def weight(self, classes: Tensor) -> Tensor:
        """How much each counts where the labels' weights are `classes`, float32 [n]."""
        classes = classes.to(self.labels.device)
        return classes[self.labels] if self.soft is None else self.soft @ classes


@dataclass(frozen=True)
class Mass:
    """What the sums over the utterances of a step are divided by: the weight of all labels, and of
    those with each modality, [M], or their number, `count`; `parts` is the number of batches that
    the step consists of."""

    every: float
    modality: tuple[float, ...]
    count: int
    parts: int = 1


@dataclass(frozen=True)
class Terms:
    """The objective of one batch as its part of the step: over all batches of a step, `total` and
    the unweighted `parts` add up to the step's."""

    total: Tensor
    parts: dict[str, Tensor]
    cosines: dict[str, Tensor]

    def and_also(self, losses: Mapping[str, Tensor]) -> "Terms":
        """The same with further losses, as they weigh."""
        parts = self.parts | {name: one.detach() for name, one in losses.items()}
        return Terms(torch.stack([self.total, *losses.values()]).sum(), parts, self.cosines)


def mass(targets: Sequence[Targets], weighting: Weighting) -> Mass:
    """The mass of a step that consists of these batches."""
    present = torch.cat([one.present for one in targets]).cpu()
    weight = torch.ones(len(present))
    if weighting.classes is not None:
        weight = torch.cat([one.weight(weighting.classes) for one in targets]).cpu()
    every, *modality = torch.cat([weight[:, None], weight[:, None] * present], 1).sum(0).tolist()
    return Mass(every, tuple(modality), len(weight), len(targets))


def objective(
    network: Network,
    answers: Answers,
    targets: Targets,
    weighting: Weighting,
    step: Mass,
    random: torch.Generator,
    measure: bool = False,
) -> Terms:
    """The objective of a batch, and every term of it.

    A modality's own cross-entropy is over the utterances that have it. The cross-entropies are
    sums divided by the mass of the whole step, so that a step in several batches is the same as in
    one; the consistency losses are means over the batches. GDC takes the losses of the opinions
    that are read from the shared encoder: the modalities' own or, where there are any, those on
    their common parts. All is in float32.

    Args:
        network: has answered.
        answers: its answers, [B, N, ...].
        targets: at least one utterance, all on the device of the answers.
        weighting: what counts how much.
        step: the mass of the step, see `mass`.
        random: draws the rows of SSC, on the CPU.
        measure: also give the cosines between the modalities' gradients on the shared encoder
            where GDC, which needs these gradients anyway, is off.
    """

    def losses(logits: Tensor) -> Tensor:
        rows = logits.flatten(0, 1)[targets.rows].float()
        return functional.cross_entropy(
            rows, targets.learned, weighting.classes, reduction="none",
            label_smoothing=weighting.smoothing,
        )  # fmt: skip

    def of_each(logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of the modalities that are in the step, over the utterances that have them."""
        found = {}
        for place, m in enumerate(network.modalities):
            if m in logits and step.modality[place]:
                there = losses(logits[m]) * targets.present[:, place]
                found[m] = there.sum() / step.modality[place]
        return found

    parts = {"final": losses(answers.final).sum() / step.every}
    if answers.auxiliary is not None:
        parts["auxiliary"] = losses(answers.auxiliary).sum() / step.every
    if answers.common is not None:
        parts["common"] = losses(answers.common).sum() / step.every
    if answers.direct is not None and (direct := of_each({"text": answers.direct})):
        parts["direct"] = direct["text"]
    own, homogeneous = of_each(answers.specific), of_each(answers.homogeneous)
    parts |= own | {f"homogeneous_{m}": one for m, one in homogeneous.items()}
    for name, lost in answers.own.items():
        parts[name] = lost.flatten()[targets.rows].float().sum() / step.count
    total = torch.stack(list(parts.values())).sum()
    if weighting.ssc and len(answers.shared) > 1:
        drawn = torch.randperm(len(targets.rows), generator=random)[: weighting.rows]
        common = [x.flatten(0, 1)[targets.rows].float() for x in answers.shared.values()]
        drawn = drawn.to(targets.rows.device)
        parts["ssc"] = ssc(common, drawn, weighting.tau, targets.present) / step.parts
        total = total + weighting.ssc * parts["ssc"]
    found: dict[str, Tensor] = {}
    sharing = homogeneous or own
    if answers.shared and len(sharing) > 1 and (weighting.gdc or measure):
        gradients = _gradients(network, answers, list(sharing.values()))
        found = _named(cosines(gradients), list(sharing))
        if weighting.gdc:
            parts["gdc"] = disagreement(gradients) / step.parts
            total = total + weighting.gdc * parts["gdc"]
    return Terms(total, {name: one.detach() for name, one in parts.items()}, found)


def _gradients(network: Network, answers: Answers, losses: Sequence[Tensor]) -> Tensor:
    """The gradients of losses on the shared encoder, [losses, parameters]."""
    if answers.sharing is not None:
        return answers.sharing.gradients(losses)
    return shared_gradients(losses, network.groups()["shared"])


def _named(between: Tensor, modalities: Sequence[str]) -> dict[str, Tensor]:
    """The cosines between each two modalities, of [M, M]."""
    places = combinations(range(len(modalities)), 2)
    return {f"{modalities[a]}_{modalities[b]}": between[a, b] for a, b in places}
