"""Measures a trained network on a corpus, in the same way for all networks.

Networks answer in several contexts and with several sets of modalities. For each combination a
temperature is fitted on validation; nothing is fitted or selected on test. Utterances without a
label are context only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from operator import itemgetter
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gscon_live.model.checkpoint import modality_set_name
from gscon_live.model.networks.network import Conversations, Network, windows
from gscon_live.train.corpora.dataset import FeaturedCorpus, FeaturedDialogue, batch
from gscon_live.train.scoring.calibration import (
    Calibration,
    fit_calibration,
    fit_temperature,
    softmax,
)
from gscon_live.train.scoring.metrics import Bin, Scores, calibration_error, reliability, score
from gscon_live.train.scoring.significance import confusions_by_dialogue

#: The part of a conversation that the network sees: as in training, or a window of the last K
#: utterances, as if the conversation began there. Features that an encoder computed in context
#: keep their own context.
Context = Literal["as_trained"] | int

CONTEXTS: tuple[Context, ...] = ("as_trained", 1, 4, 8, 16)

F = TypeVar("F", np.float32, np.float64)

#: The splits that are measured.
SPLITS = ("validation", "test")

_DIALOGUES, _WINDOWS = 8, 1024


@dataclass(frozen=True)
class Predictions:
    """Logits of the dialogues, float32 [N, classes] each: the final ones, and by modality those of
    the unimodal heads."""

    final: list[NDArray[np.float32]]
    unimodal: dict[str, list[NDArray[np.float32]]]


@dataclass(frozen=True)
class Measurement:
    """A network's scores on a split, in a context, with a set of modalities.

    `scores`, calibration error included, are those at the `temperature` that was fitted on
    validation; `uncalibrated_ece` is the error without it. `before` and `after` are the reliability
    diagrams without and with it. By dialogue, `probabilities` [N, classes] are those of all
    utterances with it, and `answers` [N] their most probable classes; `confusions` int64
    [dialogues, classes, classes] count the labelled utterances.
    """

    scores: Scores
    uncalibrated_ece: float
    temperature: float
    before: list[Bin]
    after: list[Bin]
    probabilities: list[NDArray[np.float64]]
    answers: list[NDArray[np.int64]]
    confusions: NDArray[np.int64]


@dataclass(frozen=True)
class Answered:
    """A network's answers: final `logits` [N, classes] of the `dialogues`, by context
    (`context_name`), set of modalities (`model.checkpoint.modality_set_name`) and split."""

    logits: dict[str, dict[str, dict[str, list[NDArray[np.float32]]]]]
    dialogues: dict[str, Sequence[FeaturedDialogue]]
    classes: tuple[str, ...]


#: By split, context (`context_name`) and set of modalities (`model.checkpoint.modality_set_name`).
Measurements = dict[str, dict[str, dict[str, Measurement]]]


def context_name(context: Context) -> str:
    """The name of a context: `as_trained`, or `buffer_8` for a window of eight utterances."""
    return context if isinstance(context, str) else f"buffer_{context}"


def subsets(modalities: Sequence[str], nothing: bool = False) -> dict[str, tuple[str, ...]]:
    """All non-empty sets of modalities by name, the largest first; `nothing` adds the empty set."""
    return {
        modality_set_name(subset): subset
        for size in range(len(modalities), -1 if nothing else 0, -1)
        for subset in combinations(modalities, size)
    }


def predict(
    network: Network,
    dialogues: Sequence[FeaturedDialogue],
    keep: Sequence[str] | None = None,
    context: Context = "as_trained",
) -> Predictions:
    """The network's logits for all utterances of the dialogues, without dropout.

    Args:
        network: has the modalities of the dialogues; it is left in evaluation mode.
        dialogues: have features for all utterances.
        keep: the modalities that are kept; all others are masked. None keeps all.
        context: what the network sees; `as_trained` is its window for a network of mode `buffer`.
    """
    network.eval()
    mode = network.architecture.mode
    size = context if isinstance(context, int) else None
    if size is None and mode == "buffer":
        size = network.architecture.context
    kept = network.modalities if keep is None else keep
    device = next(network.parameters()).device
    predictions = Predictions([], {m: [] for m in network.modalities})
    with torch.inference_mode():
        for start in range(0, len(dialogues), _DIALOGUES):
            group = dialogues[start : start + _DIALOGUES]
            conversations = _mask_modalities(batch(group)[0], network.modalities, kept)
            conversations = conversations.map_tensors(lambda x: x.to(device))
            if size is None:
                answers = network(conversations)
                rows = conversations.valid
                logits = {m: opinions[rows] for m, opinions in answers.specific.items()}
                logits["final"] = answers.final[rows]
            else:
                logits = _through_windows(network, conversations, size)
            lengths = [len(dialogue.labels) for dialogue in group]
            for head, answered in logits.items():
                store = predictions.final if head == "final" else predictions.unimodal[head]
                parts = torch.split(answered.float().cpu(), lengths)
                store.extend(part.numpy() for part in parts)
    return predictions


def measure(
    network: Network,
    corpus: FeaturedCorpus,
    contexts: Sequence[Context] = CONTEXTS,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Measurements:
    """Measures a network on validation and test: as trained with all sets of modalities, in other
    contexts with all modalities.

    `report` receives (done, total).
    """
    answered = answers(network, corpus, contexts, report)
    return measurements(answered, temperatures([answered]))


def answers(
    network: Network,
    corpus: FeaturedCorpus,
    contexts: Sequence[Context],
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Answered:
    """The answers of a network to all that `measure` measures; arguments as there."""
    all_subsets = subsets(network.modalities)
    full_set = modality_set_name(network.modalities)
    asked = [
        (context, subset)
        for context in contexts
        for subset in (all_subsets if context == "as_trained" else [full_set])
    ]
    logits: dict[str, dict[str, dict[str, list[NDArray[np.float32]]]]] = {}
    for done, (context, subset) in enumerate(asked, 1):
        logits.setdefault(context_name(context), {})[subset] = {
            split: predict(network, corpus.splits[split], all_subsets[subset], context).final
            for split in SPLITS
        }
        report(done, len(asked))
    return Answered(logits, {split: corpus.splits[split] for split in SPLITS}, corpus.labels)


def temperatures(seeds: Sequence[Answered]) -> dict[str, dict[str, float]]:
    """The temperature of each context and set of modalities, fitted on the validation dialogues of
    all these trainings."""

    def fitted(context: str, subset: str) -> float:
        rows = [
            labelled(seed.logits[context][subset]["validation"], seed.dialogues["validation"])
            for seed in seeds
        ]
        logits, labels = zip(*rows, strict=True)
        return fit_temperature(np.concatenate(logits), np.concatenate(labels))

    return {
        context: {subset: fitted(context, subset) for subset in by_subset}
        for context, by_subset in seeds[0].logits.items()
    }


def measurements(answered: Answered, fitted: Mapping[str, Mapping[str, float]]) -> Measurements:
    """The measurements of a network's answers at the fitted `temperatures`."""
    return {
        split: {
            context: {
                subset: measurement(
                    logits[split],
                    answered.dialogues[split],
                    fitted[context][subset],
                    answered.classes,
                )
                for subset, logits in by_subset.items()
            }
            for context, by_subset in answered.logits.items()
        }
        for split in SPLITS
    }


