"""The training task of a text encoder on conversations in past-only context."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from gscon_live.model.encoders.text.context_encoder import (
    fresh,
    pack,
)
from gscon_live.train.encoders.text.fine_tuning import (
    by_depth,
    divergence,
    draw_layers,
    supervised_contrast,
)
from gscon_live.train.encoders.text.learner import (
    SHARED,
    Learner,
    VoicedHead,
    encoder_weights,
    head_weights,
)
from gscon_live.train.encoders.text.recipe import TextRecipe, directory
from gscon_live.train.encoders.text.text_data import TextCorpus, TokenDialogue
from gscon_live.train.encoders.text.token_batching import random_stretches, token_batches
from gscon_live.train.engine.losses import Terms
from gscon_live.train.engine.trainer import SELECTION_SCORE, ParameterGroup, Plan, Task
from gscon_live.train.scoring.metrics import score


@dataclass(frozen=True)
class TextPart:
    """A part of a step: stretches of a corpus' dialogues, and the number of labels in the step."""

    corpus: str
    rows: list[TokenDialogue]
    step: int


class Reading(NamedTuple):
    """Labelled utterances as the network reads them: vectors [n, dim], logits and targets
    [n, classes]."""

    vectors: Tensor
    logits: Tensor
    targets: Tensor


