"""Recipes of training networks on conversations."""

from typing import Literal, TypeVar

import msgspec

from gscon_live.common.errors import InputError
from gscon_live.model.networks.architecture import Encoder
from gscon_live.model.networks.network import Architecture, Mode, network_class, options
from gscon_live.train import balance
from gscon_live.train.balance import old_settings
from gscon_live.train.bounds import Above0, AtLeast0, Below1, NotNegative, Positive, UpTo1
from gscon_live.train.corpora.dataset import FeaturedCorpus
from gscon_live.train.corpora.overlap import SAME_SHOW
from gscon_live.train.corpora.sessions import LeftOut, left_out
from gscon_live.train.data.composed import Absence
from gscon_live.train.encoders.text import text_cache
from gscon_live.train.encoders.text.checks import met_scenes
from gscon_live.train.engine.devices import Precision
from gscon_live.train.engine.gradient_scaling import Scaled
from gscon_live.train.engine.trainer import Keep, Plan
from gscon_live.train.runs.run_folder import NO_EFFECT

# Bounded, so that infinities are refused; NaN is outside of all bounds.
Modality = Literal["text", "audio", "visual"]


class NetworkRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The common fields of recipes of networks on real and on composed conversations."""

    #: The run's name: results go to `runs/<name>/`. By default, that of the recipe's file, the
    #: network and the context.
    name: str | None = None
    #: The network, one of `model.networks.network.NETWORKS`.
    model: str = "gscon"
    #: The sequence encoder of each modality in GSCon and Ada2I, see `model.networks.layers`.
    encoder: Encoder = "recurrent"
    #: The network's own settings, see its module.
    options: dict[str, float | int | str | bool] = {}
    #: Balancing plug-ins and their settings, see `train.balance`; None: as published.
    plugins: dict[str, dict[str, float | int | str | bool]] | None = None
    #: Whether plug-ins scale the gradient or the update, see `train.engine.gradient_scaling`.
    scaled: Scaled = "gradient"
    #: Deprecated: the weight of GDC; write `plugins.gdc.weight`.
    gdc: AtLeast0 | None = None
    #: Deprecated: the weight of SSC; write `plugins.ssc.weight`.
    ssc: AtLeast0 | None = None
    #: Deprecated: write `plugins.ssc.rows`.
    rows: Positive | None = None
    #: Deprecated: write `plugins.ssc.tau`.
    tau: Above0 | None = None
    #: Number of trainings, each with another seed.
    seeds: Positive = 1
    #: Passes over the training data.
    epochs: Positive = 40
    #: Early stopping: epochs without a better score; None: all epochs are run.
    patience: Positive | None = None
    #: Which epoch's weights are kept: the `best` on validation, or the `last`.
    keep: Keep = "best"
    #: Dialogues, or windows, in a step; None: 8 dialogues or 128 windows.
    batch: Positive | None = None
    #: Gradient accumulation: parts of a step on a device; more parts need less memory.
    accumulate: Positive = 1
    #: Peak learning rate, see `train.engine.schedule`.
    learning_rate: Above0 = 1e-3
    #: Weight decay of AdamW.
    weight_decay: AtLeast0 = 0.03
    #: Share of all steps with a rising learning rate (warm-up).
    warm_up: Below1 = 0.15
    #: Gradients are clipped to this norm.
    clip: Above0 = 1.0
    #: Decay per step of the moving average of the weights, which is scored and kept; 0: none.
    average: Below1 = 0.0
    #: Label smoothing.
    label_smoothing: Below1 = 0.0
    #: Class weights: the power of the inverse frequency, from 0 (no weights) to 1.
    balance: UpTo1 = 0.0
    #: Probabilities that modalities are missing in training.
    absence: Absence = Absence()
    #: Share of a step's conversations that are repeated with a single modality.
    alone: UpTo1 = 0.0
    #: Width of the network.
    width: Positive = 64
    #: Number of attention layers.
    layers: Positive = 1
    #: Number of attention heads.
    heads: Positive = 4
    #: Dropout.
    dropout: Below1 = 0.3
    #: Numerical precision, by the names of Lightning Fabric.
    precision: Precision = "32-true"
    #: `auto` takes a GPU where available.
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    #: Number of devices that train together.
    devices: Positive = 1
    #: Number of CPU threads.
    threads: Positive = 1
    #: Install the network among `model/weights`.
    ship: bool = False

    def architecture(self, dims: dict[str, int], classes: int, direct: int = 0) -> Architecture:
        """The architecture for features of these lengths and this number of classes; a direct head
        reads the last `direct` text features."""
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
            direct=direct,
        )


class ConversationRecipe(NetworkRecipe, frozen=True, forbid_unknown_fields=True):
    """The training of a network on a corpus of real conversations."""

    kind: Literal["conversation"] = "conversation"
    #: The corpus: `iemocap`, `meld` or `emorynlp`.
    corpus: str = "iemocap"
    #: The name or path of the recipe of a text encoder that is fine-tuned on this corpus; `frozen`:
    #: there is none, and `general` takes its place.
    text: str = "frozen"
    #: A text encoder that was not trained on this corpus: the sentence encoder (`frozen`), or the
    #: name or path of a recipe, whose encoder has seed 1. Networks read it beside a direct head or
    #: own answers, and so do those that make soft labels.
    general: str = "frozen"
    #: Number of text encoders, with the seeds from 1, that trainings take in turn.
    text_seeds: Positive = 5
    #: A file of published features to train on instead, see `train.corpora.feature_pickles`.
    features: str | None = None
    #: The session of IEMOCAP, from 1 to 4, that is left out of the training; 0: none. It is
    #: validation in place of the corpus' own, whose speakers are in training. `each`: seed 1 leaves
    #: out session 1, seed 2 session 2, and so on, up to `text_seeds`, in turn. The text encoder of
    #: the corpus leaves out the same.
    left_out_session: LeftOut = 0
    #: Whether a direct head reads the text encoder's vectors, or `own`: the encoder's own answers
    #: take its place; None: a direct head where there is an encoder.
    direct: bool | Literal["own"] | None = None
    #: The context of an utterance: all of the dialogue, its past, or a window (`buffer`).
    context: Mode = "causal"
    #: Length of the window in utterances, with the current one.
    window: Positive = 8
    #: Utterances over which an attention layer looks back (`causal`).
    memory: Positive = 128
    #: The first seed; the others follow in steps of one.
    first_seed: NotNegative = 1
    #: The modalities to train on; None: all.
    modalities: tuple[Modality, ...] | None = None
    #: Early stopping: epochs without a better score; None: all epochs are run.
    patience: Positive | None = 10
    #: Label smoothing.
    label_smoothing: Below1 = 0.05
    #: Share of out-of-fold probabilities in soft labels, see `train.networks.soft_labels`.
    distillation: Below1 = 0.0
    #: Probabilities that modalities are missing in training.
    absence: Absence = Absence(window=0.1, utterance=0.05, speakers=0.0)
    #: Maximum number of speakers that the network distinguishes.
    speakers: Positive = 4
    #: Also score the test split after each epoch, for the log only.
    log_test: bool = True

    def architecture(self, dims: dict[str, int], classes: int, direct: int = 0) -> Architecture:
        """As for all networks, with this recipe's context."""
        return msgspec.structs.replace(
            NetworkRecipe.architecture(self, dims, classes, direct),
            mode=self.context,
            context=self.window,
            memory=self.memory,
            speakers=self.speakers,
            own_answers=self.direct == "own",
        )


