"""Gradients, or what an optimiser makes of them, scaled by factors.

Optimisers of Adam's kind divide by the size of past gradients, so that a factor which stays the
same does nothing to what they make of a gradient. Where the factors are to be felt, the update
itself is scaled.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

#: What is scaled: gradients, before they are clipped; or what a step changes in the parameters,
#: the decay of weights included.
Scaled = Literal["gradient", "update"]


@dataclass(frozen=True)
class Scaling:
    """What the gradients of one step are scaled by.

    `factors` belong to parameters and can be broadcast to their shapes. `noisy` parameters, with
    factors that are single numbers, get Gaussian noise on their gradients, after these are clipped,
    which is to reach the weights with the standard deviation that the gradient's own elements have,
    scaled or (`loud`) unscaled. `told` goes into the training's history.
    """

    factors: list[tuple[nn.Parameter, Tensor]]
    noisy: bool = False
    loud: bool = False
    told: dict[str, float] = field(default_factory=dict)

    def step(
        self, optimiser: torch.optim.Optimizer, what: Scaled, clip: Callable[[], object]
    ) -> None:
        """The optimiser's step, with all that belongs before and after it, in that order: gradients
        are scaled, clipped by `clip`, disturbed, and what they change is scaled."""
        self.scale(what)
        clip()
        self.disturb()
        with self.updating(what):
            optimiser.step()

    def scale(self, what: Scaled) -> None:
        """Scales the gradients, where these are what is scaled."""
        if what == "gradient":
            for parameter, factor in self.factors:
                if parameter.grad is not None:
                    parameter.grad.mul_(factor)

    def disturb(self) -> None:
        """Adds the noise. Where the update is scaled, its noise will be, too, so that what reaches
        the weights is the same for an optimiser that takes gradients as they are."""
        for parameter, factor in self.factors if self.noisy else ():
            grad = parameter.grad
            if grad is None or grad.numel() < 2:
                continue
            # That of the unscaled gradient is more by 1 / factor, before scaling and after it.
            deviation = grad.std() / factor if self.loud else grad.std()
            grad.add_(torch.randn_like(grad) * deviation)

    @contextmanager
    def updating(self, what: Scaled) -> Iterator[None]:
        """Within it the optimiser makes its step; after it the step is scaled, where that is what
        is scaled."""
        if what == "gradient":
            yield
            return
        before = [parameter.detach().clone() for parameter, _ in self.factors]
        yield
        with torch.no_grad():
            for (parameter, factor), old in zip(self.factors, before, strict=True):
                parameter.copy_(torch.lerp(old, parameter, factor.expand_as(parameter)))
