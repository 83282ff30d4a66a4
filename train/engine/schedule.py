"""The learning rate over a training."""

import math
from typing import Literal

#: How the rate moves between its lowest and its highest.
Anneal = Literal["cosine", "linear"]


def one_cycle(done: float, warm_up: float, anneal: Anneal = "cosine") -> float:
    """The learning rate as a share of the highest: up from a 25th, then down to 0 (Smith and Topin
    2019, Super-convergence).

    Args:
        done: the share of all steps that are done, 0 to 1.
        warm_up: the share of all steps in which the rate rises, from 0, below 1.
        anneal: by half a cosine each way, or in straight lines.
    """
    if anneal == "linear":
        if done < warm_up:
            return 0.04 + 0.96 * done / warm_up
        return (1 - done) / (1 - warm_up)
    if done < warm_up:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * done / warm_up)) / 2
    return (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up))) / 2
