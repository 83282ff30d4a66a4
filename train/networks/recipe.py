"""Recipes of training on real conversations, and the features that they are trained on."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from gscon_live.common.errors import InputError
from gscon_live.model.networks.architecture import Encoder
from gscon_live.model.networks.network import NETWORKS, Architecture, Mode, options
from gscon_live.train import balance
from gscon_live.train.corpora import pickles
from gscon_live.train.corpora.dataset import FeaturedCorpus, restricted
from gscon_live.train.data.composed import Absence
from gscon_live.train.data.feature_banks import Report
from gscon_live.train.encoders.text import corpus_features
from gscon_live.train.engine.gradient_scaling import Scaled
from gscon_live.train.engine.trainer import Keep, Plan, Precision

Positive = Annotated[int, msgspec.Meta(ge=1)]
# Bounded, so that infinities are refused; NaN is outside of all bounds.
AtLeast0 = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
Above0 = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]
Modality = Literal["text", "audio", "visual"]


class ConversationRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a network is trained on a corpus of conversations.

    `corpus` is `iemocap`, `meld` or `emorynlp`. `text` is `frozen`, or the recipe of the text
    encoder, which is trained with the seeds 1 to `text_seeds`, taken in turn by the networks;
    `features` is a file of the literature's features (see `train.corpora.pickles`) to take instead.
    With `direct`, the network reads the words of each utterance as the sentence encoder has them,
    and a head beside it reads the vectors of the text encoder; the answer is the mean of both.
    `encoder` is what GSCon and Ada2I follow each modality with, see
    `model.networks.layers.sequence_encoders`. `modalities` leaves out all others. Trainings are
    made with the seeds `first_seed`, `first_seed` + 1, ... `context` is what an utterance may use:
    all of the dialogue (`full`), its past (`causal`, where a layer of attention looks back over
    `memory` utterances), or a window of the last `window` utterances (`buffer`). `batch` dialogues,
    or windows, make a step, in `accumulate` parts; `patience` epochs without a better validation
    score end the training. `keep` says which epoch's weights are kept: the `best` on validation, or
    the `last`. `gdc` and `ssc` weigh the consistency losses, `rows` and `tau` belong to SSC; they
    act on the network's shared encoder, and where it has none, on one that is put beside it.
    `options` are the network's own, see its module; `plugins` are balancing plug-ins and what they
    are set to, see `train.balance`; `scaled` says what those that scale gradients act on, see
    `train.engine.gradient_scaling`. `balance` is the power of the inverse class frequency that
    weighs the classes: 0 not at all, 1 all equally. `average` is the decay, in a step, of the
    weights' moving average, which is what is scored and kept (0: the weights themselves). The share
    `alone` of a step's dialogues or windows comes once more, with a single modality, so that each
    also learns to do without the others; `absence` is how often modalities are missing otherwise.
    `distillation` is the part of each label that networks tell which did not learn the dialogue,
    see `train.networks.soft_labels`. `log_test` scores the test split after each epoch, for the log
    only. None means: what fits the other values, see `resolved`.
    """

    kind: Literal["conversation"] = "conversation"
    name: str | None = None
    corpus: str = "iemocap"
    text: str = "frozen"
    features: str | None = None
    model: str = "gscon"
    encoder: Encoder = "recurrent"
    direct: bool | None = None
    context: Mode = "causal"
    window: Positive = 8
    memory: Positive = 128
    seeds: Positive = 1
    first_seed: Annotated[int, msgspec.Meta(ge=0)] = 1
    text_seeds: Positive = 5
    modalities: tuple[Modality, ...] | None = None
    epochs: Positive = 40
    patience: Positive | None = 10
    batch: Positive | None = None
    accumulate: Positive = 1
    learning_rate: Above0 = 1e-3
    weight_decay: AtLeast0 = 0.03
    warm_up: Share = 0.15
    clip: Above0 = 1.0
    label_smoothing: Share = 0.05
    distillation: Share = 0.0
    gdc: AtLeast0 | None = None
    ssc: AtLeast0 | None = None
    rows: Positive = 32
    tau: Above0 = 0.07
    options: dict[str, float | int | str | bool] = {}
    plugins: dict[str, dict[str, float | int | str | bool]] | None = None
    scaled: Scaled = "gradient"
    balance: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    width: Positive = 64
    layers: Positive = 1
    heads: Positive = 4
    dropout: Share = 0.3
    speakers: Positive = 4
    average: Share = 0.0
    keep: Keep = "best"
    alone: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    absence: Absence = Absence(window=0.1, utterance=0.05, speakers=0.0)
    precision: Precision = "32-true"
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    devices: Positive = 1
    threads: Positive = 1
    log_test: bool = True
    ship: bool = False


#: Fields by which the training of one seed is not changed.
CHANGES_NOTHING = ("seeds", "first_seed", "ship")


