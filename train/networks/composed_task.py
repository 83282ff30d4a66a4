"""Training of a network on composed conversations."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import msgspec
import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from gscon_live.common.errors import InputError
from gscon_live.model.abstention import ErrorPoint
from gscon_live.model.encoders.face.face_encoder import FaceEncoder
from gscon_live.model.encoders.text.text_encoder import TextEncoder
from gscon_live.model.encoders.voice.audio_encoder import AudioEncoder
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.model.networks.architecture import Encoder
from gscon_live.model.networks.network import Architecture, Network
from gscon_live.model.networks.product_of_experts import ProductOfExperts
from gscon_live.train.bounds import Above0, AtLeast0, Positive, UpTo1
from gscon_live.train.corpora.iemocap_meld_emorynlp import load_table
from gscon_live.train.corpora.labelled_faces import label_shares
from gscon_live.train.data.composed import ComposedCorpus, ComposedSplit, Kinds, compose
from gscon_live.train.data.feature_banks import face_bank
from gscon_live.train.encoders.text import text_cache
from gscon_live.train.encoders.text.text_features import MeldTextFeatures
from gscon_live.train.encoders.voice.left_out import LeftOutVoices
from gscon_live.train.encoders.voice.recipe import VoiceRecipe
from gscon_live.train.encoders.voice.training import CORPORA
from gscon_live.train.encoders.voice.voice_bank import voice_bank
from gscon_live.train.encoders.voice.voice_data import voices
from gscon_live.train.engine.devices import launch_fabric
from gscon_live.train.engine.trainer import SELECTION_SCORE, Keep, Plan, State, train
from gscon_live.train.networks.recipe import Modality, NetworkRecipe, balanced, plan
from gscon_live.train.networks.task import ConversationTask, class_weights
from gscon_live.train.progress import Report
from gscon_live.train.recipes import as_written
from gscon_live.train.scoring.calibration import Calibration
from gscon_live.train.scoring.composed_scores import (
    SubsetScorer,
    draw_compositions,
    evaluate,
    evaluate_changed_inputs,
    measured_errors,
    pooled,
    weighted_f1_by_subset,
)
from gscon_live.train.scoring.measure import calibrate
from gscon_live.train.scoring.metrics import Scores

#: Word error rates of simulated recognition in evaluation, without punctuation and case.
WRONG = (0.0, 0.12, 0.3)

#: Seeds of the compositions of validation and test.
_VALIDATION, _TEST = 101, 202


class FusionRecipe(NetworkRecipe, frozen=True, forbid_unknown_fields=True):
    """The training of a network on composed conversations. Seeds are 1, 2, ...; the best on
    validation is kept. The defaults are those of `configs/train/live.yaml`."""

    kind: Literal["fusion"] = "fusion"
    #: The run's name: results go to `runs/<name>/`.
    name: str = "live"
    #: The network, one of `model.networks.network.NETWORKS`.
    model: str = "product"
    #: Number of trainings, each with another seed.
    seeds: Positive = 3
    #: Passes over the training data.
    epochs: Positive = 12
    #: Which epoch's weights are kept: the `best` on validation, or the `last`.
    keep: Keep = "last"
    #: Windows in a step.
    batch: Positive = 128
    #: Peak learning rate, see `train.engine.schedule`.
    learning_rate: Above0 = 3e-2
    #: Weight decay of AdamW.
    weight_decay: AtLeast0 = 0.0
    #: The sequence encoder of each modality in GSCon and Ada2I, see `model.networks.layers`.
    encoder: Encoder = "transformer"
    #: Class weights: the power of the inverse frequency, from 0 (no weights) to 1.
    balance: UpTo1 = 0.0
    #: Length of the window in utterances, with the current one.
    context: Positive = 8
    #: The network reads the encoders' log-probabilities of the emotions and nothing else.
    experts: bool = True
    #: The corpora of voices, by encoders that never heard them.
    voices: tuple[Literal["ravdess", "emodb", "nemo"], ...] = ("ravdess", "emodb", "nemo")
    #: How often only some modalities show an utterance's emotion.
    kinds: Kinds = Kinds()
    #: Number of random compositions of validation and test that are scored.
    compositions: Positive = 3
    #: Maximum number of training dialogues; None: all.
    limit: Positive | None = None
    #: Recipe of the text encoder, for the out-of-fold encoders of training dialogues.
    text: str = "text-spoken"
    #: Recipe of the voice encoder, for encoders that never heard a corpus.
    voice: str = "voice"
    #: Modalities that are missing throughout training and selection.
    without: tuple[Modality, ...] = ()

    def architecture(self, dims: dict[str, int], classes: int, direct: int = 0) -> Architecture:
        """As for all networks, with this recipe's window."""
        architecture = NetworkRecipe.architecture(self, dims, classes, direct)
        return msgspec.structs.replace(
            architecture, mode="buffer", context=self.context, experts=self.experts
        )

    @property
    def kept(self) -> tuple[str, ...]:
        """The modalities in training."""
        return tuple(m for m in MODALITIES if m not in self.without)


