"""The moving average of a network's weights over the steps of its training."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """An exponential moving average of the weights, which is scored and kept in their place.

    It is steadier than the weights of any one step, so that less depends on which epoch happens to
    do well on a small validation split (Polyak and Juditsky 1992, Acceleration of Stochastic
    Approximation by Averaging).

    Args:
        network: in training.
        decay: how much of the average stays in a step, below 1; about 1 / (1 - decay) steps are
            averaged. 0: there is no average, and the weights are left as they are.
        begun: the average so far, where a training is continued.
    """

    def __init__(self, network: nn.Module, decay: float, begun: Mapping[str, Tensor]) -> None:
        state = network.state_dict() if decay else {}
        self._weights = {name: value for name, value in state.items() if value.is_floating_point()}
        self._decay = decay
        self._average = {name: value.detach().clone() for name, value in self._weights.items()}
        if begun:
            for name, value in self._average.items():
                value.copy_(begun[name])

    def update(self, steps: int) -> None:
        """Takes the weights in, after so many steps in all; early ones are soon forgotten."""
        if not self._decay:
            return
        decay = min(self._decay, steps / (steps + 9))
        with torch.no_grad():
            torch._foreach_lerp_([*self._average.values()], [*self._weights.values()], 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network has the average for its weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        with torch.no_grad():
            for name, value in self._weights.items():
                kept = value.clone()
                value.copy_(self._average[name])
                self._average[name].copy_(kept)
