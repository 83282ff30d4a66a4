"""A text encoder and the network that reads its vectors, trained together.

The network is trained first, on the vectors of the encoder as it is, and then both, so that the
encoder is not bent by a network that knows nothing yet (Kumar et al. 2022, Fine-Tuning can Distort
Pretrained Features).

The encoder learns from the answers alone: the consistency losses are those of the network, whose
parts they compare, and in a step their gradients come from few utterances.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from model.context_text import ContextTextModel, Tokens, pack
from model.network import Network
from train import text
from train.batches import Batch
from train.conversation import ConversationRecipe
from train.course import ConversationCourse, Part, scored_splits
from train.encoded import token_ids
from train.engine import Plan
from train.featured import FeaturedCorpus, FeaturedDialogue, batch
from train.objective import Terms
from train.stretches import cut, filled
from train.text import TextRecipe


@dataclass(frozen=True)
class Told:
    """A dialogue, or a stretch of one, and the token ids of its utterances."""

    dialogue: FeaturedDialogue
    ids: list[list[int]]

    @property
    def tokens(self) -> int:
        """Its length in tokens."""
        return sum(map(len, self.ids))

    def part(self, at: slice) -> "Told":
        """Some of its utterances."""
        one = self.dialogue
        features = {m: x[at] for m, x in one.features.items()}
        made = replace(
            one,
            features=features,
            present=one.present[at],
            speakers=one.speakers[at],
            labels=one.labels[at],
        )
        return Told(made, self.ids[at])


@dataclass(frozen=True)
class JointPart:
    """A part of a step whose words are still tokens: the features of `text` in `part` say where the
    utterance's vector will be, int64 [..., 2]: the row of `tokens` and the utterance in it."""

    part: Part
    tokens: Tokens


class Pair(nn.Module):
    """The text encoder, and the network that reads its vectors."""

    def __init__(self, encoder: ContextTextModel, network: Network) -> None:
        super().__init__()
        self.encoder = encoder
        self.reader = network


class JointCourse:
    """A text encoder and a network in training on a corpus; see `train.engine.Course`.

    Args:
        recipe: of the network, `resolved`; what it says of batches and rates does not apply here.
        words: how the encoder is trained.
        first: the network's own course, at its end.
        encoder: to begin with, on whose vectors the network was trained.
        corpus: what it was trained on.
        on: the device.
    """

    def __init__(
        self,
        recipe: ConversationRecipe,
        words: TextRecipe,
        first: ConversationCourse,
        encoder: ContextTextModel,
        corpus: FeaturedCorpus,
        on: Fabric,
    ) -> None:
        self.network = Pair(encoder.requires_grad_(True), first.network)
        self._words, self._first, self._on = words, first, on
        ids = token_ids(corpus.name, words)
        self._told = {
            split: [Told(*pair) for pair in zip(corpus.splits[split], ids[split], strict=True)]
            for split in ("train", *scored_splits(recipe))
        }
        self.steps = len(self._stretches(Random(0)))

    def groups(self, plan: Plan) -> list[dict[str, Any]]:
        rate, decay = plan.learning_rate, plan.weight_decay
        return [
            *text.groups(self._words, self.network.encoder),
            {"params": [*self.network.reader.parameters()], "lr": rate, "weight_decay": decay},
        ]

    def epoch(self, random: torch.Generator, parts: int) -> Iterator[list[JointPart]]:
        draw = Random(int(torch.randint(2**31, (), generator=random)))
        for told in self._stretches(draw):
            made = self._first.step(_placed(told), random, parts)
            yield [_joint(part, told) for part in made]

    def loss(self, part: JointPart, random: torch.Generator, measure: bool) -> Terms:
        here = self._on.to_device
        with self._on.autocast():
            vectors = self.network.encoder(here(part.tokens)).float()
        conversations = part.part.batch.conversations
        row, utterance = here(conversations.features["text"]).unbind(-1)
        read = vectors.detach().requires_grad_()
        features = {**conversations.features, "text": read[row, utterance]}
        whole = replace(part.part.batch, conversations=replace(conversations, features=features))
        terms = self._first.loss(replace(part.part, batch=whole), random, measure)
        (wanted,) = torch.autograd.grad(terms.answers, read, retain_graph=True)
        # Worth nothing, but for its gradient: what the answers ask of the encoder.
        asked = (vectors * wanted).sum()
        return replace(terms, total=terms.total + (asked - asked.detach()))

    def scores(self) -> dict[str, float]:
        found = {
            split: self._first.held_out([self._read(one) for one in told])
            for split, told in self._told.items()
            if split != "train"
        }
        return self._first.scored(found)

    def _read(self, one: Told) -> FeaturedDialogue:
        """A dialogue with the vectors that the encoder gives it now."""
        vectors = text.vectors(self.network.encoder, one.ids, one.dialogue.speakers.tolist())
        return one.dialogue.with_text(vectors)

    def _stretches(self, draw: Random) -> list[list[Told]]:
        """An epoch: stretches of dialogues, as many side by side as make a step."""
        pieces = [
            one.part(at)
            for one in self._told["train"]
            for at in cut([*map(len, one.ids)], self._words.stretch, draw)
        ]
        # Of a stretch without a label nothing is learned.
        pieces = [one for one in pieces if (one.dialogue.labels >= 0).any()]
        made = filled(pieces, lambda one: one.tokens, self._words.batch, draw)
        draw.shuffle(made)
        return made


def plan(recipe: ConversationRecipe, words: TextRecipe, seed: int) -> Plan:
    """What the training loop follows: the encoder's recipe, the network's decay and clipping."""
    return Plan(
        seed=seed,
        epochs=words.epochs,
        learning_rate=words.head_learning_rate,
        weight_decay=recipe.weight_decay,
        warm_up=0.1,
        accumulate=recipe.accumulate,
        clip=recipe.clip,
        average=words.average,
        keep=words.keep,
    )


def _placed(told: Sequence[Told]) -> Batch:
    """Stretches side by side, with places in the seat of words."""
    rows = []
    for row, one in enumerate(told):
        count = len(one.ids)
        places = torch.stack([torch.full((count,), row), torch.arange(count)], -1)
        rows.append(one.dialogue.with_text(places))
    conversations, labels = batch(rows)
    return Batch(conversations, labels, last=False)


def _joint(part: Part, told: Sequence[Told]) -> JointPart:
    """A part of a step with the tokens of the stretches in it, each once."""
    conversations = part.batch.conversations
    row, utterance = conversations.features["text"].unbind(-1)
    # Padding says row 0, which need not be among those of this part.
    row = row.where(conversations.valid, row[:, :1])
    used, row = torch.unique(row, return_inverse=True)
    features = {**conversations.features, "text": torch.stack([row, utterance], -1)}
    placed = replace(part.batch, conversations=replace(conversations, features=features))
    chosen = [told[place] for place in used.tolist()]
    tokens = pack([(one.ids, one.dialogue.speakers.tolist()) for one in chosen])
    return JointPart(replace(part, batch=placed), tokens)
