"""Scores after each epoch of a training, by which the epoch that is kept is selected."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from lightning_fabric import Fabric

from gscon_live.model.networks.network import Architecture, Network
from gscon_live.train.corpora.dataset import FeaturedCorpus, FeaturedDialogue
from gscon_live.train.data.batching import Batch, ordered, source
from gscon_live.train.engine.losses import Targets
from gscon_live.train.engine.trainer import SELECTS
from gscon_live.train.scoring.metrics import confusion_matrix, weighted_f1


class EpochScorer(Protocol):
    """Gives the scores of a network in evaluation mode, among them `validation_weighted_f1` and
    `SELECTS`."""

    def __call__(self, network: Network) -> dict[str, float]: ...


@dataclass(frozen=True)
class ScoredBatch:
    """What is scored: conversations on the device, and the utterances that have a label."""

    batch: Batch
    targets: Targets

    def only(self, place: int) -> "ScoredBatch":
        """The same with the modality at that place alone."""
        conversations = self.batch.conversations
        alone = torch.zeros_like(conversations.present)
        alone[..., place] = conversations.present[..., place]
        conversations = replace(conversations, present=alone)
        return replace(self, batch=replace(self.batch, conversations=conversations))


class WeightedF1Scorer:
    """Weighted F1 of splits of a corpus, as trained; see `EpochScorer`.

    Args:
        corpus: what is scored.
        architecture: the network's.
        on: the devices.
        splits: `validation`, which selects, and others for the log.
        alone: each modality alone is scored, too, and has a say in the selection.
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
            split: _held_out(corpus.splits[split], architecture, on) for split in splits
        }

    def __call__(self, network: Network) -> dict[str, float]:
        scores = {
            f"{split}_weighted_f1": self._weighted_f1(network, batches)
            for split, batches in self._splits.items()
        }
        selects = [scores["validation_weighted_f1"]]
        for place, m in enumerate(network.modalities if self._alone else ()):
            alone = [batch.only(place) for batch in self._splits["validation"]]
            scores[f"validation_weighted_f1_{m}"] = self._weighted_f1(network, alone)
            selects.append(scores[f"validation_weighted_f1_{m}"])
        return {**scores, SELECTS: sum(selects) / len(selects)}

    def _weighted_f1(self, network: Network, batches: Sequence[ScoredBatch]) -> float:
        answers, labels = [], []
        with torch.inference_mode():
            for held_out in batches:
                answered = network(held_out.batch.conversations, held_out.batch.last)
                logits = answered.final.flatten(0, 1)
                answers.append(logits.argmax(-1).cpu()[held_out.targets.rows])
                labels.append(held_out.targets.labels)
        counts = confusion_matrix(
            torch.cat(answers).numpy(), torch.cat(labels).numpy(), self._classes
        )
        return float(weighted_f1(counts))


def _held_out(
    dialogues: Sequence[FeaturedDialogue], architecture: Architecture, on: Fabric
) -> list[ScoredBatch]:
    """Dialogues as they are scored."""
    whole = source(dialogues, architecture.mode, architecture.context)
    size = 1024 if architecture.mode == "buffer" else 32
    batches = [whole.take(rows) for rows in ordered(whole.lengths, size)]
    return [
        ScoredBatch(
            replace(batch, conversations=batch.conversations.each(on.to_device)), batch.targets
        )
        for batch in batches
    ]
