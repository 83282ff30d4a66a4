"""Means over an epoch in training: of losses and other figures."""

from collections.abc import Mapping

import torch
from lightning_fabric import Fabric
from torch import Tensor

from gscon_live.train.engine.losses import Terms


class RunningMeans:
    """Sums of the terms of an epoch, kept on the device until they are read."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._steps = 0

    def add(self, terms: Terms) -> None:
        """Adds the terms of a part of a step."""
        losses = {"loss": terms.total.detach()}
        losses |= {f"loss_{name}": value for name, value in terms.parts.items()}
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0) + value
        self.add_figures({f"cosine_{name}": value for name, value in terms.cosines.items()})

    def add_figures(self, figures: Mapping[str, Tensor | float]) -> None:
        """Adds figures that are not measured in every step."""
        for name, value in figures.items():
            self._sums[name] = torch.as_tensor(self._sums.get(name, 0) + value)
            self._counts[name] = self._counts.get(name, 0) + 1

    def count_step(self) -> None:
        """Counts a completed step."""
        self._steps += 1

    def now(self) -> dict[str, float]:
        """The means so far on this device."""
        return {
            name: float(value) / self._counts.get(name, self._steps)
            for name, value in self._sums.items()
        }

    def across_devices(self, fabric: Fabric) -> dict[str, float]:
        """The means over all devices: losses are summed, cosines are averaged."""
        if fabric.world_size == 1:
            return self.now()
        by_device: list[dict[str, float]] = [{} for _ in range(fabric.world_size)]
        torch.distributed.all_gather_object(by_device, self.now())
        gathered: dict[str, list[float]] = {}
        for means in by_device:
            for name, value in means.items():
                gathered.setdefault(name, []).append(value)
        return {
            name: sum(values) / (len(values) if name in self._counts else 1)
            for name, values in gathered.items()
        }
