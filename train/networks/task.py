"""A network in training on a corpus of conversations: its steps, objective and scores."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from gscon_live.common.errors import InputError
from gscon_live.model.networks.network import Network, build
from gscon_live.train import balance
from gscon_live.train.balance.plugin import Plugin, Seen
from gscon_live.train.corpora.dataset import FeaturedCorpus, FeaturedDialogue
from gscon_live.train.data.batching import Batch, ordered, shuffled, source
from gscon_live.train.data.composed import with_absences
from gscon_live.train.engine.gradient_scaling import Scaling
from gscon_live.train.engine.losses import Mass, Targets, Terms, Weighting, mass, objective
from gscon_live.train.engine.trainer import SELECTS
from gscon_live.train.networks.recipe import ConversationRecipe, architecture
from gscon_live.train.scoring.metrics import confusion_matrix, weighted_f1


@dataclass(frozen=True)
class Part:
    """A part of a step: conversations, which of their utterances count, and the step's mass."""

    batch: Batch
    targets: Targets
    step: Mass


@dataclass(frozen=True)
class HeldOut:
    """What is scored: conversations on the device, and the utterances that have a label."""

    batch: Batch
    targets: Targets

    def only(self, place: int) -> "HeldOut":
        """The same with the modality at that place alone."""
        conversations = self.batch.conversations
        alone = torch.zeros_like(conversations.present)
        alone[..., place] = conversations.present[..., place]
        conversations = replace(conversations, present=alone)
        return replace(self, batch=replace(self.batch, conversations=conversations))


