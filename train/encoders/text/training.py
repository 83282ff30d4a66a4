"""Fine-tuning of the text encoder on conversations, in their past-only context."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from gscon_live.model.encoders.text.context_encoder import (
    ContextSettings,
    ContextTextModel,
    Tokens,
    emotion_head,
    fresh,
    pack,
)
from gscon_live.train.data.asr_noise import Mishearing
from gscon_live.train.data.feature_banks import Report
from gscon_live.train.encoders.text.token_batching import cut, filled
from gscon_live.train.engine.descent import threads
from gscon_live.train.engine.ema import Average
from gscon_live.train.engine.trainer import Keep, copied
from gscon_live.train.scoring.metrics import score

Positive = Annotated[int, msgspec.Meta(ge=1)]


class TextRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a text encoder is trained.

    `corpora` are learned together, each with a head of its own; `start` names the recipe whose
    encoder is taken to begin with (None: the sentence encoder as it is). A step takes dialogues, or
    stretches of at most `stretch` tokens of long ones, up to `batch` tokens in all. With `prosody`,
    it stands beside the words where there is any, so that words need not explain what the voice
    tells. `apart` names corpora no scene of which is learned from another corpus, whatever their
    split; `left_out` leaves out that part (1 to `parts`) of each corpus' training dialogues (0:
    none). `mishearing` is what a recogniser makes of the words, anew in each epoch (None: nothing).
    `epochs` times all are seen; `keep` says which epoch's weights are kept: the `best` on
    validation, by the mean of the corpora's weighted F1, or the `last`. `average` is the decay, in
    a step, of the weights' moving average, which is scored and kept (0: the weights themselves).
    `frozen` keeps the embeddings and so many layers above them as they are (-1: nothing is kept).
    """

    kind: Literal["text"] = "text"
    name: str = "text"
    corpora: tuple[str, ...] = ("iemocap",)
    start: str | None = None
    seeds: Positive = 1
    first_seed: Annotated[int, msgspec.Meta(ge=0)] = 1
    epochs: Positive = 4
    keep: Keep = "best"
    batch: Positive = 1600
    stretch: Positive = 256
    learning_rate: float = 6e-5
    bias_learning_rate: float = 2e-3
    head_learning_rate: float = 5e-4
    weight_decay: float = 0.01
    label_smoothing: float = 0.05
    dropout: float = 0.2
    average: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0
    frozen: int = 0
    prosody: bool = True
    apart: tuple[str, ...] = ()
    parts: Annotated[int, msgspec.Meta(ge=2)] = 3
    left_out: Annotated[int, msgspec.Meta(ge=0)] = 0
    mishearing: Mishearing | None = None
    threads: Positive = 1
    context: ContextSettings = ContextSettings()
    ship: bool = False


@dataclass(frozen=True)
class Spoken:
    """A dialogue as the encoder learns it: token ids and speaker of each utterance, the
    probability of each class, float32 [U, classes], all zero where there is no label; and how it
    sounded, float32 [U, sounds], standardised, zero where unknown."""

    ids: list[list[int]]
    speakers: list[int]
    targets: Tensor
    sound: Tensor


@dataclass(frozen=True)
class Lessons:
    """One corpus: what to learn from, and what to select on (empty where nothing is selected).
    `misheard` has what to learn from in each epoch, where it is not the same in all."""

    classes: int
    train: list[Spoken]
    validation: list[Spoken] = field(default_factory=list)
    misheard: list[list[Spoken]] = field(default_factory=list)

    def learned(self, epoch: int) -> list[Spoken]:
        """What to learn from in an epoch, counted from 0."""
        return self.misheard[epoch] if self.misheard else self.train


@dataclass(frozen=True)
class FittedText:
    """A trained encoder, the heads that answer from its vectors alone by corpus, the epoch that was
    kept, and weighted F1 on validation by epoch and corpus."""

    model: ContextTextModel
    heads: dict[str, nn.Module]
    epoch: int
    validation: list[dict[str, float]]