R = TypeVar("R", bound=NetworkRecipe)

#: Fields without effect on the training of a single seed.
NO_EFFECT_ON_A_SEED = ("seeds", "first_seed", *NO_EFFECT)


def balanced(recipe: R, modalities: int) -> R:
    """The recipe with all options of the network and all settings of its plug-ins.

    Args:
        recipe: any.
        modalities: the number of modalities in training.

    Raises:
        InputError: the network or a plug-in is unknown, or values do not go together.
    """
    chosen_options = options(recipe.model, recipe.options)
    published = balance.published(recipe.model, modalities)
    old = {name: getattr(recipe, name) for name in old_settings.NAMES}
    chosen = old_settings.translated(old, recipe.plugins, published)
    chosen = published if chosen is None else chosen
    training = balance.TrainingSetup(
        recipe.model, modalities, recipe.devices, recipe.epochs, recipe.scaled
    )
    balance.check(chosen, training)
    return msgspec.structs.replace(
        recipe,
        options=chosen_options,
        plugins=balance.with_defaults(chosen),
        **dict.fromkeys(old_settings.NAMES),
    )


def resolved(recipe: ConversationRecipe) -> ConversationRecipe:
    """The recipe with defaults for all open values: the published plug-ins of the network, none
    with a single modality; 8 dialogues or 128 windows in a step.

    Raises:
        InputError: values that do not go together.
    """
    several = recipe.modalities is None or len(recipe.modalities) > 1
    recipe = balanced(recipe, 2 if several else 1)
    experts = network_class(recipe.model).READS_EXPERTS
    if experts and (recipe.modalities != ("text",) or not in_context(recipe) or recipe.direct):
        raise InputError(
            f"model {recipe.model!r}: it reads log-probabilities of the emotions by encoders. On a "
            "corpus only a text encoder gives them: give modalities=[text] text=<recipe> "
            "direct=false, or take another model"
        )
    if recipe.general != "frozen":
        _check_general(recipe)
    _check_text(recipe)
    direct = recipe.direct
    if direct is None:
        direct = in_context(recipe) and not experts
    if direct and not in_context(recipe):
        raise InputError(
            f"direct={str(direct).lower()}: it needs a text encoder; give text=<recipe>, no "
            "features and text among the modalities, or direct=false"
        )
    return msgspec.structs.replace(
        recipe,
        batch=recipe.batch or (128 if recipe.context == "buffer" else 8),
        direct=direct,
    )