def calibrate(
    network: Network,
    dialogues: Sequence[FeaturedDialogue],
    class_weights: Tensor | None = None,
    class_rates: Tensor | None = None,
    agreeing: Sequence[FeaturedDialogue] | None = None,
) -> Calibration:
    """The calibration that a checkpoint's card holds, fitted on (validation) dialogues as trained.

    Final logits are calibrated by the set of modalities that an utterance has, the empty one
    included; the unimodal heads by themselves.

    Args:
        network: is left in evaluation mode.
        dialogues: have at least one label.
        class_weights: of the loss in training, [C]; see `fit_prior_correction`. None: all equal.
        class_rates: how frequent the classes are where the network will be used, [C]; None: as in
            the dialogues.
        agreeing: the same dialogues, composed so that every modality shows the label. On them are
            calibrated the sets of one modality, which cannot know of the others, and the unimodal
            heads. None: on `dialogues`.
    """
    agreeing = dialogues if agreeing is None else agreeing
    logits: dict[str, dict[str, NDArray[np.float32]]] = {}
    available, labels = {}, np.zeros(0, np.int64)
    for name, keep in subsets(network.modalities, nothing=True).items():
        predicted = predict(network, agreeing if len(keep) == 1 else dialogues, keep)
        heads = {"final": predicted.final, **predicted.unimodal}
        if keep == network.modalities and agreeing is not dialogues:
            heads |= predict(network, agreeing, keep).unimodal
        logits[name] = {head: labelled(rows, dialogues)[0] for head, rows in heads.items()}
        labels = labelled(predicted.final, dialogues)[1]
        available[name] = modality_set_names(network.modalities, dialogues, keep)
    weights_array, rates_array = (
        None if values is None else values.double().numpy()
        for values in (class_weights, class_rates)
    )
    return fit_calibration(logits, available, labels, weights_array, rates_array)


