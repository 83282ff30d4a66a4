"""What a network on composed conversations is worth.

A split is composed in several ways (`ways`): each has the split's dialogues with other voices and
faces. Scores are over all of them together.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from gscon_live.model.checkpoint import modality_set_name
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.model.networks.network import Network
from gscon_live.train.corpora.dataset import FeaturedDialogue
from gscon_live.train.data.composed import Agreement, ComposedSplit, compose
from gscon_live.train.engine.trainer import SELECTS
from gscon_live.train.scoring.calibration import Calibration, softmax
from gscon_live.train.scoring.measure import labelled, modality_set_names, predict, subsets
from gscon_live.train.scoring.metrics import Scores, score

#: Which modalities there are in an evaluation, by its name.
SUBSETS = subsets(MODALITIES, nothing=True)

#: A split's dialogues, composed.
ComposedDialogues = Sequence[FeaturedDialogue]

_WEIGHTED_F1 = "validation_weighted_f1"


def draw_compositions(
    split: ComposedSplit, agreement: Mapping[str, Agreement], count: int, seed: int
) -> list[ComposedDialogues]:
    """A split composed in so many ways, with undisturbed voices and faces."""
    return [
        compose(split, agreement, np.random.default_rng(seed + place), clean=True).dialogues(split)
        for place in range(count)
    ]


def evaluate(
    network: Network, composed: Sequence[ComposedDialogues], calibration: Calibration | None = None
) -> dict[str, Scores]:
    """Scores by subset of modalities, over all ways together; where there is neither voice nor
    face, all ways are the same."""
    scores = {}
    for name, keep in SUBSETS.items():
        different = composed if {*keep} - {"text"} else composed[:1]
        dialogues = [dialogue for way in different for dialogue in way]
        logits, labels = labelled(predict(network, dialogues, keep).final, dialogues)
        if calibration is None:
            probabilities = softmax(logits)
        else:
            there = modality_set_names(network.modalities, dialogues, keep)
            probabilities = calibration.probabilities(logits, there)
        scores[name] = score(probabilities, labels, EMOTIONS)
    return scores


def evaluate_changed_inputs(
    network: Network,
    test: ComposedSplit,
    misheard: Mapping[float, Tensor],
    composed: Sequence[ComposedDialogues],
    calibration: Calibration,
) -> dict[str, Scores]:
    """Scores on test where words are wrong, and where voice and face always show the label.

    Args:
        network: is calibrated.
        test: the split.
        misheard: the words' features [n, dim] by the share of them that is wrong.
        composed: the split, composed.
        calibration: of the network.
    """
    scores = {}
    lengths = [len(turns) for turns in test.dialogues]
    for rate, text in misheard.items():
        wrong = [
            [
                dialogue.with_text(rows)
                for dialogue, rows in zip(way, torch.split(text, lengths), strict=True)
            ]
            for way in composed
        ]
        for name, found in evaluate(network, wrong, calibration).items():
            if "text" in SUBSETS[name]:
                scores[f"{name}; {rate:.0%} of words wrong"] = found
    as_labelled = dict.fromkeys(("audio", "visual"), Agreement(same=1.0, neutral=0.0))
    shown = draw_compositions(test, as_labelled, len(composed), 303)
    for name, found in evaluate(network, shown, calibration).items():
        if {*SUBSETS[name]} - {"text"}:
            scores[f"{name}; voice and face as labelled"] = found
    return scores


class SubsetScorer:
    """Weighted F1 on validation by subset of modalities; selects by all subsets of those that are
    kept. See `train.scoring.epoch_scores.EpochScorer`."""

    def __init__(self, validation: ComposedDialogues, kept: Sequence[str]) -> None:
        self._validation, self._kept = validation, kept

    def __call__(self, network: Network) -> dict[str, float]:
        scores = evaluate(network, [self._validation])
        figures = {figure_name(name): found.weighted_f1 for name, found in scores.items()}
        return {**figures, SELECTS: selection(scores, self._kept)}


def figure_name(subset: str) -> str:
    """The name of a subset's weighted F1 in the history of a training."""
    return _WEIGHTED_F1 if subset == modality_set_name(MODALITIES) else (
        f"{_WEIGHTED_F1}_{subset.replace('+', '_')}"
    )  # fmt: skip


def weighted_f1_by_subset(figures: Mapping[str, float]) -> dict[str, float]:
    """Weighted F1 by subset, of an epoch's figures."""
    return {name: figures[figure_name(name)] for name in SUBSETS}


def selection(scores: Mapping[str, Scores], kept: Sequence[str]) -> float:
    """What an epoch is judged by: the mean of weighted and macro F1 over all subsets of what is
    kept."""
    judged = [scores[name] for name, some in SUBSETS.items() if some and {*some} <= {*kept}]
    return float(np.mean([(found.weighted_f1 + found.macro_f1) / 2 for found in judged]))
