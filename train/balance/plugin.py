"""The interface of balancing plug-ins, and what they see of a training step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, ClassVar

import msgspec
import torch
from torch import Tensor, nn

from gscon_live.model.networks.consistency_losses import cosines, shared_gradients
from gscon_live.model.networks.network import Answers, Conversations, Network
from gscon_live.train.engine.gradient_scaling import Scaling
from gscon_live.train.engine.losses import StepTotals, Targets, Weighted


@dataclass(frozen=True)
class StepContext:
    """A part of a training step after the network's forward pass, all on its device.

    `last` says that only the last utterances of windows are predicted. `targets` are the labelled
    utterances, `step` has the totals of the complete step. `losses` are those of the network, see
    `train.engine.losses.network_losses`.
    """

    network: Network
    conversations: Conversations
    last: bool
    answers: Answers
    targets: Targets
    step: StepTotals
    losses: Mapping[str, Tensor]

    def rows(self, values: Tensor) -> Tensor:
        """The values [B, N, ...] of the labelled utterances, [n, ...], in float32 or better."""
        rows = values.flatten(0, 1)[self.targets.rows]
        return rows.to(torch.promote_types(rows.dtype, torch.float32))

    @property
    def unimodal(self) -> dict[str, Tensor]:
        """The losses, by modality, of heads on the shared encoder: those on the common parts where
        a network has them, else those of each modality's own head."""
        modalities = self.network.modalities
        common = {m: f"homogeneous_{m}" for m in modalities if f"homogeneous_{m}" in self.losses}
        names = common or {m: m for m in modalities if m in self.losses}
        return {m: self.losses[name] for m, name in names.items()}

    @cached_property
    def gradients(self) -> Tensor | None:
        """The gradients of the `unimodal` losses on the shared encoder, [losses, parameters],
        differentiable; None without a shared encoder, or with fewer than two losses."""
        losses = list(self.unimodal.values())
        if not self.answers.shared or len(losses) < 2:
            return None
        if self.answers.sharing is not None:
            return self.answers.sharing.gradients(losses)
        return shared_gradients(losses, self.network.groups()["shared"])

    def cosines(self) -> dict[str, Tensor]:
        """The cosines between the `gradients` of each two modalities, by pair (`text_audio`)."""
        if self.gradients is None:
            return {}
        between = cosines(self.gradients)
        named = combinations(enumerate(self.unimodal), 2)
        return {f"{m}_{other}": between[a, b] for (a, m), (b, other) in named}


class NoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of a plug-in that has none."""


class Plugin(nn.Module):
    """A balancing method. It may have parameters, which are trained beside the network's."""

    #: The type of its settings.
    SETTINGS: ClassVar[type[msgspec.Struct]] = NoSettings
    #: Whether it scales gradients; a training has at most one such plug-in.
    SCALES: ClassVar[bool] = False
    #: Whether it needs a shared encoder of the modalities; a network without one gets one.
    NEEDS_SHARED: ClassVar[bool] = False
    #: Whether it reads `StepContext.gradients`, so that their cosines cost nothing extra.
    READS_GRADIENTS: ClassVar[bool] = False

    @classmethod
    def start_epoch(cls, settings: Any) -> int:
        """The first epoch, from 0, in which it acts: its setting `start`, where it has one."""
        return 0

    def __init__(self, network: Network, settings: msgspec.Struct) -> None:
        super().__init__()
        self.settings: Any = settings
        self.modalities = network.modalities
        # In a tuple, so that the network is no submodule of the plug-in.
        self._trained = (network,)

    @property
    def network(self) -> Network:
        """The network in training."""
        return self._trained[0]

    def losses(
        self, context: StepContext, random: torch.Generator
    ) -> Mapping[str, Tensor | Weighted]:
        """The plug-in's losses of a part, by name, as its share of the step; plain losses have
        weight 1. `random` is on the CPU."""
        return {}

    def scaling(self, step: Sequence[StepContext], epoch: int) -> Scaling | None:
        """The scaling of the gradients of a step, from all its parts; `epoch` counts from 0. None:
        nothing is scaled."""
        return None
