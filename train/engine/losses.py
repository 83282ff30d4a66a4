"""The losses of a network: the cross-entropies of its heads, and losses of its own.

    L = L_final + L_auxiliary + L_common + sum_m L_m

is GSCon's. Other networks have the terms of the heads that they have, and losses of their own, see
`model.networks.outputs.Answers`. Plug-ins that balance the modalities add terms, see
`train.balance`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from gscon_live.model.networks.network import Answers


@dataclass(frozen=True)
class Weighting:
    """Label smoothing, and class weights `classes` float32 [C] (None: all 1)."""

    smoothing: float = 0.0
    classes: Tensor | None = None


@dataclass(frozen=True)
class Targets:
    """The utterances of a batch that have a label: `rows` int64 [n], their places among all B * N
    in a row; `labels` int64 [n]; `present` bool [n, M]; `soft` float32 [n, C], soft labels in
    place of the labels (None: there are none)."""

    rows: Tensor
    labels: Tensor
    present: Tensor
    soft: Tensor | None = None

    @property
    def learned(self) -> Tensor:
        """The targets of the cross-entropies: soft labels, or labels."""
        return self.labels if self.soft is None else self.soft

    def map_tensors(self, change: Callable[[Tensor], Tensor]) -> "Targets":
        """The targets with `change` applied to every tensor."""
        soft = None if self.soft is None else change(self.soft)
        return Targets(change(self.rows), change(self.labels), change(self.present), soft)

    def weight(self, classes: Tensor) -> Tensor:
        """The weight of each utterance for class weights `classes`, float32 [n]."""
        classes = classes.to(self.labels.device)
        return classes[self.labels] if self.soft is None else self.soft @ classes


@dataclass(frozen=True)
class StepTotals:
    """The denominators of a step's sums over utterances: the weight of all labels, the weight of
    the labels with each modality, [M], and the number of labels, `count`. `parts` is the number of
    batches in the step."""

    labels: float
    modality: tuple[float, ...]
    count: int
    parts: int = 1


class Weighted(NamedTuple):
    """A loss and its weight in the objective; the history shows it without the weight."""

    loss: Tensor
    weight: float


@dataclass(frozen=True)
class Terms:
    """The objective of a batch, as its share of the step: summed over a step's batches, `total` and
    the logged `parts` are the step's. `cosines` are between the modalities' gradients, where they
    were measured."""

    total: Tensor
    parts: dict[str, Tensor]
    cosines: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, losses: Mapping[str, Tensor]) -> "Terms":
        """The sum of losses."""
        total = torch.stack(list(losses.values())).sum()
        return cls(total, {name: loss.detach() for name, loss in losses.items()})

    def plus(self, losses: Mapping[str, Tensor | Weighted]) -> "Terms":
        """The terms with further weighted losses added."""
        added, parts = [self.total], dict(self.parts)
        for name, term in losses.items():
            loss, weight = term if isinstance(term, Weighted) else (term, 1.0)
            added.append(loss if weight == 1 else weight * loss)
            parts[name] = loss.detach()
        return Terms(torch.stack(added).sum(), parts, self.cosines)


def step_totals(targets: Sequence[Targets], weighting: Weighting) -> StepTotals:
    """The denominators of a step with these batches."""
    present = torch.cat([batch.present for batch in targets]).cpu()
    weight = torch.ones(len(present))
    if weighting.classes is not None:
        weight = torch.cat([batch.weight(weighting.classes) for batch in targets]).cpu()
    labels, *modality = torch.cat([weight[:, None], weight[:, None] * present], 1).sum(0).tolist()
    return StepTotals(labels, tuple(modality), len(weight), len(targets))


def network_losses(
    modalities: Sequence[str],
    answers: Answers,
    targets: Targets,
    weighting: Weighting,
    step: StepTotals,
) -> dict[str, Tensor]:
    """The losses of a network on a batch, by name, in float32.

    A modality's own cross-entropy is over the utterances that have it. The cross-entropies are
    sums divided by the step's denominators, so that splitting a step into batches changes nothing.

    Args:
        modalities: the network's, in the order of the masks.
        answers: the network's, [B, N, ...].
        targets: at least one utterance, all on the device of the answers.
        weighting: label smoothing and class weights.
        step: the denominators of the step, see `step_totals`.

    Returns:
        Scalars: `final`; `auxiliary`, `common` and `direct` where there are such heads; each
        modality's own under its name, and on its common part under `homogeneous_<modality>`; and
        the network's own losses.
    """

    def cross_entropy(logits: Tensor) -> Tensor:
        rows = logits.flatten(0, 1)[targets.rows].float()
        return functional.cross_entropy(
            rows, targets.learned, weighting.classes, reduction="none",
            label_smoothing=weighting.smoothing,
        )  # fmt: skip

    def by_modality(logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """For the modalities in the step, over the utterances that have them."""
        losses = {}
        for place, m in enumerate(modalities):
            if m in logits and step.modality[place]:
                present = cross_entropy(logits[m]) * targets.present[:, place]
                losses[m] = present.sum() / step.modality[place]
        return losses

    losses = {"final": cross_entropy(answers.final).sum() / step.labels}
    if answers.auxiliary is not None:
        losses["auxiliary"] = cross_entropy(answers.auxiliary).sum() / step.labels
    if answers.common is not None:
        losses["common"] = cross_entropy(answers.common).sum() / step.labels
    if answers.direct is not None and (direct := by_modality({"text": answers.direct})):
        losses["direct"] = direct["text"]
    losses |= by_modality(answers.specific)
    homogeneous = by_modality(answers.homogeneous)
    losses |= {f"homogeneous_{m}": loss for m, loss in homogeneous.items()}
    for name, loss in answers.own.items():
        losses[name] = loss.flatten()[targets.rows].float().sum() / step.count
    return losses