class TextTask(Task[TextPart]):
    """A text encoder in training, with a head for each corpus.

    Args:
        recipe: the recipe of the encoder.
        corpora: the training corpora by name.
        start: the weights of an encoder and its heads to begin with; a shared head
            begins with that of `start`, if there is one, the others anew. None: all begin anew.
        seed: the seed of the heads' initial weights.
        fabric: the device.
    """

    steps = 0  # drawn for each epoch anew, see `begin`

    def __init__(
        self,
        recipe: TextRecipe,
        corpora: Mapping[str, TextCorpus],
        start: Mapping[str, Tensor] | None,
        seed: int,
        fabric: Fabric,
    ) -> None:
        self._recipe, self._corpora, self._fabric = recipe, corpora, fabric
        torch.manual_seed(seed)
        self.encoder = fresh(recipe.context, directory(recipe))
        if recipe.frozen >= 0:
            self.encoder.embeddings.requires_grad_(False)
            for layer in self.encoder.layers[: recipe.frozen]:
                layer.requires_grad_(False)
        self._network = Learner(self.encoder, recipe, corpora)
        self.learner = self._network
        if start is not None:
            self._begin_from(start)
        draw_layers(self.encoder, recipe.fine_tuning.fresh_layers, recipe.name)
        self._batches: list[tuple[str, list[TokenDialogue]]] = []

    @property
    def heads(self) -> dict[str, nn.Sequential]:
        """The heads on the encoder's vectors alone, see `Learner.word_heads`."""
        return self._network.word_heads()

    @property
    def voiced(self) -> dict[str, VoicedHead]:
        """The heads that read prosody, too, see `Learner.voiced_heads`."""
        return self._network.voiced_heads()

    def begin(self, epoch: int, random: torch.Generator) -> int:
        """Draws the epoch's batches: stretches of similar length of one corpus, in random order."""
        draw = _drawing(random)
        self._batches = []
        for name, corpus in self._corpora.items():
            pieces = [
                TokenDialogue(
                    dialogue.ids[at],
                    dialogue.speakers[at],
                    dialogue.targets[at],
                    dialogue.sound[at],
                )
                for dialogue in corpus.read_in(epoch)
                for at in random_stretches([*map(len, dialogue.ids)], self._recipe.stretch, draw)
            ]
            batches = token_batches(pieces, _tokens, self._recipe.batch, draw)
            self._batches += [(name, batch) for batch in batches]
        draw.shuffle(self._batches)
        return len(self._batches)

    def epoch(self, random: torch.Generator, parts: int) -> Iterator[Sequence[TextPart]]:
        for name, rows in self._batches:
            labels = int(sum((row.targets.sum(1) > 0).sum() for row in rows))
            yield [
                TextPart(name, rows[first::parts], max(1, labels))
                for first in range(min(parts, len(rows)))
            ]

    def loss(self, part: TextPart, random: torch.Generator, measure: bool) -> Terms:
        ways, smoothing = self._recipe.fine_tuning, self._recipe.label_smoothing
        with self._fabric.autocast():
            passes = [
                self._read(part.corpus, part.rows) for _ in range(2 if ways.r_drop > 0 else 1)
            ]
        logits = [each.logits.float() for each in passes]
        targets = passes[0].targets
        losses = [
            functional.cross_entropy(answer, targets, label_smoothing=smoothing, reduction="sum")
            for answer in logits
        ]
        total = torch.stack(losses).mean()
        if ways.r_drop > 0:
            total = total + ways.r_drop * divergence(*logits)
        if ways.contrast > 0:
            labels = targets.argmax(1)
            for each in passes:
                loss = supervised_contrast(each.vectors.float(), labels, ways.temperature)
                total = total + ways.contrast / len(passes) * loss
        return Terms(total / part.step, {}, {})

    def scores(self) -> dict[str, float]:
        """Weighted F1 on the validation dialogues by corpus, and their mean, which selects the
        epoch; 0 without validation."""
        self._network.eval()
        weighted_f1 = {
            name: self._weighted_f1(name, corpus)
            for name, corpus in self._corpora.items()
            if corpus.validation
        }
        mean = sum(weighted_f1.values()) / max(1, len(weighted_f1))
        by_corpus = {f"validation_weighted_f1_{name}": value for name, value in weighted_f1.items()}
        return {"validation_weighted_f1": mean, **by_corpus, SELECTION_SCORE: mean}

    def groups(self, plan: Plan) -> list[ParameterGroup]:
        """Frozen parameters are left out; vectors and biases of the encoder have no decay."""
        recipe, network = self._recipe, self._network
        groups = []
        for depth, parameters in enumerate(by_depth(self.encoder)):
            rate = plan.learning_rate * recipe.fine_tuning.layer_decay**depth
            matrices = [parameter for parameter in parameters if parameter.dim() > 1]
            vectors = [parameter for parameter in parameters if parameter.dim() < 2]
            groups += [
                ParameterGroup(matrices, rate, plan.weight_decay),
                ParameterGroup(vectors, rate, 0.0),
            ]
        heads = [*network.heads.parameters(), *network.voices.parameters()]
        return [
            *(group for group in groups if group.parameters),
            ParameterGroup([self.encoder.bias], recipe.bias_learning_rate, 0.0),
            ParameterGroup(heads, recipe.head_learning_rate, plan.weight_decay),
        ]

    def _begin_from(self, start: Mapping[str, Tensor]) -> None:
        self.encoder.load_state_dict(encoder_weights(start))
        head = head_weights(start, SHARED)
        if head and SHARED in self._network.heads:
            self._network.heads[SHARED].load_state_dict(head)

    def _read(self, corpus: str, rows: Sequence[TokenDialogue]) -> Reading:
        """What the network makes of all labelled utterances."""
        tokens = self._fabric.to_device(pack([(row.ids, row.speakers) for row in rows]))
        sound = pad_sequence([row.sound for row in rows], batch_first=True)
        padded = self._network(corpus, tokens, self._fabric.to_device(sound))
        vectors, logits = (
            torch.cat([values[place, : len(row.ids)] for place, row in enumerate(rows)])
            for values in padded
        )
        targets = self._fabric.to_device(torch.cat([row.targets for row in rows]))
        labelled = targets.sum(1) > 0
        return Reading(vectors[labelled], logits[labelled], targets[labelled])

    def _weighted_f1(self, name: str, corpus: TextCorpus) -> float:
        with torch.no_grad(), self._fabric.autocast():
            readings = [self._read(name, [row]) for row in corpus.validation]
        answers = torch.cat([each.logits for each in readings]).double().softmax(1)
        labels = torch.cat([each.targets for each in readings]).argmax(1)
        classes = [str(place) for place in range(corpus.classes)]
        return score(answers.cpu().numpy(), labels.cpu().numpy(), classes).weighted_f1


def _tokens(piece: TokenDialogue) -> int:
    return sum(map(len, piece.ids))


def _drawing(generator: torch.Generator) -> random.Random:
    """A generator of Python, seeded by a generator of torch."""
    return random.Random(int(torch.randint(2**62, (), generator=generator)))
