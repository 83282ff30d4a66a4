"""What a balancing plug-in is, and what it sees of a training."""

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
from gscon_live.train.engine.losses import Mass, Targets, Weighted


@dataclass(frozen=True)
class StepContext:
    """A part of a training step as the network answered it, all on its device.

    `last` says that only the last places of windows were answered; `targets` are the utterances
    that count, `step` is the mass of the whole step; `losses` are the network's own, see
    `train.engine.losses.network_losses`.
    """

    network: Network
    conversations: Conversations
    last: bool
    answers: Answers
    targets: Targets
    step: Mass
    losses: Mapping[str, Tensor]

    def rows(self, given: Tensor) -> Tensor:
        """Of something [B, N, ...] the utterances that count, [n, ...], in float32 or better."""
        chosen = given.flatten(0, 1)[self.targets.rows]
        return chosen.to(torch.promote_types(chosen.dtype, torch.float32))

    @property
    def unimodal(self) -> dict[str, Tensor]:
        """The losses of the opinions that are read from the shared encoder, by modality: those on
        the common parts where a network has these, else the modalities' own."""
        modalities = self.network.modalities
        common = {m: f"homogeneous_{m}" for m in modalities if f"homogeneous_{m}" in self.losses}
        names = common or {m: m for m in modalities if m in self.losses}
        return {m: self.losses[name] for m, name in names.items()}

    @cached_property
    def gradients(self) -> Tensor | None:
        """The gradients of the `unimodal` losses on the shared encoder, [losses, parameters],
        differentiable; None where there is no such encoder, or fewer than two losses."""
        losses = list(self.unimodal.values())
        if not self.answers.shared or len(losses) < 2:
            return None
        if self.answers.sharing is not None:
            return self.answers.sharing.gradients(losses)
        return shared_gradients(losses, self.network.groups()["shared"])

    def cosines(self) -> dict[str, Tensor]:
        """The cosines between each two modalities' `gradients`, by pair (`text_audio`)."""
        if self.gradients is None:
            return {}
        between = cosines(self.gradients)
        named = combinations(enumerate(self.unimodal), 2)
        return {f"{m}_{other}": between[a, b] for (a, m), (b, other) in named}


class NoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of a plug-in without any."""


class Plugin(nn.Module):
    """A balancing method. It may have parameters, which are trained beside the network's."""

    #: What it can be set to.
    SETTINGS: ClassVar[type[msgspec.Struct]] = NoSettings
    #: Whether it scales gradients; no two that do are taken together.
    SCALES: ClassVar[bool] = False
    #: Whether it acts on an encoder that the modalities share; a network without one is given one.
    NEEDS_SHARED: ClassVar[bool] = False
    #: Whether it reads `StepContext.gradients`, so that their cosines cost nothing more.
    READS_GRADIENTS: ClassVar[bool] = False

    @classmethod
    def waits(cls, settings: Any) -> int:
        """How many epochs pass before it does anything: its setting `start`, where it has one."""
        return 0

    def __init__(self, network: Network, settings: msgspec.Struct) -> None:
        super().__init__()
        self.settings: Any = settings
        self.modalities = network.modalities
        # In a tuple, so that the network's parameters are not taken for the plug-in's.
        self._trained = (network,)

    @property
    def network(self) -> Network:
        """The network in training."""
        return self._trained[0]

    def losses(
        self, context: StepContext, random: torch.Generator
    ) -> Mapping[str, Tensor | Weighted]:
        """Losses of a part, by name, as their share of the step: as they weigh, or with their
        weight beside them. `random` is on the CPU."""
        return {}

    def scaling(self, step: Sequence[StepContext], epoch: int) -> Scaling | None:
        """What the gradients of a step are scaled by, all of whose parts are given; `epoch` counts
        from 0. None: nothing is scaled."""
        return None
