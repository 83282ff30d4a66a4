"""Recipes of training networks on conversations, and the features that they are trained on."""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec

from gscon_live.common.errors import InputError
from gscon_live.model.networks.architecture import Encoder
from gscon_live.model.networks.network import Architecture, Mode, options
from gscon_live.train import balance
from gscon_live.train.balance import old_settings
from gscon_live.train.corpora import pickles
from gscon_live.train.corpora.dataset import FeaturedCorpus, restricted
from gscon_live.train.data.composed import Absence
from gscon_live.train.encoders.text import corpus_features
from gscon_live.train.engine.devices import Precision
from gscon_live.train.engine.gradient_scaling import Scaled
from gscon_live.train.engine.trainer import Keep, Plan
from gscon_live.train.progress import Report

Positive = Annotated[int, msgspec.Meta(ge=1)]
# Bounded, so that infinities are refused; NaN is outside of all bounds.
AtLeast0 = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
Above0 = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]
UpTo1 = Annotated[float, msgspec.Meta(ge=0, le=1)]
Modality = Literal["text", "audio", "visual"]


class NetworkRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What recipes of networks on real and on composed conversations have in common."""

    #: The run's name: results go to `runs/<name>/`.
    name: str | None = None
    #: The network, one of `model.networks.network.NETWORKS`.
    model: str = "gscon"
    #: What GSCon and Ada2I follow each modality with, see `model.networks.layers`.
    encoder: Encoder = "recurrent"
    #: The network's own settings, see its module.
    options: dict[str, float | int | str | bool] = {}
    #: Balancing plug-ins and their settings, see `train.balance`; None: as published.
    plugins: dict[str, dict[str, float | int | str | bool]] | None = None
    #: What plug-ins scale that scale gradients, see `train.engine.gradient_scaling`.
    scaled: Scaled = "gradient"
    #: Deprecated: the weight of GDC; write `plugins.gdc.weight`.
    gdc: AtLeast0 | None = None
    #: Deprecated: the weight of SSC; write `plugins.ssc.weight`.
    ssc: AtLeast0 | None = None
    #: Deprecated: write `plugins.ssc.rows`.
    rows: Positive | None = None
    #: Deprecated: write `plugins.ssc.tau`.
    tau: Above0 | None = None
    #: Trainings, each with another seed.
    seeds: Positive = 1
    #: Epochs of a training.
    epochs: Positive = 40
    #: Epochs without a better score that end a training; None: all epochs are run.
    patience: Positive | None = None
    #: Which epoch's weights are kept: the `best` on validation, or the `last`.
    keep: Keep = "best"
    #: Dialogues, or windows, in a step; None: 8 dialogues or 128 windows.
    batch: Positive | None = None
    #: In so many parts each device takes a step, so that it needs less memory.
    accumulate: Positive = 1
    #: The highest learning rate, of one cycle.
    learning_rate: Above0 = 1e-3
    #: AdamW's decay of the weights.
    weight_decay: AtLeast0 = 0.03
    #: The share of all steps in which the rate rises.
    warm_up: Share = 0.15
    #: Gradients are cut to this norm.
    clip: Above0 = 1.0
    #: The decay, in a step, of the weights' moving average, which is what is kept; 0: none.
    average: Share = 0.0
    #: How much of each label goes to all classes alike.
    label_smoothing: Share = 0.0
    #: The power of the inverse frequency that weighs the classes: 0 not at all, 1 all equally.
    balance: UpTo1 = 0.0
    #: How often modalities are missing in training.
    absence: Absence = Absence()
    #: The share of a step's conversations that comes once more, with a single modality.
    alone: UpTo1 = 0.0
    #: The width of the network.
    width: Positive = 64
    #: Its layers of attention.
    layers: Positive = 1
    #: Its heads of attention.
    heads: Positive = 4
    #: The share of values that are dropped in training.
    dropout: Share = 0.3
    #: How exactly is calculated, as Lightning Fabric names it.
    precision: Precision = "32-true"
    #: What is calculated on.
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    #: Devices that train together.
    devices: Positive = 1
    #: Threads of the CPU.
    threads: Positive = 1
    #: Whether the result becomes one of the weights that ship.
    ship: bool = False

    def architecture(self, dims: dict[str, int], classes: int) -> Architecture:
        """The network for features of these lengths and so many classes."""
        return Architecture(
            dims=dims,
            classes=classes,
            network=self.model,
            encoder=self.encoder,
            width=self.width,
            layers=self.layers,
            heads=self.heads,
            dropout=self.dropout,
            projector=balance.needs_projector(self.model, self.plugins or {}),
            options=self.options,
        )


class ConversationRecipe(NetworkRecipe, frozen=True, forbid_unknown_fields=True):
    """How a network is trained on a corpus of real conversations."""

    kind: Literal["conversation"] = "conversation"
    #: The corpus: `iemocap`, `meld` or `emorynlp`.
    corpus: str = "iemocap"
    #: Words are encoded by the sentence encoder as it is (`frozen`), or by this recipe's encoder.
    text: str = "frozen"
    #: Text encoders are trained with the seeds 1 to this, and taken in turn.
    text_seeds: Positive = 5
    #: A file of the literature's features to take instead, see `train.corpora.pickles`.
    features: str | None = None
    #: Whether a head beside the network reads the text encoder's vectors; None: where there are.
    direct: bool | None = None
    #: What an utterance may use: all of the dialogue, its past, or a window (`buffer`).
    context: Mode = "causal"
    #: Utterances in the window, the current one included.
    window: Positive = 8
    #: Utterances over which a layer of attention looks back (`causal`).
    memory: Positive = 128
    #: The first seed; the others follow it.
    first_seed: Annotated[int, msgspec.Meta(ge=0)] = 1
    #: The modalities that are used; None: all.
    modalities: tuple[Modality, ...] | None = None
    #: Epochs without a better score that end a training; None: all epochs are run.
    patience: Positive | None = 10
    #: How much of each label goes to all classes alike.
    label_smoothing: Share = 0.05
    #: The share of each label that other networks tell, see `train.networks.soft_labels`.
    distillation: Share = 0.0
    #: How often modalities are missing in training.
    absence: Absence = Absence(window=0.1, utterance=0.05, speakers=0.0)
    #: Speakers that the network tells apart.
    speakers: Positive = 4
    #: Whether the test split is scored after each epoch, for the log only.
    log_test: bool = True

    def architecture(self, dims: dict[str, int], classes: int) -> Architecture:
        """The network for features of these lengths and so many classes."""
        return msgspec.structs.replace(
            NetworkRecipe.architecture(self, dims, classes),
            mode=self.context,
            context=self.window,
            memory=self.memory,
            speakers=self.speakers,
            # The encoder in context is the sentence encoder, trained further: each half a vector.
            direct=dims["text"] // 2 if self.direct else 0,
        )


R = TypeVar("R", bound=NetworkRecipe)

#: Fields by which the training of one seed is not changed.
CHANGES_NOTHING = ("seeds", "first_seed", "ship")


def balanced(recipe: R, modalities: int) -> R:
    """The recipe with its options, and with the plug-ins that it means, all their settings told.

    Args:
        recipe: any.
        modalities: how many are trained.

    Raises:
        InputError: there is no such network or plug-in, or values do not go together.
    """
    chosen_options = options(recipe.model, recipe.options)
    published = balance.published(recipe.model, modalities)
    old = {name: getattr(recipe, name) for name in old_settings.NAMES}
    chosen = old_settings.translated(old, recipe.plugins, published)
    chosen = published if chosen is None else chosen
    training = balance.TrainingSetup(modalities, recipe.devices, recipe.epochs, recipe.scaled)
    balance.check(chosen, training)
    return msgspec.structs.replace(
        recipe,
        options=chosen_options,
        plugins=balance.with_defaults(chosen),
        **dict.fromkeys(old_settings.NAMES),
    )


def resolved(recipe: ConversationRecipe) -> ConversationRecipe:
    """The recipe with every value that was left open: plug-ins are those that the network was
    published with, and none where only one modality was asked for; a step is 8 dialogues or 128
    windows.

    Raises:
        InputError: values that do not go together.
    """
    several = recipe.modalities is None or len(recipe.modalities) > 1
    recipe = balanced(recipe, 2 if several else 1)
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
        corpus = pickles.load(Path(recipe.features), recipe.corpus)
    else:
        taken = text_seed(recipe, seed)
        corpus = corpus_features.featured(recipe.corpus, recipe.text, taken, report)
        if recipe.direct:
            frozen = corpus_features.featured(recipe.corpus, "frozen", seed, report)
            corpus = corpus_features.beside(frozen, corpus)
    if recipe.modalities is not None:
        corpus = restricted(corpus, recipe.modalities)
    check(corpus)
    return corpus


def check(corpus: FeaturedCorpus) -> None:
    """Refuses what cannot be trained on, with `InputError`: an empty split, a dialogue without a
    label, labels unknown, features that are not finite."""
    for split in ("train", "validation", "test"):
        dialogues = corpus.splits.get(split, ())
        if not dialogues:
            raise InputError(f"corpus {corpus.name}: its split {split!r} is empty")
        for dialogue in dialogues:
            where = f"corpus {corpus.name}, {split}, dialogue {dialogue.name!r}"
            if not (dialogue.labels >= 0).any():
                raise InputError(f"{where}: no utterance has a label; leave it out")
            if int(dialogue.labels.max()) >= len(corpus.labels):
                raise InputError(
                    f"{where}: label {int(dialogue.labels.max())}, of {len(corpus.labels)}"
                )
            for place, m in enumerate(corpus.modalities):
                wrong = ~dialogue.features[m].isfinite().all(1) & dialogue.present[:, place]
                if wrong.any():
                    raise InputError(
                        f"{where}, utterance {int(wrong.nonzero()[0])}: its {m} features are not "
                        "finite; mend them, or mark them as missing"
                    )


def architecture(recipe: ConversationRecipe, corpus: FeaturedCorpus) -> Architecture:
    """The network that a recipe asks for."""
    return recipe.architecture(corpus.dims, len(corpus.labels))


def plan(recipe: NetworkRecipe, seed: int) -> Plan:
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
