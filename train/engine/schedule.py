"""The schedule of the learning rate."""

import math
from typing import Literal

#: The shape of the rise and fall of the rate.
Anneal = Literal["cosine", "linear"]


def one_cycle(progress: float, warm_up: float, anneal: Anneal = "cosine") -> float:
    """The learning rate as a share of the peak: from 1/25 up to 1, then down to 0 (Smith and Topin
    2019, Super-convergence).

    Args:
        progress: the share of all steps that are done, 0 to 1.
        warm_up: the share of all steps in which the rate rises, from 0, below 1.
        anneal: half a cosine up and down, or straight lines.
    """
    if anneal == "linear":
        if progress < warm_up:
            return 0.04 + 0.96 * progress / warm_up
        return (1 - progress) / (1 - warm_up)
    if progress < warm_up:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * progress / warm_up)) / 2
    return (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up))) / 2