class ConversationCourse:
    """A network in training on a corpus; see `train.engine.trainer.Course`.

    The recipe is `resolved`; the network's first weights follow from the seed.
    """

    def __init__(
        self, recipe: ConversationRecipe, corpus: FeaturedCorpus, seed: int, on: Fabric
    ) -> None:
        if len(corpus.modalities) < 2 and (recipe.gdc or recipe.ssc):
            raise InputError(
                f"corpus {corpus.name} has {', '.join(corpus.modalities)} alone, and gdc and ssc "
                "compare modalities; give gdc=0 ssc=0"
            )
        self._recipe, self._on = recipe, on
        torch.manual_seed(seed)
        self.network: Network = build(architecture(recipe, corpus))
        standardise(self.network, corpus.splits["train"])
        chosen = recipe.plugins or {}
        count = len(corpus.modalities)
        balance.check(chosen, balance.Training(count, on.world_size, recipe.epochs, recipe.scaled))
        self._plugins = balance.plugins(chosen, self.network)
        self.learner = _beside(self.network, self._plugins)
        self._seen: list[Seen] = []
        self._source = source(corpus.splits["train"], recipe.context, recipe.window)
        self.steps = -(-len(self._source.lengths) // self._size)
        self._classes = len(corpus.labels)
        splits = ("validation", "test") if recipe.log_test else ("validation",)
        self._held_out = {split: self._scored(corpus.splits[split]) for split in splits}
        self._weighting = Weighting(
            gdc=recipe.gdc or 0.0,
            ssc=recipe.ssc or 0.0,
            rows=recipe.rows,
            tau=recipe.tau,
            smoothing=recipe.label_smoothing,
            classes=on.to_device(class_weights(corpus, recipe.balance)),
        )

    @property
    def _alone(self) -> float:
        """The share that comes once more; none where a modality is alone anyway."""
        return self._recipe.alone if len(self.network.modalities) > 1 else 0.0

    @property
    def _size(self) -> int:
        return self._recipe.batch or 1

    def epoch(self, random: torch.Generator, parts: int) -> Iterator[list[Part]]:
        for rows in shuffled(self._source.lengths, self._size, random):
            yield self._step(self._source.take(rows), random, parts)

    def _step(self, whole: Batch, random: torch.Generator, parts: int) -> list[Part]:
        """A batch as a step takes it: with absences, with some once more by one modality alone, and
        in at most so many parts."""
        absent = with_absences(whole.conversations, self._recipe.absence, random)
        whole = replace(whole, conversations=absent)
        if self._alone:
            whole = whole.and_alone(self._alone, random)
        made = whole.split(parts)
        targets = [one.targets for one in made]
        step = mass(targets, self._weighting)
        return [Part(one, mine, step) for one, mine in zip(made, targets, strict=True)]

    def loss(self, part: Part, random: torch.Generator, measure: bool) -> Terms:
        here = self._on.to_device
        conversations = part.batch.conversations.each(here)
        with self._on.autocast():
            answers = self.network(conversations, part.batch.last)
        targets = part.targets.each(here)
        terms = objective(
            self.network, answers, targets, self._weighting, part.step, random, measure
        )
        if not self._plugins:
            return terms
        seen = Seen(conversations, part.batch.last, answers, targets, part.step)
        self._seen.append(seen)
        for plugin in self._plugins:
            terms = terms.and_also(plugin.losses(seen, random))
        return terms

    def scaling(self, epoch: int) -> Scaling:
        seen, self._seen = self._seen, []
        return balance.scaling(self._plugins, seen, epoch)

    def scores(self) -> dict[str, float]:
        self.network.eval()
        found = {
            f"{split}_weighted_f1": self._weighted_f1(batches)
            for split, batches in self._held_out.items()
        }
        selects = [found["validation_weighted_f1"]]
        if self._alone:
            for place, m in enumerate(self.network.modalities):
                alone = [one.only(place) for one in self._held_out["validation"]]
                found[f"validation_weighted_f1_{m}"] = self._weighted_f1(alone)
                selects.append(found[f"validation_weighted_f1_{m}"])
        return {**found, SELECTS: sum(selects) / len(selects)}

    def _scored(self, dialogues: Sequence[FeaturedDialogue]) -> list[HeldOut]:
        """Dialogues as they are scored."""
        whole = source(dialogues, self._recipe.context, self._recipe.window)
        size = 1024 if self._recipe.context == "buffer" else 32
        made = [whole.take(rows) for rows in ordered(whole.lengths, size)]
        here = self._on.to_device
        return [
            HeldOut(replace(one, conversations=one.conversations.each(here)), one.targets)
            for one in made
        ]

    def _weighted_f1(self, batches: list[HeldOut]) -> float:
        answers, labels = [], []
        with torch.inference_mode():
            for one in batches:
                answered = self.network(one.batch.conversations, one.batch.last)
                logits = answered.final.flatten(0, 1)
                answers.append(logits.argmax(-1).cpu()[one.targets.rows])
                labels.append(one.targets.labels)
        counts = confusion_matrix(
            torch.cat(answers).numpy(), torch.cat(labels).numpy(), self._classes
        )
        return float(weighted_f1(counts))


def _beside(network: Network, plugins: Sequence[Plugin]) -> nn.Module:
    """A network and, where plug-ins learn too, these."""
    learning = [one for one in plugins if any(True for _ in one.parameters())]
    if not learning:
        return network
    return nn.ModuleDict({"network": network, "plugins": nn.ModuleList(learning)})


def standardise(network: Network, dialogues: tuple[FeaturedDialogue, ...]) -> None:
    """Gives a network the mean and deviation of the features of some dialogues, where present."""
    for place, m in enumerate(network.modalities):
        rows = torch.cat([one.features[m][one.present[:, place]] for one in dialogues])
        if not len(rows):
            raise InputError(f"no training utterance has {m}; leave it out of the corpus")
        mean, deviation = rows.mean(0), rows.std(0, correction=0).clamp(min=1e-4)
        network.standardise[m].load_state_dict({"mean": mean, "deviation": deviation})


def class_weights(corpus: FeaturedCorpus, balance: float) -> Tensor:
    """The weight of each label, float32 [C]: a power of its inverse frequency, 1 on average."""
    labels = torch.cat([one.labels for one in corpus.splits["train"]])
    count = torch.bincount(labels[labels >= 0], minlength=len(corpus.labels)).clamp(min=1)
    weight = (count.sum() / count) ** balance
    return weight / weight.mean()
