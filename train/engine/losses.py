"""The losses of a network by itself: the cross-entropies of its heads, and losses of its own.

    L = L_final + L_auxiliary + L_common + sum_m L_m

is GSCon's. Networks without some of the heads have the other terms only; with other heads, also
their cross-entropies, and losses of their own, see `model.networks.outputs.Answers`. What balances
the modalities adds to it, see `train.balance`.
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
    """What counts how much: `smoothing` is that of the labels, `classes` float32 [C] weigh the
    labels (None: all 1)."""

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


class Weighted(NamedTuple):
    """A loss and its weight in the objective; the history shows it without the weight."""

    loss: Tensor
    weight: float


@dataclass(frozen=True)
class Terms:
    """The objective of one batch as its part of the step: over all batches of a step, `total` and
    the `parts`, which are logged, add up to the step's. `cosines` are those between the modalities'
    gradients, where they were measured."""

    total: Tensor
    parts: dict[str, Tensor]
    cosines: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, losses: Mapping[str, Tensor]) -> "Terms":
        """The sum of losses."""
        total = torch.stack(list(losses.values())).sum()
        return cls(total, {name: loss.detach() for name, loss in losses.items()})

    def plus(self, losses: Mapping[str, Tensor | Weighted]) -> "Terms":
        """The same with further losses, as they weigh."""
        added, parts = [self.total], dict(self.parts)
        for name, term in losses.items():
            loss, weight = term if isinstance(term, Weighted) else (term, 1.0)
            added.append(loss if weight == 1 else weight * loss)
            parts[name] = loss.detach()
        return Terms(torch.stack(added).sum(), parts, self.cosines)


def mass(targets: Sequence[Targets], weighting: Weighting) -> Mass:
    """The mass of a step that consists of these batches."""
    present = torch.cat([batch.present for batch in targets]).cpu()
    weight = torch.ones(len(present))
    if weighting.classes is not None:
        weight = torch.cat([batch.weight(weighting.classes) for batch in targets]).cpu()
    every, *modality = torch.cat([weight[:, None], weight[:, None] * present], 1).sum(0).tolist()
    return Mass(every, tuple(modality), len(weight), len(targets))


def network_losses(
    modalities: Sequence[str],
    answers: Answers,
    targets: Targets,
    weighting: Weighting,
    step: Mass,
) -> dict[str, Tensor]:
    """The losses of a batch that a network has by itself, by name, in float32.

    A modality's own cross-entropy is over the utterances that have it. The cross-entropies are
    sums divided by the mass of the whole step, so that a step in several batches is the same as in
    one.

    Args:
        modalities: the network's, in the order of the masks.
        answers: the network's, [B, N, ...].
        targets: at least one utterance, all on the device of the answers.
        weighting: what counts how much.
        step: the mass of the step, see `mass`.

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
        """Of the modalities that are in the step, over the utterances that have them."""
        losses = {}
        for place, m in enumerate(modalities):
            if m in logits and step.modality[place]:
                there = cross_entropy(logits[m]) * targets.present[:, place]
                losses[m] = there.sum() / step.modality[place]
        return losses

    losses = {"final": cross_entropy(answers.final).sum() / step.every}
    if answers.auxiliary is not None:
        losses["auxiliary"] = cross_entropy(answers.auxiliary).sum() / step.every
    if answers.common is not None:
        losses["common"] = cross_entropy(answers.common).sum() / step.every
    if answers.direct is not None and (direct := by_modality({"text": answers.direct})):
        losses["direct"] = direct["text"]
    losses |= by_modality(answers.specific)
    homogeneous = by_modality(answers.homogeneous)
    losses |= {f"homogeneous_{m}": loss for m, loss in homogeneous.items()}
    for name, own in answers.own.items():
        losses[name] = own.flatten()[targets.rows].float().sum() / step.count
    return losses
