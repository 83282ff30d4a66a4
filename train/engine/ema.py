"""The moving average of a network's weights over the steps of its training."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """An exponential moving average of the weights, which is scored and kept in their place.

    It varies less than the weights of a single step, so that the choice of the epoch on a small
    validation split matters less (Polyak and Juditsky 1992, Acceleration of Stochastic
    Approximation by Averaging).

    Args:
        network: the network in training.
        decay: the decay per step, from 0, below 1; about 1 / (1 - decay) steps are averaged. 0: no
            average, and the weights stay unchanged.
        resumed: the average so far, where a training is resumed.
    """

    def __init__(self, network: nn.Module, decay: float, resumed: Mapping[str, Tensor]) -> None:
        state = network.state_dict() if decay else {}
        self._weights = {name: value for name, value in state.items() if value.is_floating_point()}
        self._decay = decay
        self._average = {name: value.detach().clone() for name, value in self._weights.items()}
        if resumed:
            for name, value in self._average.items():
                value.copy_(resumed[name])

    def update(self, steps: int) -> None:
        """Updates the average after `steps` steps in all; the decay is smaller in early ones."""
        if not self._decay:
            return
        decay = min(self._decay, steps / (steps + 9))
        with torch.no_grad():
            torch._foreach_lerp_([*self._average.values()], [*self._weights.values()], 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Swaps the average into the network; swaps back at the end."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        with torch.no_grad():
            for name, value in self._weights.items():
                weights = value.clone()
                value.copy_(self._average[name])
                self._average[name].copy_(weights)