def modality_set_names(
    modalities: Sequence[str], dialogues: Sequence[FeaturedDialogue], keep: Sequence[str]
) -> list[str]:
    """The set of modalities that each labelled utterance has where only `keep` are kept, by name
    (`model.checkpoint.modality_set_name`); `modalities` are in the order of the masks."""
    return [
        modality_set_name(m for m, has in zip(modalities, row, strict=True) if has and m in keep)
        for dialogue in dialogues
        for row in dialogue.present[dialogue.labels >= 0].tolist()
    ]


def _mask_modalities(
    conversations: Conversations, modalities: Sequence[str], keep: Sequence[str]
) -> Conversations:
    kept = torch.tensor([m in keep for m in modalities])
    return Conversations(
        # Set to zero as well as masked, so that no network can read them.
        {m: x if m in keep else torch.zeros_like(x) for m, x in conversations.features.items()},
        conversations.present & kept,
        conversations.speakers,
        conversations.valid,
    )


def _through_windows(
    network: Network, conversations: Conversations, size: int
) -> dict[str, Tensor]:
    """Logits [utterances, classes] by head: the answer at the end of each utterance's window."""
    all_windows = windows(conversations, size)
    parts: list[dict[str, Tensor]] = []
    rows = conversations.valid.flatten().nonzero()[:, 0]
    for start in range(0, len(rows), _WINDOWS):
        group = all_windows.map_tensors(itemgetter(rows[start : start + _WINDOWS]))
        answers = network(group, last=network.architecture.mode != "full")
        heads = {"final": answers.final, **answers.specific}
        parts.append({head: logits[:, -1] for head, logits in heads.items()})
    return {head: torch.cat([part[head] for part in parts]) for head in parts[0]}


def labelled(
    rows: Sequence[NDArray[F]], dialogues: Sequence[FeaturedDialogue]
) -> tuple[NDArray[F], NDArray[np.int64]]:
    """Logits or probabilities [n, classes], and labels [n], of all labelled utterances."""
    labels = np.concatenate([dialogue.labels.numpy() for dialogue in dialogues])
    return np.concatenate(rows)[labels >= 0], labels[labels >= 0]


def measurement(
    logits: list[NDArray[np.float32]],
    dialogues: Sequence[FeaturedDialogue],
    temperature: float,
    classes: Sequence[str],
) -> Measurement:
    """The measurement of logits, [N, classes] by dialogue, at a temperature."""
    probabilities = [softmax(dialogue, temperature) for dialogue in logits]
    calibrated, labels = labelled(probabilities, dialogues)
    uncalibrated = softmax(labelled(logits, dialogues)[0])
    answers = [dialogue.argmax(1).astype(np.int64) for dialogue in logits]
    return Measurement(
        scores=score(calibrated, labels, classes),
        uncalibrated_ece=calibration_error(uncalibrated, labels),
        temperature=temperature,
        before=reliability(uncalibrated, labels),
        after=reliability(calibrated, labels),
        probabilities=probabilities,
        answers=answers,
        confusions=confusions_by_dialogue(
            answers, [dialogue.labels.numpy() for dialogue in dialogues], len(classes)
        ),
    )