def fit(
    recipe: TextRecipe,
    lessons: dict[str, Lessons],
    start: dict[str, Tensor] | None,
    seed: int,
    report: Report,
) -> FittedText:
    """One training; the same seed and number of threads give the same weights."""
    with threads(recipe.threads):
        return _fit(recipe, lessons, start, seed, report)


def _fit(
    recipe: TextRecipe,
    lessons: dict[str, Lessons],
    start: dict[str, Tensor] | None,
    seed: int,
    report: Report,
) -> FittedText:
    torch.manual_seed(seed)
    draw = random.Random(seed)
    fabric = Fabric(accelerator="auto", devices=1)
    encoder = fresh(recipe.context)
    if start is not None:
        encoder.load_state_dict(start)
    learner = _Learner(encoder, recipe, lessons)
    rates = [
        *_groups(recipe, encoder),
        {
            "params": [*learner.heads.parameters(), *learner.voices.parameters()],
            "lr": recipe.head_learning_rate,
            "weight_decay": recipe.weight_decay,
        },
    ]
    total = recipe.epochs * len(_steps(recipe, lessons, 0, random.Random(seed)))
    optimiser = torch.optim.AdamW(rates)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        [group["lr"] for group in rates],
        # Stretches are drawn anew each epoch, so that the number of steps varies a little.
        total_steps=total + total // 10 + 10,
        pct_start=0.1,
        anneal_strategy="linear",
        cycle_momentum=False,
    )
    module, optimiser = fabric.setup(learner, optimiser)
    average = Average(learner, recipe.average, {})
    done, said, found = 0, f"text encoder {recipe.name}, seed {seed}", list[dict[str, float]]()
    best: tuple[float, int, dict[str, Tensor]] | None = None
    for epoch in range(1, recipe.epochs + 1):
        module.train()
        for name, rows in _steps(recipe, lessons, epoch - 1, draw):
            loss = _loss(fabric, module, name, rows, recipe.label_smoothing)
            optimiser.zero_grad(set_to_none=True)
            fabric.backward(loss)
            fabric.clip_gradients(module, optimiser, max_norm=1.0)
            optimiser.step()
            schedule.step()
            done += 1
            average.update(done)
            report(min(done, total), total, said)
        with average.in_place():
            found.append(_validate(fabric, module, lessons))
            reached = float(np.mean(list(found[-1].values()))) if found[-1] else 0.0
            if best is None or recipe.keep == "last" or reached > best[0]:
                state = copied(learner)
                best = (reached, epoch, state)
        said = f"text encoder {recipe.name}, seed {seed}, epoch {epoch}: validation {reached:.3f}"
    assert best is not None
    learner.load_state_dict(best[2])
    learner.cpu().eval().requires_grad_(False)
    heads = {name: head for name, head in learner.heads.items() if name not in learner.voices}
    return FittedText(encoder, heads, best[1], found)


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Targets of single labels int64 [n], all zero where one is -1; float32 [n, classes]."""
    return functional.one_hot(labels.clamp(min=0), classes) * (labels >= 0)[:, None].float()


def vectors(
    model: ContextTextModel, ids: Sequence[Sequence[int]], speakers: Sequence[int]
) -> Tensor:
    """The features of a dialogue's utterances, [U, dim], on the CPU."""
    device = model.bias.device
    tokens = Tokens(*(part.to(device) for part in pack([(ids, speakers)])))
    with torch.no_grad():
        found: Tensor = model.eval()(tokens)[0].cpu()
        return found


