"""Scaling of gradients, or of an optimiser's updates, by factors.

Optimisers such as Adam divide by the size of past gradients, so that a constant factor on the
gradient has no effect on the update. To have one, the update itself is scaled.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

#: Whether factors scale the gradients, before clipping, or the parameters' update in a step, with
#: weight decay.
Scaled = Literal["gradient", "update"]


@dataclass(frozen=True)
class Scaling:
    """The scaling of the gradients in a step.

    `factors` belong to parameters and can be broadcast to their shapes. With `noisy`, factors are
    single numbers, and Gaussian noise is added to the gradients after clipping. Its standard
    deviation is that of the elements of the scaled gradient, or with `unscaled_noise` of the
    unscaled one. `figures` go into the training's history.
    """

    factors: list[tuple[nn.Parameter, Tensor]]
    noisy: bool = False
    unscaled_noise: bool = False
    figures: dict[str, float] = field(default_factory=dict)

    def step(
        self, optimiser: torch.optim.Optimizer, scaled: Scaled, clip: Callable[[], object]
    ) -> None:
        """Makes the optimiser's step: scales the gradients, clips them by `clip`, adds noise, steps
        and scales the update, as `scaled` says."""
        self.scale(scaled)
        clip()
        self.add_noise()
        with self.scaled_update(scaled):
            optimiser.step()

    def scale(self, scaled: Scaled) -> None:
        """Scales the gradients, where `scaled` is `gradient`."""
        if scaled == "gradient":
            for parameter, factor in self.factors:
                if parameter.grad is not None:
                    parameter.grad.mul_(factor)

    def add_noise(self) -> None:
        """Adds the noise. A scaled update scales its noise too, so that the noise of the weights is
        the same in both cases for plain gradient descent."""
        for parameter, factor in self.factors if self.noisy else ():
            grad = parameter.grad
            if grad is None or grad.numel() < 2:
                continue
            # The unscaled deviation is larger by 1 / factor, before scaling and after it.
            deviation = grad.std() / factor if self.unscaled_noise else grad.std()
            grad.add_(torch.randn_like(grad) * deviation)

    @contextmanager
    def scaled_update(self, scaled: Scaled) -> Iterator[None]:
        """Scales the update of an optimiser step made within, where `scaled` is `update`."""
        if scaled == "gradient":
            yield
            return
        previous = [parameter.detach().clone() for parameter, _ in self.factors]
        yield
        with torch.no_grad():
            for (parameter, factor), old in zip(self.factors, previous, strict=True):
                parameter.copy_(torch.lerp(old, parameter, factor.expand_as(parameter)))
