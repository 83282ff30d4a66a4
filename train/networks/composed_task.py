"""Training of a network on composed conversations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from gscon_live.model.encoders.face.face_encoder import FaceEncoder
from gscon_live.model.encoders.voice.audio_encoder import AudioEncoder
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.model.networks.architecture import Encoder
from gscon_live.model.networks.network import Architecture, Conversations, Network, build, options
from gscon_live.train import balance
from gscon_live.train.balance.plugin import Plugin, Seen
from gscon_live.train.corpora import meld
from gscon_live.train.data.composed import (
    Absence,
    Agreement,
    Corpus,
    batch,
    compose,
    corpus_of,
    with_absences,
)
from gscon_live.train.data.feature_banks import Report, face_bank, voice_bank
from gscon_live.train.encoders.text import text_cache as encoders
from gscon_live.train.encoders.text.text_features import Reader
from gscon_live.train.encoders.voice import out_of_fold
from gscon_live.train.engine.gradient_scaling import Scaled
from gscon_live.train.engine.losses import Targets, Weighting, mass
from gscon_live.train.engine.losses import objective as terms
from gscon_live.train.engine.trainer import copied
from gscon_live.train.scoring.calibration import Calibration
from gscon_live.train.scoring.composed_scores import (
    calibrate,
    compositions_of,
    evaluate,
    otherwise,
    selection,
    weighted_f1,
)
from gscon_live.train.scoring.metrics import Scores

Positive = Annotated[int, msgspec.Meta(ge=1)]

#: Shares of the words that are wrong, in evaluations without punctuation and case.
WRONG = (0.0, 0.12, 0.3)


class FusionRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a network is trained; the defaults are those of `configs/train/live.yaml`.

    `seeds` trainings are made, with seeds 1, 2, ...; the best on validation is kept. `model` is the
    network, `encoder` what GSCon and Ada2I follow each modality with, `options` are the network's
    own. `gdc` and `ssc` weigh the consistency losses and `plugins` are balancing plug-ins with
    their settings (None: what the network was published with; see `train.balance`); `scaled` is
    what those that scale gradients act on, `rows` and `tau` belong to SSC. `balance` is the power
    of the inverse class frequency that weighs the classes: 0 not at all, 1 all equally.
    `compositions` is the number of ways in which validation and test are given voices and faces;
    `limit` keeps so many training dialogues (None: all). `text` and `voice` are the recipes of the
    encoders that ship, by which others are trained for what the fusion learns from, see
    `train.encoders.voice.out_of_fold`. `without` names modalities that are never there in training
    and selection: what is then scored without them is what a model reaches that never relied on
    them.
    """

    kind: Literal["fusion"] = "fusion"
    name: str = "live"
    seeds: Positive = 3
    epochs: Positive = 12
    batch: Positive = 128
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.03
    model: str = "gscon"
    encoder: Encoder = "transformer"
    options: dict[str, float | int | str | bool] = {}
    gdc: float | None = None
    ssc: float | None = None
    plugins: dict[str, dict[str, float | int | str | bool]] | None = None
    scaled: Scaled = "gradient"
    rows: Positive = 32
    tau: float = 0.07
    balance: float = 0.75
    context: Positive = 8
    width: Positive = 64
    layers: Positive = 1
    heads: Positive = 4
    dropout: float = 0.3
    audio: Agreement = Agreement(0.55, 0.35, 0.35)
    visual: Agreement = Agreement(0.5, 0.35, 0.35)
    absence: Absence = Absence()
    compositions: Positive = 3
    limit: int | None = None
    text: str = "text-spoken"
    voice: str = "voice"
    without: tuple[Literal["text", "audio", "visual"], ...] = ()
    ship: bool = False


@dataclass(frozen=True)
class Material:
    """The three splits, the words of test [n, dim] by the share of them that is wrong, and the
    encoders' identities and feature lengths, by modality."""

    train: Corpus
    validation: Corpus
    test: Corpus
    misheard: dict[float, Tensor]
    encoders: dict[str, str]
    dims: dict[str, int]


@dataclass(frozen=True)
class Fitted:
    """One training: the network of the best epoch, calibrated, its scores by set and subset, and
    weighted F1 on validation by subset after each epoch, the first before training."""

    model: Network
    seed: int
    best_epoch: int
    selection: float
    calibration: Calibration
    scores: dict[str, dict[str, Scores]]
    history: list[dict[str, float]]


def material(recipe: FusionRecipe, report: Report) -> Material:
    """Reads the corpora and encodes them, or takes the features from the cache."""
    audio, face = AudioEncoder(), FaceEncoder()
    reader = Reader(encoders.recipe(recipe.text), report)
    unheard = out_of_fold.audio_encoders(out_of_fold.recipe(recipe.voice), report)
    made, dialogues = {}, []
    for split in ("train", "validation", "test"):
        dialogues = meld.load(split)
        if split == "train" and recipe.limit is not None:
            dialogues = dialogues[: recipe.limit]
        words = reader.versions(dialogues, split)
        voices, faces = voice_bank(audio, unheard, split, report), face_bank(face, split, report)
        made[split] = corpus_of(dialogues, words, voices, faces, recipe.context)
    misheard = {rate: torch.from_numpy(reader.misheard(dialogues, "test", rate)) for rate in WRONG}
    text = reader.encoder
    identities = dict(zip(MODALITIES, (text.identity, audio.identity, face.identity), strict=True))
    dims = dict(zip(MODALITIES, (text.dim, audio.dim, face.dim), strict=True))
    return Material(made["train"], made["validation"], made["test"], misheard, identities, dims)