@dataclass(frozen=True)
class ComposedMaterial:
    """The parts of the three splits; the text features [n, dim] of simulated recognition on test,
    by word error rate; the encoders' identities and feature lengths, by modality; and how frequent
    the emotions were in each encoder's own training, [7] by modality."""

    train: ComposedSplit
    validation: ComposedSplit
    test: ComposedSplit
    recognised: dict[float, Tensor]
    encoders: dict[str, str]
    dims: dict[str, int]
    priors: dict[str, Tensor]


@dataclass(frozen=True)
class FusionResult:
    """One training: the network of the kept epoch, its calibration, and its measured error by
    confidence (`abstention`); the score that selects the epoch (`selection`); its scores by split
    and subset; and weighted F1 on validation by subset, before training and after each epoch
    (`history`)."""

    model: Network
    seed: int
    best_epoch: int
    selection: float
    calibration: Calibration
    abstention: list[ErrorPoint]
    scores: dict[str, dict[str, Scores]]
    history: list[dict[str, float]]


#: The encoders of words, voice and face.
Encoders = tuple[TextEncoder | AudioEncoder | FaceEncoder, ...]

#: Trains to the end; returns the last state.
Trained = Callable[[ConversationTask, Plan, Fabric], State]


def material(recipe: FusionRecipe, report: Report) -> ComposedMaterial:
    """Reads the corpora and encodes them, or takes the features from the cache."""
    face = FaceEncoder()
    reader = MeldTextFeatures(text_cache.recipe(recipe.text), report)
    left_out = left_out_voices(recipe.voice, report)
    meld, splits, dialogues = load_table("meld"), {}, []
    for split in ("train", "validation", "test"):
        dialogues = meld.utterances(split)
        if split == "train" and recipe.limit is not None:
            dialogues = dialogues[: recipe.limit]
        words = torch.from_numpy(reader.versions(dialogues, split))
        splits[split] = ComposedSplit(
            words,
            dialogues,
            voice_bank(recipe.voices, left_out, split),
            face_bank(face, split, report),
        )
    recognised = {
        rate: torch.from_numpy(reader.recognised(dialogues, "test", rate)) for rate in WRONG
    }
    encoders: Encoders = (reader.encoder, AudioEncoder(), face)
    dims = {m: encoder.dim for m, encoder in zip(MODALITIES, encoders, strict=True)}
    labels = torch.bincount(splits["train"].emotions, minlength=len(EMOTIONS))
    priors = {
        "text": labels.clamp(min=1).float(),
        # Every emotion counts alike in its training.
        "audio": torch.ones(len(EMOTIONS)),
        "visual": torch.from_numpy(label_shares("ferplus")).float(),
    }
    return ComposedMaterial(
        splits["train"],
        splits["validation"],
        splits["test"],
        recognised,
        _identities(encoders),
        dims,
        priors,
    )


def shipped_encoders() -> dict[str, str]:
    """The identities of the encoders that ship, by modality."""
    return _identities((TextEncoder(), AudioEncoder(), FaceEncoder()))


def _identities(encoders: Encoders) -> dict[str, str]:
    return {m: encoder.identity for m, encoder in zip(MODALITIES, encoders, strict=True)}


def left_out_voices(name_or_path: str, report: Report) -> LeftOutVoices:
    """The voice encoders of a recipe, each without a corpus."""
    settings = as_written(name_or_path, VoiceRecipe)
    return LeftOutVoices(settings, {name: voices(name, report) for name in CORPORA})