def resolved(recipe: ConversationRecipe) -> ConversationRecipe:
    """The recipe with every value that was left open: the consistency losses and plug-ins are those
    that the network was published with, and none where only one modality was asked for; a step is 8
    dialogues or 128 windows.

    Raises:
        InputError: values that do not go together.
    """
    if recipe.model not in NETWORKS:
        raise InputError(f"model={recipe.model}: there is none; one of {', '.join(NETWORKS)}")
    several = recipe.modalities is None or len(recipe.modalities) > 1
    training = balance.Training(2 if several else 1, recipe.devices, recipe.epochs, recipe.scaled)
    by = balance.balanced(recipe.model, training, recipe.gdc, recipe.ssc, recipe.plugins)
    direct = _in_context(recipe) if recipe.direct is None else recipe.direct
    if direct and not _in_context(recipe):
        raise InputError(
            "direct=true: it needs the vectors of a text encoder; give text=<recipe>, no features "
            "and text among the modalities"
        )
    return msgspec.structs.replace(
        recipe,
        name=recipe.name or f"{recipe.corpus}-{recipe.model}-{recipe.context}",
        batch=recipe.batch or (128 if recipe.context == "buffer" else 8),
        direct=direct,
        gdc=by.gdc,
        ssc=by.ssc,
        options=options(recipe.model, recipe.options),
        plugins=by.plugins,
    )


def _in_context(recipe: ConversationRecipe) -> bool:
    """Whether there are vectors of a text encoder, for a direct head."""
    words = recipe.modalities is None or "text" in recipe.modalities
    return words and recipe.text != "frozen" and recipe.features is None


def text_seed(recipe: ConversationRecipe, seed: int) -> int:
    """The seed of the text encoder that a seed's training takes."""
    return 1 + (seed - 1) % recipe.text_seeds


def material(recipe: ConversationRecipe, seed: int, report: Report) -> FeaturedCorpus:
    """The features that a seed is trained on.

    Raises:
        InputError: the corpus is not there, or something in it cannot be trained on.
    """
    if recipe.features is not None:
        made = pickles.load(Path(recipe.features), recipe.corpus)
    else:
        made = corpus_features.featured(recipe.corpus, recipe.text, text_seed(recipe, seed), report)
        if recipe.direct:
            made = corpus_features.beside(
                corpus_features.featured(recipe.corpus, "frozen", seed, report), made
            )
    if recipe.modalities is not None:
        made = restricted(made, recipe.modalities)
    check(made)
    return made


def check(corpus: FeaturedCorpus) -> None:
    """Refuses what cannot be trained on, with `InputError`: an empty split, a dialogue without a
    label, labels unknown, features that are not finite."""
    for split in ("train", "validation", "test"):
        dialogues = corpus.splits.get(split, ())
        if not dialogues:
            raise InputError(f"corpus {corpus.name}: its split {split!r} is empty")
        for one in dialogues:
            where = f"corpus {corpus.name}, {split}, dialogue {one.name!r}"
            if not (one.labels >= 0).any():
                raise InputError(f"{where}: no utterance has a label; leave it out")
            if int(one.labels.max()) >= len(corpus.labels):
                raise InputError(f"{where}: label {int(one.labels.max())}, of {len(corpus.labels)}")
            for place, m in enumerate(corpus.modalities):
                wrong = ~one.features[m].isfinite().all(1) & one.present[:, place]
                if wrong.any():
                    raise InputError(
                        f"{where}, utterance {int(wrong.nonzero()[0])}: its {m} features are not "
                        "finite; mend them, or mark them as missing"
                    )


def architecture(recipe: ConversationRecipe, corpus: FeaturedCorpus) -> Architecture:
    """The network that a recipe asks for."""
    return Architecture(
        dims=corpus.dims,
        mode=recipe.context,
        context=recipe.window,
        width=recipe.width,
        layers=recipe.layers,
        heads=recipe.heads,
        dropout=recipe.dropout,
        speakers=recipe.speakers,
        classes=len(corpus.labels),
        network=recipe.model,
        memory=recipe.memory,
        encoder=recipe.encoder,
        # The encoder in context is the sentence encoder, trained further: half of the vector each.
        direct=corpus.dims["text"] // 2 if recipe.direct else 0,
        projector=balance.projector(recipe.model, recipe.gdc, recipe.ssc),
        options=recipe.options,
    )


def plan(recipe: ConversationRecipe, seed: int) -> Plan:
    """The recipe's part that the training loop follows."""
    return Plan(
        seed=seed,
        epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        warm_up=recipe.warm_up,
        patience=recipe.patience,
        accumulate=recipe.accumulate,
        clip=recipe.clip,
        average=recipe.average,
        keep=recipe.keep,
        scaled=recipe.scaled,
    )
