"""The optimiser's steps of an encoder's training: one cycle of the rate, an average of the weights,
and a number of threads."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from gscon_live.train.engine.ema import Average
from gscon_live.train.engine.trainer import one_cycle


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Within it, so many threads calculate."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Descent:
    """A network in training.

    Args:
        on: the device.
        network: put on it.
        optimiser: of the network's parameters, with its highest rate.
        total: steps in all, over which the rate goes through one cycle.
        warm_up: see `train.engine.trainer.one_cycle`.
        average: see `train.engine.ema.Average`.
    """

    #: Gradients are cut to this norm.
    CLIP = 5.0

    def __init__(
        self,
        on: Fabric,
        network: nn.Module,
        optimiser: torch.optim.Optimizer,
        total: int,
        warm_up: float,
        average: float,
    ) -> None:
        self._on = on
        #: What is called in training.
        self.module, self._optimiser = on.setup(network, optimiser)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda done: one_cycle(done / total, warm_up)
        )
        self.average = Average(network, average, {})
        #: Steps so far.
        self.done = 0

    def step(self, loss: Tensor) -> None:
        """One step down a loss."""
        self._optimiser.zero_grad(set_to_none=True)
        self._on.backward(loss)
        self._on.clip_gradients(self.module, self._optimiser, max_norm=self.CLIP)
        self._optimiser.step()
        self._schedule.step()
        self.done += 1
        self.average.update(self.done)
