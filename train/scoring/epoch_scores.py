"""Scores after each epoch of a training; the best epoch is selected by them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from lightning_fabric import Fabric

from gscon_live.model.networks.network import Architecture, Network
from gscon_live.train.corpora.dataset import FeaturedCorpus, FeaturedDialogue
from gscon_live.train.data.batching import Batch, ordered, source
from gscon_live.train.engine.losses import Targets
from gscon_live.train.engine.trainer import SELECTION_SCORE
from gscon_live.train.scoring.metrics import confusion_matrix, weighted_f1


class EpochScorer(Protocol):
    """Scores a network in evaluation mode: figures by name, with `validation_weighted_f1` and
    `SELECTION_SCORE` among them."""

    def __call__(self, network: Network) -> dict[str, float]: ...


@dataclass(frozen=True)
class ScoredBatch:
    """A batch of conversations on the device, and its labelled utterances."""

    batch: Batch
    targets: Targets

    def only(self, index: int) -> "ScoredBatch":
        """The same batch with a single modality; all others are masked."""
        conversations = self.batch.conversations
        present = torch.zeros_like(conversations.present)
        present[..., index] = conversations.present[..., index]
        conversations = replace(conversations, present=present)
        return replace(self, batch=replace(self.batch, conversations=conversations))


class WeightedF1Scorer:
    """Weighted F1 on splits of a corpus, as trained; an `EpochScorer`.

    Args:
        corpus: its splits are scored.
        architecture: the network's.
        on: the devices.
        splits: `validation`, by which the epoch is selected, and others for the log.
        alone: also scores each modality alone; selection is by the mean of all these scores.
    """

    def __init__(
        self,
        corpus: FeaturedCorpus,
        architecture: Architecture,
        on: Fabric,
        splits: Sequence[str] = ("validation",),
        alone: bool = False,
    ) -> None:
        self._classes, self._alone = len(corpus.labels), alone
        self._splits = {
            split: _scored_batches(corpus.splits[split], architecture, on) for split in splits
        }

    def __call__(self, network: Network) -> dict[str, float]:
        scores = {
            f"{split}_weighted_f1": self._weighted_f1(network, batches)
            for split, batches in self._splits.items()
        }
        selection = [scores["validation_weighted_f1"]]
        for index, m in enumerate(network.modalities if self._alone else ()):
            unimodal = [batch.only(index) for batch in self._splits["validation"]]
            scores[f"validation_weighted_f1_{m}"] = self._weighted_f1(network, unimodal)
            selection.append(scores[f"validation_weighted_f1_{m}"])
        return {**scores, SELECTION_SCORE: sum(selection) / len(selection)}

    def _weighted_f1(self, network: Network, batches: Sequence[ScoredBatch]) -> float:
        answers, labels = [], []
        with torch.inference_mode():
            for scored in batches:
                outputs = network(scored.batch.conversations, scored.batch.last)
                logits = outputs.final.flatten(0, 1)
                answers.append(logits.argmax(-1).cpu()[scored.targets.rows])
                labels.append(scored.targets.labels)
        confusion = confusion_matrix(
            torch.cat(answers).numpy(), torch.cat(labels).numpy(), self._classes
        )
        return float(weighted_f1(confusion))


def _scored_batches(
    dialogues: Sequence[FeaturedDialogue], architecture: Architecture, on: Fabric
) -> list[ScoredBatch]:
    """Dialogues as batches on the device."""
    data = source(dialogues, architecture.mode, architecture.context)
    size = 1024 if architecture.mode == "buffer" else 32
    batches = [data.take(rows) for rows in ordered(data.lengths, size)]
    return [
        ScoredBatch(
            replace(batch, conversations=batch.conversations.map_tensors(on.to_device)),
            batch.targets,
        )
        for batch in batches
    ]
