"""A network in training on conversations, real or composed: its steps, objective and scores."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from gscon_live.common.errors import InputError
from gscon_live.model.networks.network import Network, build
from gscon_live.train import balance
from gscon_live.train.balance.plugin import Plugin, StepContext
from gscon_live.train.corpora.dataset import FeaturedCorpus, FeaturedDialogue
from gscon_live.train.data.batching import Batch, Source, shuffled, source
from gscon_live.train.data.composed import with_absences
from gscon_live.train.engine.gradient_scaling import Scaling
from gscon_live.train.engine.losses import (
    StepTotals,
    Targets,
    Terms,
    Weighting,
    network_losses,
    step_totals,
)
from gscon_live.train.engine.trainer import Task
from gscon_live.train.networks.recipe import ConversationRecipe, NetworkRecipe, architecture
from gscon_live.train.scoring.epoch_scores import EpochScorer, WeightedF1Scorer


@dataclass(frozen=True)
class ConversationPart:
    """A part of a step: conversations, their labelled utterances, and the totals of the step."""

    batch: Batch
    targets: Targets
    step: StepTotals


class ConversationTask(Task[ConversationPart]):
    """A network in training on a corpus; see `train.engine.trainer.Task`.

    Args:
        recipe: is resolved.
        corpus: its training dialogues may differ between epochs.
        seed: the seed of the initial weights.
        fabric: the devices.
        epoch_scores: scores the network after each epoch; None: by weighted F1. Where training has
            conversations with a single modality, also by weighted F1 of each modality alone.

    Raises:
        InputError: the corpus lacks what the recipe needs.
    """

    def __init__(
        self,
        recipe: NetworkRecipe,
        corpus: FeaturedCorpus,
        seed: int,
        fabric: Fabric,
        epoch_scores: EpochScorer | None = None,
    ) -> None:
        self._recipe, self._corpus, self._fabric = recipe, corpus, fabric
        chosen = recipe.plugins or {}
        training = balance.TrainingSetup(
            recipe.model, len(corpus.modalities), fabric.world_size, recipe.epochs, recipe.scaled
        )
        balance.check(chosen, training)
        torch.manual_seed(seed)
        self.network: Network = build(architecture(recipe, corpus))
        standardise(self.network, corpus)
        self._plugins = balance.plugins(chosen, self.network)
        #: All trained modules: the network, and plug-ins with parameters.
        self.learner = _learner(self.network, self._plugins)
        self._scales = any(plugin.SCALES for plugin in self._plugins)
        self._step: list[StepContext] = []
        self._dialogues = corpus.splits["train"]
        self._source = self._source_of(self._dialogues)
        #: Optimiser steps in an epoch.
        self.steps = -(-len(self._source.lengths) // self._batch_size)
        weights = class_weights(corpus, recipe.balance)
        self._weighting = Weighting(recipe.label_smoothing, fabric.to_device(weights))
        self._scores = epoch_scores or self._weighted_f1()

    def _weighted_f1(self) -> WeightedF1Scorer:
        recipe, splits = self._recipe, ["validation"]
        if isinstance(recipe, ConversationRecipe) and recipe.log_test:
            splits.append("test")
        architecture = self.network.architecture
        return WeightedF1Scorer(
            self._corpus, architecture, self._fabric, splits, alone=self._single_modality_share > 0
        )

    @property
    def _single_modality_share(self) -> float:
        """The share of conversations that is repeated with a single modality; 0 for a network of
        one modality."""
        return self._recipe.alone if len(self.network.modalities) > 1 else 0.0

    @property
    def _batch_size(self) -> int:
        return self._recipe.batch or 1

    def epoch(self, random: torch.Generator, parts: int) -> Iterator[list[ConversationPart]]:
        """The steps of an epoch, each in at most `parts` parts."""
        dialogues = self._corpus.epoch(random)
        if dialogues is not self._dialogues:
            self._dialogues, self._source = dialogues, self._source_of(dialogues)
        for rows in shuffled(self._source.lengths, self._batch_size, random):
            yield self._parts(self._source.take(rows), random, parts)

    def _source_of(self, dialogues: Sequence[FeaturedDialogue]) -> Source:
        a = self.network.architecture
        return source(dialogues, a.mode, a.context)

    def _parts(self, batch: Batch, random: torch.Generator, parts: int) -> list[ConversationPart]:
        """The parts of a step: the batch with absences, and some of its conversations again with a
        single modality, in at most `parts` parts."""
        absent = with_absences(batch.conversations, self._recipe.absence, random)
        batch = replace(batch, conversations=absent)
        if self._single_modality_share:
            batch = batch.and_alone(self._single_modality_share, random)
        parts_of_batch = batch.split(parts)
        targets = [part.targets for part in parts_of_batch]
        step = step_totals(targets, self._weighting)
        return [
            ConversationPart(part, part_targets, step)
            for part, part_targets in zip(parts_of_batch, targets, strict=True)
        ]

    def loss(self, part: ConversationPart, random: torch.Generator, measure: bool) -> Terms:
        """The objective of a part, as its share of the step."""
        to_device = self._fabric.to_device
        conversations = part.batch.conversations.map_tensors(to_device)
        with self._fabric.autocast():
            answers = self.network(conversations, part.batch.last)
        targets = part.targets.map_tensors(to_device)
        losses = network_losses(
            self.network.modalities, answers, targets, self._weighting, part.step
        )
        context = StepContext(
            self.network, conversations, part.batch.last, answers, targets, part.step, losses
        )
        if self._scales:
            self._step.append(context)
        return balance.objective(context, self._plugins, random, measure)

    def scaling(self, epoch: int) -> Scaling:
        """The scaling of the step's gradients by a plug-in, from the contexts of its parts."""
        step, self._step = self._step, []
        return balance.scaling(self._plugins, step, epoch)

    def scores(self) -> dict[str, float]:
        """Scores of the current network."""
        self.network.eval()
        return self._scores(self.network)


def _learner(network: Network, plugins: Sequence[Plugin]) -> nn.Module:
    """The network, and plug-ins with parameters."""
    learning = [plugin for plugin in plugins if any(True for _ in plugin.parameters())]
    if not learning:
        return network
    return nn.ModuleDict({"network": network, "plugins": nn.ModuleList(learning)})


def standardise(network: Network, corpus: FeaturedCorpus) -> None:
    """Sets the network's standardisation to the mean and deviation of the training features.
    Raises `InputError` where a modality has no features."""
    if not network.STANDARDISES:
        return
    for m in network.modalities:
        rows = corpus.training_features(m)
        if not len(rows):
            raise InputError(f"no training utterance has {m}; leave it out of the corpus")
        mean, deviation = rows.mean(0), rows.std(0, correction=0).clamp(min=1e-4)
        network.standardise[m].load_state_dict({"mean": mean, "deviation": deviation})


def class_weights(corpus: FeaturedCorpus, balance: float) -> Tensor:
    """The class weights, float32 [C]: a power of the inverse frequency, 1 on average."""
    count = corpus.label_counts.clamp(min=1)
    weight = (count.sum() / count) ** balance
    return weight / weight.mean()