def resolved(recipe: FusionRecipe) -> FusionRecipe:
    """The recipe with all settings of plug-ins and network.

    Raises:
        InputError: the network or a plug-in is unknown, or values do not go together.
    """
    if recipe.alone and recipe.without:
        raise InputError(
            "alone and without: a modality that is never there cannot come alone; give alone=0"
        )
    recipe.kinds.check()
    return balanced(recipe, len(recipe.kept))


def architecture(recipe: FusionRecipe, dims: dict[str, int]) -> Architecture:
    """The architecture of a recipe's network."""
    return recipe.architecture(dims, len(EMOTIONS))


def corpus(recipe: FusionRecipe, material: ComposedMaterial) -> ComposedCorpus:
    """The composed corpus of a recipe. Validation and test have one composition each; training is
    composed anew in each epoch."""
    splits = {
        name: compose(split, recipe.kinds, np.random.default_rng(seed), clean=True).dialogues(split)
        for name, split, seed in (
            ("train", material.train, 0),
            ("validation", material.validation, _VALIDATION),
            ("test", material.test, _TEST),
        )
    }
    return ComposedCorpus(
        "composed",
        EMOTIONS,
        material.encoders,
        splits,
        material.train,
        recipe.kinds,
        recipe.kept,
    )


def fit(
    recipe: FusionRecipe,
    material: ComposedMaterial,
    seed: int,
    report: Report,
    trained: Trained | None = None,
) -> FusionResult:
    """Trains one seed. Selects the epoch and calibrates on validation only; scores test once, at
    the end.

    Args:
        recipe: is resolved.
        material: the parts of the conversations.
        seed: the seed of the training.
        report: takes (done, total, what).
        trained: runs the training; None: a plain run, without saved states.

    Raises:
        InputError, Failure: as `train.engine.trainer.train` does.
    """
    torch.set_num_threads(recipe.threads)
    fabric = launch_fabric(recipe.accelerator, recipe.devices, recipe.precision)
    composed = corpus(recipe, material)
    selecting = draw_compositions(material.validation, recipe.kinds, 1, _VALIDATION)
    epoch_scores = SubsetScorer(selecting, recipe.kept)
    task = ConversationTask(recipe, composed, seed, fabric, epoch_scores)
    if isinstance(task.network, ProductOfExperts):
        task.network.set_priors(composed.label_counts.clamp(min=1).float(), material.priors)
    fabric.to_device(task.network)
    before = epoch_scores(task.network.eval())
    run = trained or partial(_trained, report=report)
    state = run(task, plan(recipe, seed), fabric)
    task.learner.load_state_dict(state.best)
    network = task.network.eval()
    count, rates = recipe.compositions, composed.label_counts.clamp(min=1)
    validation = draw_compositions(material.validation, recipe.kinds, count, _VALIDATION)
    test = draw_compositions(material.test, recipe.kinds, count, _TEST)
    calibration = calibrate(
        network,
        pooled(validation.mixed),
        class_weights(composed, recipe.balance),
        rates,
        pooled(validation.agreeing),
    )
    scores = {
        "validation": evaluate(network, validation, calibration),
        "test": evaluate(network, test, calibration)
        | evaluate_changed_inputs(network, material.test, material.recognised, test, calibration),
    }
    return FusionResult(
        network,
        seed,
        state.best_epoch,
        epoch_scores(network)[SELECTION_SCORE],
        calibration,
        measured_errors(network, validation, calibration, rates.double().numpy()),
        scores,
        [weighted_f1_by_subset(figures) for figures in (before, *state.history)],
    )


def _trained(task: ConversationTask, plan: Plan, fabric: Fabric, report: Report) -> State:
    return train(task, plan, fabric, watch=_Reported(plan.seed, report))


class _Reported:
    """Reports the progress of a training; see `train.engine.trainer.Watch`."""

    def __init__(self, seed: int, report: Report) -> None:
        self._seed, self._report, self._line = seed, report, ""

    def step(self, done: int, total: int, means: Callable[[], dict[str, float]]) -> None:
        self._report(done, total, self._line)

    def epoch(self, state: State) -> None:
        reached = state.history[-1][SELECTION_SCORE]
        self._line = f"seed {self._seed}, epoch {state.epoch}: validation {reached:.3f}"
