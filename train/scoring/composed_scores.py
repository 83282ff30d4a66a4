"""Scores of a network on composed conversations.

A split is composed several times (`draw_compositions`): each composition has the split's dialogues
with other voices and faces. Scores pool all compositions. A single modality is scored where it
shows the label: it cannot know what the others would have shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gscon_live.model.abstention import ErrorPoint
from gscon_live.model.checkpoint import modality_set_name
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.model.networks.network import Network
from gscon_live.train.corpora.dataset import FeaturedDialogue
from gscon_live.train.data.composed import AGREE, ComposedSplit, Kinds, compose
from gscon_live.train.engine.trainer import SELECTION_SCORE
from gscon_live.train.scoring.calibration import Calibration, softmax
from gscon_live.train.scoring.error_curve import error_curve
from gscon_live.train.scoring.measure import labelled, modality_set_names, predict, subsets
from gscon_live.train.scoring.metrics import Scores, score

#: All sets of modalities by name, the empty one included.
SUBSETS = subsets(MODALITIES, nothing=True)

#: The dialogues of a split with the voices and faces of a composition.
ComposedDialogues = Sequence[FeaturedDialogue]

_WEIGHTED_F1 = "validation_weighted_f1"


@dataclass(frozen=True)
class Compositions:
    """Several compositions of a split: `mixed` by the recipe's kinds, and `agreeing`, in which all
    modalities show the label."""

    mixed: Sequence[ComposedDialogues]
    agreeing: Sequence[ComposedDialogues]

    def of(self, keep: Sequence[str]) -> Sequence[ComposedDialogues]:
        """The compositions on which a set of modalities is scored."""
        if len(keep) == 1:
            # The words are the same in all that agree.
            return self.agreeing[:1] if "text" in keep else self.agreeing
        return self.mixed if keep else self.mixed[:1]


def draw_compositions(split: ComposedSplit, kinds: Kinds, count: int, seed: int) -> Compositions:
    """Draws `count` compositions of a split of each kind, with words, voices and faces as they
    are."""

    def drawn(kinds: Kinds) -> list[ComposedDialogues]:
        return [
            compose(split, kinds, np.random.default_rng(seed + number), True).dialogues(split)
            for number in range(count)
        ]

    return Compositions(drawn(kinds), drawn(AGREE))


def pooled(compositions: Sequence[ComposedDialogues]) -> list[FeaturedDialogue]:
    """The dialogues of all compositions."""
    return [dialogue for composition in compositions for dialogue in composition]


def evaluate(
    network: Network, compositions: Compositions, calibration: Calibration | None = None
) -> dict[str, Scores]:
    """Scores by set of modalities, over all compositions together; without a calibration, of the
    plain softmax."""
    return {
        name: _scored(network, pooled(compositions.of(keep)), keep, calibration)
        for name, keep in SUBSETS.items()
    }


def measured_errors(
    network: Network,
    compositions: Compositions,
    calibration: Calibration,
    class_rates: NDArray[np.float64],
) -> list[ErrorPoint]:
    """The error of the answers by confidence, over all sets of modalities that are not empty.

    `class_rates` [C], each above 0, say how frequent the emotions are where the network is used.
    """
    confidences, wrong, weights = [], [], []
    for keep in (keep for keep in SUBSETS.values() if keep):
        dialogues = pooled(compositions.of(keep))
        probabilities, labels = _answers(network, dialogues, keep, calibration)
        counts = np.bincount(labels, minlength=len(class_rates))
        confidences.append(probabilities.max(1))
        wrong.append(probabilities.argmax(1) != labels)
        # Every set counts alike.
        weights.append((class_rates / class_rates.sum())[labels] / counts[labels])
    return error_curve(*map(np.concatenate, (confidences, wrong, weights)))


def evaluate_changed_inputs(
    network: Network,
    test: ComposedSplit,
    misrecognised_text: Mapping[float, Tensor],
    compositions: Compositions,
    calibration: Calibration,
) -> dict[str, Scores]:
    """Scores on test with errors of speech recognition, of the words alone; and with voices and
    faces that always show the label.

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
        rows = torch.split(text, lengths)
        heard = [
            dialogue.with_text(own)
            for dialogue, own in zip(compositions.agreeing[0], rows, strict=True)
        ]
        scores[f"text; {rate:.0%} of words wrong"] = _scored(network, heard, ("text",), calibration)
    for name, keep in SUBSETS.items():
        if len(keep) > 1:
            scores[f"{name}; all agree"] = _scored(
                network, pooled(compositions.agreeing), keep, calibration
            )
    return scores


def _scored(
    network: Network,
    dialogues: ComposedDialogues,
    keep: Sequence[str],
    calibration: Calibration | None,
) -> Scores:
    return score(*_answers(network, dialogues, keep, calibration), EMOTIONS)


def _answers(
    network: Network,
    dialogues: ComposedDialogues,
    keep: Sequence[str],
    calibration: Calibration | None,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities [n, C] and labels [n] of all utterances."""
    logits, labels = labelled(predict(network, dialogues, keep).final, dialogues)
    if calibration is None:
        return softmax(logits), labels
    available = modality_set_names(network.modalities, dialogues, keep)
    return calibration.probabilities(logits, available), labels


class SubsetScorer:
    """Weighted F1 on validation by set of modalities; a `train.scoring.epoch_scores.EpochScorer`.

    The epoch is selected by all sets of the modalities in `kept`.
    """

    def __init__(self, validation: Compositions, kept: Sequence[str]) -> None:
        self._validation, self._kept = validation, kept

    def __call__(self, network: Network) -> dict[str, float]:
        scores = evaluate(network, self._validation)
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
