"""Scores of a network on composed conversations.

A split is composed several times (`draw_compositions`): each composition has the split's dialogues
with other voices and faces. Scores pool all compositions.
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
from gscon_live.train.engine.trainer import SELECTION_SCORE
from gscon_live.train.scoring.calibration import Calibration, softmax
from gscon_live.train.scoring.measure import labelled, modality_set_names, predict, subsets
from gscon_live.train.scoring.metrics import Scores, score

#: All sets of modalities by name, the empty one included.
SUBSETS = subsets(MODALITIES, nothing=True)

#: The dialogues of a split with the voices and faces of a composition.
ComposedDialogues = Sequence[FeaturedDialogue]

_WEIGHTED_F1 = "validation_weighted_f1"


def draw_compositions(
    split: ComposedSplit, agreement: Mapping[str, Agreement], count: int, seed: int
) -> list[ComposedDialogues]:
    """Draws `count` compositions of a split, with voices and faces that are not augmented."""
    return [
        compose(split, agreement, np.random.default_rng(seed + number), clean=True).dialogues(split)
        for number in range(count)
    ]


def evaluate(
    network: Network,
    compositions: Sequence[ComposedDialogues],
    calibration: Calibration | None = None,
) -> dict[str, Scores]:
    """Scores by set of modalities, over all compositions together; without a calibration, of the
    plain softmax."""
    scores = {}
    for name, keep in SUBSETS.items():
        # Without voice and face all compositions are the same.
        used = compositions if {*keep} - {"text"} else compositions[:1]
        dialogues = [dialogue for composition in used for dialogue in composition]
        logits, labels = labelled(predict(network, dialogues, keep).final, dialogues)
        if calibration is None:
            probabilities = softmax(logits)
        else:
            available = modality_set_names(network.modalities, dialogues, keep)
            probabilities = calibration.probabilities(logits, available)
        scores[name] = score(probabilities, labels, EMOTIONS)
    return scores


def evaluate_changed_inputs(
    network: Network,
    test: ComposedSplit,
    misrecognised_text: Mapping[float, Tensor],
    compositions: Sequence[ComposedDialogues],
    calibration: Calibration,
) -> dict[str, Scores]:
    """Scores on test with errors of speech recognition, and with voices and faces that always show
    the label.

    Args:
        network: a trained network.
        test: the split.
        misrecognised_text: text features [n, dim] by the share of wrong words.
        compositions: of the split.
        calibration: of the network.
    """
    scores = {}
    lengths = [len(turns) for turns in test.dialogues]
    for rate, text in misrecognised_text.items():
        misrecognised = [
            [
                dialogue.with_text(rows)
                for dialogue, rows in zip(composition, torch.split(text, lengths), strict=True)
            ]
            for composition in compositions
        ]
        for name, subset_scores in evaluate(network, misrecognised, calibration).items():
            if "text" in SUBSETS[name]:
                scores[f"{name}; {rate:.0%} of words wrong"] = subset_scores
    as_labelled = dict.fromkeys(("audio", "visual"), Agreement(same=1.0, neutral=0.0))
    congruent = draw_compositions(test, as_labelled, len(compositions), 303)
    for name, subset_scores in evaluate(network, congruent, calibration).items():
        if {*SUBSETS[name]} - {"text"}:
            scores[f"{name}; voice and face as labelled"] = subset_scores
    return scores


class SubsetScorer:
    """Weighted F1 on validation by set of modalities; a `train.scoring.epoch_scores.EpochScorer`.

    The epoch is selected by all sets of the modalities in `kept`.
    """

    def __init__(self, validation: ComposedDialogues, kept: Sequence[str]) -> None:
        self._validation, self._kept = validation, kept

    def __call__(self, network: Network) -> dict[str, float]:
        scores = evaluate(network, [self._validation])
        figures = {figure_name(name): subset.weighted_f1 for name, subset in scores.items()}
        return {**figures, SELECTION_SCORE: selection(scores, self._kept)}


def figure_name(subset: str) -> str:
    """The name of a subset's weighted F1 in the history of a training."""
    return _WEIGHTED_F1 if subset == modality_set_name(MODALITIES) else (
        f"{_WEIGHTED_F1}_{subset.replace('+', '_')}"
    )  # fmt: skip


def weighted_f1_by_subset(figures: Mapping[str, float]) -> dict[str, float]:
    """Weighted F1 by set of modalities, from the figures of an epoch."""
    return {name: figures[figure_name(name)] for name in SUBSETS}


def selection(scores: Mapping[str, Scores], kept: Sequence[str]) -> float:
    """The score that selects the epoch: the mean of weighted and macro F1 over all non-empty sets
    of the kept modalities."""
    selected = [scores[name] for name, subset in SUBSETS.items() if subset and {*subset} <= {*kept}]
    return float(np.mean([(subset.weighted_f1 + subset.macro_f1) / 2 for subset in selected]))
