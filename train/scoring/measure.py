"""What a trained network is worth on a corpus: one way to measure for all networks.

Answers come in several contexts and with several sets of modalities. Temperatures are fitted on
validation, for each of these by itself; nothing is fitted or chosen on test. Utterances without a
label are context only.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from operator import itemgetter
from typing import Literal

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
from gscon_live.train.scoring.significance import by_dialogue

#: What the network may see of the conversation: as much as in training; or, a number K, the window
#: of the last K utterances and nothing before it, as if the conversation began there. Features that
#: were themselves made in context keep theirs.
Context = Literal["as_trained"] | int

CONTEXTS: tuple[Context, ...] = ("as_trained", 1, 4, 8, 16)

#: The splits that are measured.
SPLITS = ("validation", "test")

_DIALOGUES, _WINDOWS, _ANSWERS = 8, 1024, 400


@dataclass(frozen=True)
class Predictions:
    """Logits float32 [N, classes] of every dialogue: the final ones, and each modality's own."""

    final: list[NDArray[np.float32]]
    unimodal: dict[str, list[NDArray[np.float32]]]


@dataclass(frozen=True)
class Measurement:
    """One network on one split, in one context, with one set of modalities.

    `scores`, with its calibration error, are of probabilities at the `temperature` that was fitted
    on validation; `uncalibrated_ece` is the error without it. `before` and `after` it are the
    reliability diagrams. `answers` are the most probable classes of all utterances, [N] by
    dialogue; `confusions` int64 [dialogues, classes, classes] count those that have a label.
    """

    scores: Scores
    uncalibrated_ece: float
    temperature: float
    before: list[Bin]
    after: list[Bin]
    answers: list[NDArray[np.int64]]
    confusions: NDArray[np.int64]


#: By split, context (see `context_name`) and modalities (see `model.checkpoint.modality_set_name`).
Measurements = dict[str, dict[str, dict[str, Measurement]]]


def context_name(context: Context) -> str:
    """The name of a context: `as_trained`, or `buffer_8` for a window of eight utterances."""
    return context if isinstance(context, str) else f"buffer_{context}"


def subsets(modalities: Sequence[str], nothing: bool = False) -> dict[str, tuple[str, ...]]:
    """All sets of one or more modalities, by name, the largest first; and the empty one, where
    `nothing` says so."""
    return {
        modality_set_name(chosen): chosen
        for size in range(len(modalities), -1 if nothing else 0, -1)
        for chosen in combinations(modalities, size)
    }


def predict(
    network: Network,
    dialogues: Sequence[FeaturedDialogue],
    keep: Sequence[str] | None = None,
    context: Context = "as_trained",
) -> Predictions:
    """The network's logits for all utterances of the dialogues, without dropout.

    Args:
        network: it has the same modalities as the dialogues, and is left in evaluation mode.
        dialogues: what to answer.
        keep: the modalities that are there; all others are missing throughout. None keeps all.
        context: what may be seen; a network trained in mode `buffer` sees, as trained, its window.
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
            conversations = _without(batch(group)[0], network.modalities, kept)
            conversations = conversations.each(lambda x: x.to(device))
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

    `report` is told (done, in all) as it goes on.
    """
    measurements: Measurements = {split: {} for split in SPLITS}
    every = subsets(network.modalities)
    whole = modality_set_name(network.modalities)
    chosen = {
        context: every if context == "as_trained" else {whole: every[whole]} for context in contexts
    }
    done, total = 0, sum(map(len, chosen.values()))
    for context in contexts:
        name = context_name(context)
        for split in SPLITS:
            measurements[split][name] = {}
        for subset, keep in chosen[context].items():
            logits = {
                split: predict(network, corpus.splits[split], keep, context).final
                for split in SPLITS
            }
            fitted = labelled(logits["validation"], corpus.splits["validation"])
            temperature = fit_temperature(*fitted)
            for split in SPLITS:
                measurements[split][name][subset] = _measured(
                    logits[split], corpus.splits[split], temperature, corpus.labels
                )
            done += 1
            report(done, total)
    return measurements


def answer_ms(network: Network, dialogues: Sequence[FeaturedDialogue]) -> float:
    """The median processor time in ms of an answer: see `train.scoring.figures.Evaluation`.
    Dialogues are taken until some hundreds of utterances are answered."""
    network.eval()
    device, taken, count = next(network.parameters()).device, list[float](), 0
    with torch.inference_mode():
        for dialogue in dialogues:
            whole = batch([dialogue])[0].each(lambda x: x.to(device))
            length = whole.valid.shape[1]
            if network.architecture.mode == "full":
                start = time.thread_time()
                network(whole)
                taken.append((time.thread_time() - start) / length)
            else:
                state = network.start()
                for place in range(length):
                    turn = whole.each(itemgetter((slice(None), slice(place, place + 1))))
                    start = time.thread_time()
                    _, state = network.step(state, turn)
                    taken.append(time.thread_time() - start)
            count += length
            if count >= _ANSWERS:
                break
    return 1000 * statistics.median(taken)


