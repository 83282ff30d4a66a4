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
from gscon_live.train.engine.losses import Mass, Targets, Terms, Weighting, mass, network_losses
from gscon_live.train.engine.trainer import Task
from gscon_live.train.networks.recipe import ConversationRecipe, NetworkRecipe
from gscon_live.train.scoring.epoch_scores import EpochScorer, WeightedF1Scorer


@dataclass(frozen=True)
class Part:
    """A part of a step: conversations, which of their utterances count, and the step's mass."""

    batch: Batch
    targets: Targets
    step: Mass


class ConversationTask(Task[Part]):
    """A network in training on a corpus; see `train.engine.trainer.Task`.

    Args:
        recipe: is resolved.
        corpus: its training dialogues may be others in each epoch.
        seed: the network's first weights follow from it.
        on: the devices.
        judge: scores the network after each epoch; None: by weighted F1, and where modalities come
            alone in training, by that of each alone, too.

    Raises:
        InputError: the corpus lacks what the recipe needs.
    """

    def __init__(
        self,
        recipe: NetworkRecipe,
        corpus: FeaturedCorpus,
        seed: int,
        on: Fabric,
        judge: EpochScorer | None = None,
    ) -> None:
        self._recipe, self._corpus, self._on = recipe, corpus, on
        chosen = recipe.plugins or {}
        training = balance.Training(
            len(corpus.modalities), on.world_size, recipe.epochs, recipe.scaled
        )
        balance.check(chosen, training)
        torch.manual_seed(seed)
        self.network: Network = build(recipe.architecture(corpus.dims, len(corpus.labels)))
        standardise(self.network, corpus)
        self._plugins = balance.plugins(chosen, self.network)
        #: All that is trained: the network, and plug-ins with parameters.
        self.learner = _beside(self.network, self._plugins)
        self._scales = any(plugin.SCALES for plugin in self._plugins)
        self._step: list[StepContext] = []
        self._dialogues = corpus.splits["train"]
        self._source = self._sourced(self._dialogues)
        #: Optimiser steps in an epoch.
        self.steps = -(-len(self._source.lengths) // self._size)
        weights = class_weights(corpus, recipe.balance)
        self._weighting = Weighting(recipe.label_smoothing, on.to_device(weights))
        self._judge = judge or self._weighted_f1()

    def _weighted_f1(self) -> WeightedF1Scorer:
        recipe, splits = self._recipe, ["validation"]
        if isinstance(recipe, ConversationRecipe) and recipe.log_test:
            splits.append("test")
        architecture = self.network.architecture
        return WeightedF1Scorer(self._corpus, architecture, self._on, splits, alone=self._alone > 0)

    @property
    def _alone(self) -> float:
        """The share that comes once more; none where a modality is alone anyway."""
        return self._recipe.alone if len(self.network.modalities) > 1 else 0.0

    @property
    def _size(self) -> int:
        return self._recipe.batch or 1

    def epoch(self, random: torch.Generator, parts: int) -> Iterator[list[Part]]:
        """The steps of an epoch, each in at most so many parts."""
        dialogues = self._corpus.epoch(random)
        if dialogues is not self._dialogues:
            self._dialogues, self._source = dialogues, self._sourced(dialogues)
        for rows in shuffled(self._source.lengths, self._size, random):
            yield self._parts(self._source.take(rows), random, parts)

    def _sourced(self, dialogues: Sequence[FeaturedDialogue]) -> Source:
        a = self.network.architecture
        return source(dialogues, a.mode, a.context)

    def _parts(self, whole: Batch, random: torch.Generator, parts: int) -> list[Part]:
        """A batch as a step takes it: with absences, with some once more by one modality alone, and
        in at most so many parts."""
        absent = with_absences(whole.conversations, self._recipe.absence, random)
        whole = replace(whole, conversations=absent)
        if self._alone:
            whole = whole.and_alone(self._alone, random)
        batches = whole.split(parts)
        targets = [batch.targets for batch in batches]
        step = mass(targets, self._weighting)
        return [Part(batch, mine, step) for batch, mine in zip(batches, targets, strict=True)]

    def loss(self, part: Part, random: torch.Generator, measure: bool) -> Terms:
        """The objective of a part, as its share of the step."""
        here = self._on.to_device
        conversations = part.batch.conversations.each(here)
        with self._on.autocast():
            answers = self.network(conversations, part.batch.last)
        targets = part.targets.each(here)
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
        """What the gradients of a step are scaled by, by what its parts showed."""
        step, self._step = self._step, []
        return balance.scaling(self._plugins, step, epoch)

    def scores(self) -> dict[str, float]:
        """Scores of the network as it is."""
        self.network.eval()
        return self._judge(self.network)


def _beside(network: Network, plugins: Sequence[Plugin]) -> nn.Module:
    """A network and, where plug-ins learn too, these."""
    learning = [plugin for plugin in plugins if any(True for _ in plugin.parameters())]
    if not learning:
        return network
    return nn.ModuleDict({"network": network, "plugins": nn.ModuleList(learning)})


def standardise(network: Network, corpus: FeaturedCorpus) -> None:
    """Gives a network the mean and deviation of the features that a corpus trains with. Raises
    `InputError` where there are none of a modality."""
    for m in network.modalities:
        rows = corpus.training_features(m)
        if not len(rows):
            raise InputError(f"no training utterance has {m}; leave it out of the corpus")
        mean, deviation = rows.mean(0), rows.std(0, correction=0).clamp(min=1e-4)
        network.standardise[m].load_state_dict({"mean": mean, "deviation": deviation})


def class_weights(corpus: FeaturedCorpus, balance: float) -> Tensor:
    """The weight of each label, float32 [C]: a power of its inverse frequency, 1 on average."""
    count = corpus.label_counts.clamp(min=1)
    weight = (count.sum() / count) ** balance
    return weight / weight.mean()
