"""A text encoder in training on conversations, in their past-only context."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from gscon_live.model.encoders.text.context_encoder import (
    ContextTextModel,
    Tokens,
    emotion_head,
    fresh,
    pack,
)
from gscon_live.train.encoders.text.recipe import TextRecipe
from gscon_live.train.encoders.text.text_data import Spoken, TextCorpus
from gscon_live.train.encoders.text.token_batching import cut, filled
from gscon_live.train.engine.losses import Terms
from gscon_live.train.engine.trainer import SELECTS, ParameterGroup, Plan, Task
from gscon_live.train.scoring.metrics import score


@dataclass(frozen=True)
class Part:
    """A part of a step: stretches of dialogues of a corpus, and how many labels the step has."""

    corpus: str
    rows: list[Spoken]
    step: int


class TextTask(Task[Part]):
    """A text encoder and a head for each corpus in training.

    Args:
        recipe: how.
        corpora: by name.
        start: the encoder's weights to begin with; None: the sentence encoder's.
        seed: of the first weights.
        on: the device.
    """

    steps = 0  # drawn for each epoch anew, see `begin`

    def __init__(
        self,
        recipe: TextRecipe,
        corpora: Mapping[str, TextCorpus],
        start: Mapping[str, Tensor] | None,
        seed: int,
        on: Fabric,
    ) -> None:
        self._recipe, self._corpora, self._on = recipe, corpora, on
        torch.manual_seed(seed)
        self.encoder = fresh(recipe.context)
        if start is not None:
            self.encoder.load_state_dict(start)
        if recipe.frozen >= 0:
            self.encoder.embeddings.requires_grad_(False)
            for layer in self.encoder.layers[: recipe.frozen]:
                layer.requires_grad_(False)
        self._network = _Learner(self.encoder, recipe, corpora)
        self.learner = self._network
        self._batches: list[tuple[str, list[Spoken]]] = []

    @property
    def heads(self) -> dict[str, nn.Module]:
        """The heads that answer from the encoder's vectors alone, by corpus."""
        network = self._network
        return {name: head for name, head in network.heads.items() if name not in network.voices}

    def begin(self, epoch: int, random: torch.Generator) -> int:
        """Draws the epoch's batches: stretches of alike length of one corpus, in random order."""
        draw = _drawing(random)
        self._batches = []
        for name, corpus in self._corpora.items():
            pieces = [
                Spoken(whole.ids[at], whole.speakers[at], whole.targets[at], whole.sound[at])
                for whole in corpus.read_in(epoch)
                for at in cut([*map(len, whole.ids)], self._recipe.stretch, draw)
            ]
            batches = filled(pieces, _tokens, self._recipe.batch, draw)
            self._batches += [(name, batch) for batch in batches]
        draw.shuffle(self._batches)
        return len(self._batches)

    def epoch(self, random: torch.Generator, parts: int) -> Iterator[Sequence[Part]]:
        for name, rows in self._batches:
            labels = int(sum((row.targets.sum(1) > 0).sum() for row in rows))
            yield [
                Part(name, rows[first::parts], max(1, labels))
                for first in range(min(parts, len(rows)))
            ]

    def loss(self, part: Part, random: torch.Generator, measure: bool) -> Terms:
        with self._on.autocast():
            logits, targets = self._answers(part.corpus, part.rows)
        smoothing = self._recipe.label_smoothing
        lost = functional.cross_entropy(
            logits.float(), targets, label_smoothing=smoothing, reduction="sum"
        )
        return Terms(lost / part.step, {}, {})

    def scores(self) -> dict[str, float]:
        """Weighted F1 on the validation dialogues by corpus, and their mean, which selects; 0 where
        there are none."""
        self._network.eval()
        reached = {
            name: self._weighted_f1(name, corpus)
            for name, corpus in self._corpora.items()
            if corpus.validation
        }
        mean = sum(reached.values()) / max(1, len(reached))
        named = {f"validation_weighted_f1_{name}": value for name, value in reached.items()}
        return {"validation_weighted_f1": mean, **named, SELECTS: mean}

    def groups(self, plan: Plan) -> list[ParameterGroup]:
        """What is frozen is in none; vectors and biases of the encoder are not decayed."""
        recipe, encoder, network = self._recipe, self.encoder, self._network
        learned = [p for n, p in encoder.named_parameters() if n != "bias" and p.requires_grad]
        matrices = [p for p in learned if p.dim() > 1]
        vectors = [p for p in learned if p.dim() < 2]
        heads = [*network.heads.parameters(), *network.voices.parameters()]
        return [
            ParameterGroup(matrices, plan.learning_rate, plan.weight_decay),
            ParameterGroup(vectors, plan.learning_rate, 0.0),
            ParameterGroup([encoder.bias], recipe.bias_learning_rate, 0.0),
            ParameterGroup(heads, recipe.head_learning_rate, plan.weight_decay),
        ]

    def _answers(self, corpus: str, rows: Sequence[Spoken]) -> tuple[Tensor, Tensor]:
        """Logits and targets [n, classes] of all utterances that have a label."""
        tokens = self._on.to_device(pack([(row.ids, row.speakers) for row in rows]))
        sound = pad_sequence([row.sound for row in rows], batch_first=True)
        padded = self._network(corpus, tokens, self._on.to_device(sound))
        logits = torch.cat([padded[place, : len(row.ids)] for place, row in enumerate(rows)])
        targets = self._on.to_device(torch.cat([row.targets for row in rows]))
        marked = targets.sum(1) > 0
        return logits[marked], targets[marked]

    def _weighted_f1(self, name: str, corpus: TextCorpus) -> float:
        with torch.no_grad():
            pairs = [self._answers(name, [row]) for row in corpus.validation]
        answers = torch.cat([logits for logits, _ in pairs]).double().softmax(1)
        labels = torch.cat([targets for _, targets in pairs]).argmax(1)
        classes = [str(place) for place in range(corpus.classes)]
        return score(answers.cpu().numpy(), labels.cpu().numpy(), classes).weighted_f1


class _Learner(nn.Module):
    """The encoder and a head for each corpus."""

    def __init__(
        self, encoder: ContextTextModel, recipe: TextRecipe, corpora: Mapping[str, TextCorpus]
    ) -> None:
        super().__init__()
        self.encoder = encoder
        sounds = {name: corpus.train[0].sound.shape[1] for name, corpus in corpora.items()}
        self.voices = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(count, 64), nn.GELU(), nn.Dropout(recipe.dropout), nn.Linear(64, 64)
                )
                for name, count in sounds.items()
                if count
            }
        )
        self.heads = nn.ModuleDict(
            {
                name: emotion_head(
                    encoder.dim + (64 if sounds[name] else 0), corpus.classes, recipe.dropout
                )
                for name, corpus in corpora.items()
            }
        )

    def forward(self, name: str, tokens: Tokens, sound: Tensor) -> Tensor:
        """Logits [B, U, classes of the corpus]."""
        state = self.encoder(tokens)
        if name in self.voices:
            state = torch.cat([state, self.voices[name](sound)], -1)
        logits: Tensor = self.heads[name](state)
        return logits


def _tokens(piece: Spoken) -> int:
    return sum(map(len, piece.ids))


def _drawing(generator: torch.Generator) -> random.Random:
    """Draws what follows from a generator's next number."""
    return random.Random(int(torch.randint(2**62, (), generator=generator)))
