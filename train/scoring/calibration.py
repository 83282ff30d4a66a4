"""Calibration on validation: temperature scaling, and a correction of the class prior.

A temperature divides the logits (Guo et al. 2017, On Calibration of Modern Neural Networks); it
never changes which class is the most probable. Class weights in training make a network answer
rare classes too often, at any temperature. Then a share of the weights' logarithms is subtracted
from the logits, as little as calibration needs (after the bias-corrected temperature scaling of
Alexandari et al. 2020, whose biases are free). A small validation split gives poor estimates of the
class frequencies. Where the training split gives better ones, utterances are weighted to them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from gscon_live.model.labels import MODALITIES
from gscon_live.train.scoring.metrics import calibration_error

#: The expected calibration error on validation at which no more of the prior is corrected.
TARGET_ECE = 0.05

#: Logits by head: `final`, and the unimodal head of each modality; float32 [n, classes].
Logits = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Calibration:
    """Temperatures and shifts that turn a network's logits into calibrated probabilities.

    `overall` is the temperature of the final logits over all sets of modalities, `by_presence` by
    the set that an utterance has; `unimodal` are those of the unimodal heads by modality. `prior`
    is the mean probability of each class with all modalities. `shifts` are added to the scaled
    final logits, by the set that an utterance has; a missing set adds nothing.
    """

    overall: float
    by_presence: dict[str, float]
    unimodal: dict[str, float]
    prior: list[float]
    shifts: dict[str, list[float]] = field(default_factory=dict)

    def probabilities(
        self, logits: NDArray[np.float32], available: Sequence[str]
    ) -> NDArray[np.float64]:
        """The calibrated probabilities [n, classes] of final logits [n, classes].

        `available` [n] names the set of modalities that each utterance has (see
        `model.checkpoint.modality_set_name`).
        """
        no_shift = [0.0] * logits.shape[1]
        temperature = np.array([[self.by_presence[name]] for name in available])
        shift = np.array([self.shifts.get(name, no_shift) for name in available])
        return softmax(logits, temperature, shift)


def softmax(
    logits: NDArray[np.float32],
    temperature: float | NDArray[np.float64] = 1.0,
    shift: float | NDArray[np.float64] = 0.0,
) -> NDArray[np.float64]:
    """Probabilities [n, classes] of logits [n, classes], divided by the temperature (a number, or
    [n, 1]), plus the shift ([classes] or [n, classes])."""
    scaled = torch.from_numpy(logits).double() / torch.as_tensor(temperature)
    return np.asarray((scaled + torch.as_tensor(shift)).softmax(-1), np.float64)


def fit_temperature(
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    shift: float | NDArray[np.float64] = 0.0,
    sample_weights: NDArray[np.float64] | None = None,
) -> float:
    """The temperature from 0.3 to 5 with the smallest negative log-likelihood of the labels.

    `labels` are [n], n at least 1; `sample_weights` [n] (None: all equal).
    """
    grid = np.exp(np.linspace(np.log(0.3), np.log(5.0), 120))
    rows = np.arange(len(labels))
    losses = [
        np.average(-np.log(softmax(logits, t, shift)[rows, labels] + 1e-12), weights=sample_weights)
        for t in grid
    ]
    return round(float(grid[int(np.argmin(losses))]), 4)


def fit_prior_correction(
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    class_weights: NDArray[np.float64],
    sample_weights: NDArray[np.float64] | None = None,
) -> tuple[float, NDArray[np.float64]]:
    """The temperature, and the shift of the logits that undoes the class weights as far as needed.

    Of the full correction, shares of 0, 0.1, ... 1 are tried. The first with a calibration error
    of at most `TARGET_ECE` is taken; where there is none, the one with the smallest error.

    Args:
        logits: [n, classes].
        labels: int64 [n], n at least 1.
        class_weights: of the loss in training, [classes].
        sample_weights: of the utterances, [n]; None: all equal.
    """
    trials = []
    for share in np.linspace(0, 1, 11):
        shift = -share * (np.log(class_weights) - np.log(class_weights).mean())
        temperature = fit_temperature(logits, labels, shift, sample_weights)
        probabilities = softmax(logits, temperature, shift)
        error = calibration_error(probabilities, labels, sample_weights=sample_weights)
        if error <= TARGET_ECE:
            return temperature, shift
        trials.append((error, temperature, shift))
    _, temperature, shift = min(trials, key=lambda trial: trial[0])
    return temperature, shift


def fit_calibration(
    logits: Mapping[str, Logits],
    available: Mapping[str, Sequence[str]],
    labels: NDArray[np.int64],
    class_weights: NDArray[np.float64] | None = None,
    class_rates: NDArray[np.float64] | None = None,
) -> Calibration:
    """Temperatures, prior and shifts, fitted to labelled utterances.

    Args:
        logits: by the set of modalities that was kept (see `model.checkpoint.modality_set_name`),
            the set of all among them.
        available: for each of these, the set that every utterance then has, [n].
        labels: int64 [n], of the utterances.
        class_weights: of the loss in training, [classes]; None: all equal.
        class_rates: how frequent the classes are where the network will be used, [classes], each
            above 0; utterances are weighted to these rates. None: as frequent as in the labels.
    """
    sample_weights = np.ones(len(labels))
    if class_rates is not None:
        counts = np.bincount(labels, minlength=len(class_rates))
        sample_weights = (class_rates / class_rates.sum())[labels] / (counts / counts.sum())[labels]
    overall = fit_temperature(
        np.concatenate([heads["final"] for heads in logits.values()]),
        np.tile(labels, len(logits)),
        sample_weights=np.tile(sample_weights, len(logits)),
    )
    by_presence, unimodal, shifts = {}, {}, {}
    for name in logits:
        # An utterance may lack a modality that was kept.
        exact = np.array([utterance == name for utterance in available[name]])
        if not exact.any():
            by_presence[name] = overall
            continue
        final = logits[name]["final"][exact]
        if class_weights is None:
            by_presence[name] = fit_temperature(
                final, labels[exact], sample_weights=sample_weights[exact]
            )
            continue
        by_presence[name], shift = fit_prior_correction(
            final, labels[exact], class_weights, sample_weights[exact]
        )
        if shift.any():
            shifts[name] = [round(float(value), 4) for value in shift]
    largest = max(logits, key=lambda name: sum(m in name.split("+") for m in MODALITIES))
    for m in (m for m in MODALITIES if m in logits[largest]):
        has = np.array([m in utterance.split("+") for utterance in available[largest]])
        unimodal[m] = overall
        if has.any():
            unimodal[m] = fit_temperature(
                logits[largest][m][has], labels[has], sample_weights=sample_weights[has]
            )
    calibration = Calibration(overall, by_presence, unimodal, [], shifts)
    probabilities = calibration.probabilities(logits[largest]["final"], available[largest])
    prior = np.average(probabilities, 0, sample_weights)
    return replace(calibration, prior=[round(float(rate), 6) for rate in prior])