class _Learner(nn.Module):
    """The encoder and a head for each corpus."""

    def __init__(
        self, encoder: ContextTextModel, recipe: TextRecipe, lessons: dict[str, Lessons]
    ) -> None:
        super().__init__()
        self.encoder = encoder
        sounds = {name: one.train[0].sound.shape[1] for name, one in lessons.items()}
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
                    encoder.dim + (64 if sounds[name] else 0), one.classes, recipe.dropout
                )
                for name, one in lessons.items()
            }
        )

    def forward(self, name: str, tokens: Tokens, sound: Tensor) -> Tensor:
        """Logits [B, U, classes of the corpus]."""
        state = self.encoder(tokens)
        if name in self.voices:
            state = torch.cat([state, self.voices[name](sound)], -1)
        logits: Tensor = self.heads[name](state)
        return logits


def _groups(recipe: TextRecipe, encoder: ContextTextModel) -> list[dict[str, Any]]:
    """An encoder's parameters with their learning rates, but for those that are kept as they are;
    vectors and biases are not decayed."""
    kept = [encoder.embeddings, *encoder.layers[: recipe.frozen]] if recipe.frozen >= 0 else []
    for part in kept:
        part.requires_grad_(False)
    learned = [p for name, p in encoder.named_parameters() if name != "bias" and p.requires_grad]
    rate, decay = recipe.learning_rate, recipe.weight_decay
    return [
        {"params": [p for p in learned if p.dim() > 1], "lr": rate, "weight_decay": decay},
        {"params": [p for p in learned if p.dim() < 2], "lr": rate, "weight_decay": 0.0},
        {"params": [encoder.bias], "lr": recipe.bias_learning_rate, "weight_decay": 0.0},
    ]


def _steps(
    recipe: TextRecipe, lessons: dict[str, Lessons], epoch: int, draw: random.Random
) -> list[tuple[str, list[Spoken]]]:
    """An epoch: batches of stretches of alike length, each of one corpus, in random order."""
    steps = []
    for name, one in lessons.items():
        pieces = [
            Spoken(whole.ids[at], whole.speakers[at], whole.targets[at], whole.sound[at])
            for whole in one.learned(epoch)
            for at in cut([*map(len, whole.ids)], recipe.stretch, draw)
        ]
        batches = filled(pieces, lambda piece: sum(map(len, piece.ids)), recipe.batch, draw)
        steps += [(name, batch) for batch in batches]
    draw.shuffle(steps)
    return steps


def _loss(
    fabric: Fabric, module: nn.Module, name: str, rows: list[Spoken], smoothing: float
) -> Tensor:
    logits, targets = _answers(fabric, module, name, rows)
    return functional.cross_entropy(logits, targets, label_smoothing=smoothing)


def _answers(
    fabric: Fabric, module: nn.Module, name: str, rows: list[Spoken]
) -> tuple[Tensor, Tensor]:
    """Logits and targets [n, classes] of all utterances that have a label."""
    tokens = fabric.to_device(pack([(row.ids, row.speakers) for row in rows]))
    sound = pad_sequence([row.sound for row in rows], batch_first=True)
    found = module(name, tokens, fabric.to_device(sound))
    logits = torch.cat([found[place, : len(row.ids)] for place, row in enumerate(rows)])
    targets = fabric.to_device(torch.cat([row.targets for row in rows]))
    marked = targets.sum(1) > 0
    return logits[marked], targets[marked]


def _validate(fabric: Fabric, module: nn.Module, lessons: dict[str, Lessons]) -> dict[str, float]:
    """Weighted F1 on the validation dialogues, by corpus."""
    module.eval()
    found = {}
    for name, one in lessons.items():
        if not one.validation:
            continue
        with torch.no_grad():
            pairs = [_answers(fabric, module, name, [row]) for row in one.validation]
        logits = torch.cat([logits for logits, _ in pairs]).double().softmax(1)
        labels = torch.cat([targets for _, targets in pairs]).argmax(1)
        classes = [str(place) for place in range(one.classes)]
        found[name] = score(logits.cpu().numpy(), labels.cpu().numpy(), classes).weighted_f1
    return found
