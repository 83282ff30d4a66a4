"""Temperatures: how much surer or less sure the answers should be, by what validation says.

A temperature divides the logits (Guo et al. 2017, On Calibration of Modern Neural Networks); it
never changes which class is the most probable. Where classes weighed differently in training, the
rare ones are called too often for any temperature; then a part of these weights is taken back, as
little as calibration needs (after the bias-corrected temperature scaling of Alexandari et al. 2020,
whose biases are free). How frequent the classes are, a small validation split tells badly; where
the training split tells it better, utterances count by its rates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from gscon_live.model.labels import MODALITIES
from gscon_live.train.scoring.metrics import calibration_error

#: A calibration error on validation that is small enough.
ENOUGH = 0.05

#: Logits by head: `final`, and each modality's own; float32 [n, classes].
Logits = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Calibration:
    """Temperatures: of the final answers, over all and by the modalities that the utterance has,
    and of each modality's own answers; how probable each class is called in the mean, with all
    modalities; and what is added to the classes' logits, by the modalities that the utterance has
    (where it is not there: nothing)."""

    overall: float
    by_presence: dict[str, float]
    own: dict[str, float]
    prior: list[float]
    shifts: dict[str, list[float]] = field(default_factory=dict)

    def probabilities(
        self, logits: NDArray[np.float32], there: Sequence[str]
    ) -> NDArray[np.float64]:
        """The calibrated probabilities [n, classes] of final logits [n, classes], of utterances
        that have the modalities `there` (the names of `model.checkpoint.presence`), [n]."""
        nothing = [0.0] * logits.shape[1]
        temperature = np.array([[self.by_presence[name]] for name in there])
        shift = np.array([self.shifts.get(name, nothing) for name in there])
        return softmax(logits, temperature, shift)


def softmax(
    logits: NDArray[np.float32],
    temperature: float | NDArray[np.float64] = 1.0,
    shift: float | NDArray[np.float64] = 0.0,
) -> NDArray[np.float64]:
    """Probabilities [n, classes] of logits [n, classes]; one temperature, or one for each row
    [n, 1]; what is then added, [classes] or [n, classes]."""
    scaled = torch.from_numpy(logits).double() / torch.as_tensor(temperature)
    return np.asarray((scaled + torch.as_tensor(shift)).softmax(-1), np.float64)


def best_temperature(
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    shift: float | NDArray[np.float64] = 0.0,
    counts: NDArray[np.float64] | None = None,
) -> float:
    """The temperature from 0.3 to 5 under which the labels [n] are most probable, n at least 1;
    `counts` [n] is how much each counts (None: all the same)."""
    grid = np.exp(np.linspace(np.log(0.3), np.log(5.0), 120))
    rows = np.arange(len(labels))
    losses = [
        np.average(-np.log(softmax(logits, t, shift)[rows, labels] + 1e-12), weights=counts)
        for t in grid
    ]
    return round(float(grid[int(np.argmin(losses))]), 4)


def least_shift(
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    weight: NDArray[np.float64],
    counts: NDArray[np.float64] | None = None,
) -> tuple[float, NDArray[np.float64]]:
    """The temperature, and what has to be added for the calibration error to come down to `ENOUGH`:
    the least of ten parts of what takes back the classes' weights in training; where none is
    enough, that which leaves the smallest error.

    Args:
        logits: [n, classes].
        labels: int64 [n], n at least 1.
        weight: of the classes in training, [classes].
        counts: how much each utterance counts, [n]; None: all the same.
    """
    tried = []
    for part in np.linspace(0, 1, 11):
        shift = -part * (np.log(weight) - np.log(weight).mean())
        temperature = best_temperature(logits, labels, shift, counts)
        answers = softmax(logits, temperature, shift)
        error = calibration_error(answers, labels, counts=counts)
        if error <= ENOUGH:
            return temperature, shift
        tried.append((error, temperature, shift))
    _, temperature, shift = min(tried, key=lambda trial: trial[0])
    return temperature, shift


def temperatures(
    logits: Mapping[str, Logits],
    there: Mapping[str, Sequence[str]],
    labels: NDArray[np.int64],
    weight: NDArray[np.float64] | None = None,
    rates: NDArray[np.float64] | None = None,
) -> Calibration:
    """The temperatures under which the labels are most probable, the prior, and what is added.

    Args:
        logits: by which modalities were kept (the names of `model.checkpoint.presence`), the
            set of all among them.
        there: for each of these, which modalities every utterance then really has, likewise named.
        labels: int64 [n], of the utterances.
        weight: of the classes in training, [classes]; None: all weighed the same.
        rates: how frequent the classes are where answers will be given, [classes], each above 0;
            utterances then count as if they were so here. None: as they are among the labels.
    """
    counts = np.ones(len(labels))
    if rates is not None:
        here = np.bincount(labels, minlength=len(rates))
        counts = (rates / rates.sum())[labels] / (here / here.sum())[labels]
    overall = best_temperature(
        np.concatenate([heads["final"] for heads in logits.values()]),
        np.tile(labels, len(logits)),
        counts=np.tile(counts, len(logits)),
    )
    by_presence, own, shifts = {}, {}, {}
    for name in logits:
        # Only utterances that have just these: some lack what was kept.
        mine = np.array([really == name for really in there[name]])
        if not mine.any():
            by_presence[name] = overall
            continue
        final = logits[name]["final"][mine]
        if weight is None:
            by_presence[name] = best_temperature(final, labels[mine], counts=counts[mine])
            continue
        by_presence[name], shift = least_shift(final, labels[mine], weight, counts[mine])
        if shift.any():
            shifts[name] = [round(float(value), 4) for value in shift]
    most = max(logits, key=lambda name: sum(m in name.split("+") for m in MODALITIES))
    for m in (m for m in MODALITIES if m in logits[most]):
        has = np.array([m in really.split("+") for really in there[most]])
        own[m] = overall
        if has.any():
            own[m] = best_temperature(logits[most][m][has], labels[has], counts=counts[has])
    answers = softmax(logits[most]["final"], overall, np.array(shifts.get(most, 0.0)))
    prior = np.average(answers, 0, counts)
    return Calibration(overall, by_presence, own, [round(float(rate), 6) for rate in prior], shifts)