def calibrate(
    network: Network,
    dialogues: Sequence[FeaturedDialogue],
    weight: Tensor | None = None,
    rates: Tensor | None = None,
) -> Calibration:
    """The temperatures that a checkpoint's card states, fitted on (validation) dialogues as
    trained: by the modalities that an utterance has, none included, and of the unimodal heads.

    Args:
        network: in evaluation.
        dialogues: what is fitted on.
        weight: of the classes in training, [C], of which as much is taken back as calibration
            needs; None: all weighed the same.
        rates: how frequent the classes are where answers will be given, [C]; None: as here.
    """
    logits: dict[str, dict[str, NDArray[np.float32]]] = {}
    there, labels = {}, np.zeros(0, np.int64)
    for name, keep in subsets(network.modalities, nothing=True).items():
        predicted = predict(network, dialogues, keep)
        heads = {"final": predicted.final, **predicted.unimodal}
        logits[name] = {head: labelled(rows, dialogues)[0] for head, rows in heads.items()}
        labels = labelled(predicted.final, dialogues)[1]
        there[name] = modality_set_names(network.modalities, dialogues, keep)
    weights, frequencies = (
        None if values is None else values.double().numpy() for values in (weight, rates)
    )
    return fit_calibration(logits, there, labels, weights, frequencies)


def modality_set_names(
    modalities: Sequence[str], dialogues: Sequence[FeaturedDialogue], keep: Sequence[str]
) -> list[str]:
    """Which modalities each utterance that has a label really has where only some are kept, by the
    names of `model.checkpoint.modality_set_name`; `modalities` are in the order of the masks."""
    return [
        modality_set_name(m for m, has in zip(modalities, row, strict=True) if has and m in keep)
        for dialogue in dialogues
        for row in dialogue.present[dialogue.labels >= 0].tolist()
    ]


def _without(
    conversations: Conversations, modalities: Sequence[str], keep: Sequence[str]
) -> Conversations:
    kept = torch.tensor([m in keep for m in modalities])
    return Conversations(
        # Zero as well as marked, so that no network can use what it should not have.
        {m: x if m in keep else torch.zeros_like(x) for m, x in conversations.features.items()},
        conversations.present & kept,
        conversations.speakers,
        conversations.valid,
    )


def _through_windows(
    network: Network, conversations: Conversations, size: int
) -> dict[str, Tensor]:
    """Logits [utterances, classes] by head, each utterance answered at the end of its window."""
    ending = windows(conversations, size)
    parts: list[dict[str, Tensor]] = []
    rows = conversations.valid.flatten().nonzero()[:, 0]
    for start in range(0, len(rows), _WINDOWS):
        some = ending.each(itemgetter(rows[start : start + _WINDOWS]))
        answers = network(some, last=network.architecture.mode != "full")
        heads = {"final": answers.final, **answers.specific}
        parts.append({head: logits[:, -1] for head, logits in heads.items()})
    return {head: torch.cat([part[head] for part in parts]) for head in parts[0]}


def labelled(
    logits: Sequence[NDArray[np.float32]], dialogues: Sequence[FeaturedDialogue]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits [n, classes] and labels [n] of all utterances that have a label."""
    labels = np.concatenate([dialogue.labels.numpy() for dialogue in dialogues])
    return np.concatenate(logits)[labels >= 0], labels[labels >= 0]


def _measured(
    logits: list[NDArray[np.float32]],
    dialogues: Sequence[FeaturedDialogue],
    temperature: float,
    classes: Sequence[str],
) -> Measurement:
    rows, labels = labelled(logits, dialogues)
    raw, tempered = softmax(rows), softmax(rows, temperature)
    answers = [of_dialogue.argmax(1).astype(np.int64) for of_dialogue in logits]
    return Measurement(
        scores=score(tempered, labels, classes),
        uncalibrated_ece=calibration_error(raw, labels),
        temperature=temperature,
        before=reliability(raw, labels),
        after=reliability(tempered, labels),
        answers=answers,
        confusions=by_dialogue(
            answers, [dialogue.labels.numpy() for dialogue in dialogues], len(classes)
        ),
    )