def resolved(recipe: FusionRecipe) -> FusionRecipe:
    """The recipe with what balances the network, and its options, all told.

    Raises:
        InputError: there is no such network, or values do not go together.
    """
    count = len(MODALITIES) - len({*recipe.without})
    training = balance.Training(count, 1, recipe.epochs, recipe.scaled)
    by = balance.balanced(recipe.model, training, recipe.gdc, recipe.ssc, recipe.plugins)
    chosen = options(recipe.model, recipe.options)
    return msgspec.structs.replace(
        recipe, gdc=by.gdc, ssc=by.ssc, plugins=by.plugins, options=chosen
    )


def architecture(recipe: FusionRecipe, dims: dict[str, int]) -> Architecture:
    """The network that a recipe asks for."""
    return Architecture(
        dims=dims,
        mode="buffer",
        context=recipe.context,
        width=recipe.width,
        layers=recipe.layers,
        heads=recipe.heads,
        dropout=recipe.dropout,
        network=recipe.model,
        encoder=recipe.encoder,
        projector=balance.projector(recipe.model, recipe.gdc, recipe.ssc),
        options=recipe.options,
    )


def objective(
    model: Network,
    plugins: Sequence[Plugin],
    windows: Conversations,
    labels: Tensor,
    weight: Tensor | None,
    recipe: FusionRecipe,
    random: torch.Generator,
) -> tuple[Tensor, Seen]:
    """The objective for the current (last) utterances of windows, of which a modality's own
    cross-entropy counts only where it is there; and what plug-ins see of it."""
    answers = model(windows, last=True)
    rows = torch.arange(len(labels))
    targets = Targets(rows, labels, windows.present[:, -1])
    weighting = Weighting(
        recipe.gdc or 0.0, recipe.ssc or 0.0, recipe.rows, recipe.tau, classes=weight
    )
    step = mass([targets], weighting)
    found = terms(model, answers, targets, weighting, step, random)
    seen = Seen(windows, True, answers, targets, step)
    for plugin in plugins:
        found = found.and_also(plugin.losses(seen, random))
    return found.total, seen


def fit(
    recipe: FusionRecipe, given: Material, seed: int, report: Callable[[int, int, str], None]
) -> Fitted:
    """One training. The epoch is selected, and the answers are calibrated, on validation only;
    test is scored once, at the end."""
    torch.manual_seed(seed)
    draw, random = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    model = build(architecture(recipe, given.dims))
    plugins = balance.plugins(recipe.plugins or {}, model)
    learning = [p for one in (model, *plugins) for p in one.parameters()]
    _standardise(model, given.train)
    labels = given.train.emotions
    count = torch.bincount(labels, minlength=len(EMOTIONS)).clamp(min=1)
    weight = (len(labels) / count) ** recipe.balance
    weight = weight / weight.mean()
    agreement = {"audio": recipe.audio, "visual": recipe.visual}
    steps = -(-len(labels) // recipe.batch)
    total = steps * recipe.epochs
    optimiser = torch.optim.AdamW(
        learning, lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=total, pct_start=0.15
    )
    kept = tuple(m for m in MODALITIES if m not in recipe.without)
    held_out = compositions_of(given.validation, agreement, recipe.compositions, 101)
    clip = partial(nn.utils.clip_grad_norm_, learning, 1.0)
    best: tuple[float, int, dict[str, Tensor]] | None = None
    history = [weighted_f1(evaluate(model, given.validation, held_out[:1]))]
    line = ""
    for epoch in range(recipe.epochs):
        model.train()
        composition = compose(given.train, agreement, draw, clean=False)
        order = torch.randperm(len(labels), generator=random)
        for step in range(steps):
            rows = order[step * recipe.batch : (step + 1) * recipe.batch]
            windows = with_absences(
                batch(given.train, composition, rows, kept), recipe.absence, random
            )
            loss, seen = objective(model, plugins, windows, labels[rows], weight, recipe, random)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            scaling = balance.scaling(plugins, [seen], epoch)
            scaling.step(optimiser, recipe.scaled, clip)
            schedule.step()
            report(epoch * steps + step + 1, total, line)
        scored = evaluate(model, given.validation, held_out[:1])
        history.append(weighted_f1(scored))
        reached = selection(scored, kept)
        line = f"seed {seed}, epoch {epoch + 1}: validation {reached:.3f}"
        if best is None or reached > best[0]:
            state = copied(model)
            best = (reached, epoch + 1, state)
    assert best is not None
    model.load_state_dict(best[2])
    found = calibrate(model, given.validation, held_out, weight, count)
    unseen = compositions_of(given.test, agreement, recipe.compositions, 202)
    scores = {
        "validation": evaluate(model, given.validation, held_out, found),
        "test": evaluate(model, given.test, unseen, found),
    }
    scores["test"] |= otherwise(model, given.test, given.misheard, unseen, found)
    return Fitted(model.eval(), seed, best[1], best[0], found, scores, history)


def _standardise(model: Network, train: Corpus) -> None:
    values = {
        "text": train.text.flatten(0, 1),
        "audio": torch.from_numpy(train.voices.vectors).flatten(0, 1),
        "visual": torch.from_numpy(train.faces.vectors).flatten(0, 1),
    }
    for name, rows in values.items():
        layer = model.standardise[name]
        mean, deviation = rows.mean(0), rows.std(0).clamp(min=1e-4)
        layer.load_state_dict({"mean": mean, "deviation": deviation})
