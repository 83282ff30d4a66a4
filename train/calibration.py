"""Temperatures: how much surer or less sure the answers should be, by what validation says.

A temperature divides the logits (Guo et al. 2017, On Calibration of Modern Neural Networks); it
never changes which class is the most probable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from model.labels import MODALITIES

#: Logits by head: `final`, and each modality's own; float32 [n, classes].
Logits = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Calibration:
    """Temperatures: of the final answers, over all and by the modalities that the utterance has,
    and of each modality's own answers; and how probable each class is called in the mean, with all
    modalities."""

    overall: float
    by_presence: dict[str, float]
    own: dict[str, float]
    prior: list[float]


def softmax(
    logits: NDArray[np.float32], temperature: float | NDArray[np.float64] = 1.0
) -> NDArray[np.float64]:
    """Probabilities [n, classes] of logits [n, classes]; one temperature, or one for each row
    [n, 1]."""
    scaled = torch.from_numpy(logits).double() / torch.as_tensor(temperature)
    return np.asarray(scaled.softmax(-1), np.float64)


def best_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature from 0.3 to 5 under which the labels [n] are most probable, n at least 1."""
    grid = np.exp(np.linspace(np.log(0.3), np.log(5.0), 120))
    rows = np.arange(len(labels))
    losses = [-np.log(softmax(logits, t)[rows, labels] + 1e-12).mean() for t in grid]
    return round(float(grid[int(np.argmin(losses))]), 4)


def temperatures(
    found: Mapping[str, Logits], there: Mapping[str, Sequence[str]], labels: NDArray[np.int64]
) -> Calibration:
    """The temperatures under which the labels are most probable, and the prior.

    Args:
        found: logits by which modalities were kept (the names of `model.checkpoint.presence`), the
            set of all among them.
        there: for each of these, which modalities every utterance then really has, likewise named.
        labels: int64 [n], of the utterances.
    """
    overall = best_temperature(
        np.concatenate([one["final"] for one in found.values()]), np.tile(labels, len(found))
    )
    by_presence, own = {}, {}
    for name in found:
        # Only utterances that have just these: some lack what was kept.
        mine = np.array([one == name for one in there[name]])
        by_presence[name] = (
            best_temperature(found[name]["final"][mine], labels[mine]) if mine.any() else overall
        )
    most = max(found, key=lambda name: sum(m in name.split("+") for m in MODALITIES))
    for m in (m for m in MODALITIES if m in found[most]):
        has = np.array([m in one.split("+") for one in there[most]])
        own[m] = best_temperature(found[most][m][has], labels[has]) if has.any() else overall
    prior = softmax(found[most]["final"], overall).mean(0)
    return Calibration(overall, by_presence, own, [round(float(one), 6) for one in prior])