def _check_general(recipe: ConversationRecipe) -> None:
    """Raises `InputError` where the `general` encoder, or one that it starts from or is taught by,
    was trained on the corpus, or on its scenes in another corpus."""
    corpus, same_show = recipe.corpus, SAME_SHOW.get(recipe.corpus)
    encoders = text_cache.closure(recipe.general)
    for encoder in encoders:
        # With `apart`, the scenes were left out of the other corpus.
        met = same_show in encoder.corpora and corpus not in encoder.apart
        if met or corpus in encoder.corpora:
            known = {name for each in encoders for name in each.corpora}
            raise InputError(
                f"general={recipe.general}: it was trained on {', '.join(sorted(known))}; give a "
                f"text encoder that was not trained on scenes of {recipe.corpus}"
            )


def _check_text(recipe: ConversationRecipe) -> None:
    """Raises `InputError` where the text encoder, or one that it starts from or is taught by, was
    trained on what the network is validated or tested on: scenes in another corpus, or a session
    that the network leaves out; or where there are no sessions."""
    session = recipe.left_out_session
    if session and (recipe.corpus != "iemocap" or recipe.features is not None):
        raise InputError(
            f"left_out_session={session}: only the corpus iemocap has sessions; give "
            "left_out_session=0"
        )
    encoders = text_cache.closure(recipe.text) if in_context(recipe) else []
    for place, encoder in enumerate(encoders):
        if met_scenes(encoder, recipe.corpus):
            raise InputError(
                f"text={recipe.text}: {encoder.name!r} was trained on scenes of {recipe.corpus}'s "
                f"validation and test, in {', '.join(encoder.corpora)}; give another text encoder"
            )
        of_encoder = encoder.left_out_session
        if place:  # what others learn from always has seed 1
            of_encoder = left_out(of_encoder, 1)
        if recipe.corpus == "iemocap" and "iemocap" in encoder.corpora and of_encoder != session:
            name = encoder.name if place else recipe.text
            raise InputError(
                f"left_out_session={session}: the text encoder {name} leaves out {of_encoder}; "
                "give both the same"
            )


def text_seed(recipe: ConversationRecipe, seed: int) -> int:
    """The seed of the text encoder for the training of a seed."""
    return 1 + (seed - 1) % recipe.text_seeds


def in_context(recipe: ConversationRecipe) -> bool:
    """Whether a run reads the vectors or answers of the text encoder `text`."""
    words = recipe.modalities is None or "text" in recipe.modalities
    return words and recipe.text != "frozen" and recipe.features is None


def architecture(recipe: NetworkRecipe, corpus: FeaturedCorpus) -> Architecture:
    """The architecture of a recipe's network."""
    return recipe.architecture(corpus.dims, len(corpus.labels), corpus.direct)


def plan(recipe: NetworkRecipe, seed: int) -> Plan:
    """The settings of the training loop."""
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
