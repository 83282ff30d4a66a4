"""What a balancing plug-in is, and what it sees of a training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import torch
from torch import Tensor, nn

from gscon_live.model.networks.network import Answers, Conversations, Network
from gscon_live.train.engine.gradient_scaling import Scaling
from gscon_live.train.engine.losses import Mass, Targets


@dataclass(frozen=True)
class Seen:
    """A part of a step as the network answered it, all on its device.

    `last` says that only the last places of windows were answered; `targets` are the utterances
    that count, `step` is the mass of the whole step.
    """

    conversations: Conversations
    last: bool
    answers: Answers
    targets: Targets
    step: Mass

    def rows(self, given: Tensor) -> Tensor:
        """Of something [B, N, ...] the utterances that count, [n, ...], in float32 or better."""
        chosen = given.flatten(0, 1)[self.targets.rows]
        return chosen.to(torch.promote_types(chosen.dtype, torch.float32))


class NoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of a plug-in without any."""


class Plugin(nn.Module):
    """A balancing method. It may have parameters, which are trained beside the network's."""

    #: What it can be set to.
    SETTINGS: ClassVar[type[msgspec.Struct]] = NoSettings
    #: Whether it scales gradients; no two that do are taken together.
    SCALES: ClassVar[bool] = False

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

    def losses(self, seen: Seen, random: torch.Generator) -> dict[str, Tensor]:
        """Losses of a part, by name, as they weigh and as their share of the step; `random` is on
        the CPU."""
        return {}

    def scaling(self, step: Sequence[Seen], epoch: int) -> Scaling | None:
        """What the gradients of a step are scaled by, all of whose parts are given; `epoch` counts
        from 0. None: nothing is scaled."""
        return None
