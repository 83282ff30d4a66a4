"""Training of a network on composed conversations."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import msgspec
import torch
from lightning_fabric import Fabric
from torch import Tensor

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.face.face_encoder import FaceEncoder
from gscon_live.model.encoders.voice.audio_encoder import AudioEncoder
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.model.networks.architecture import Encoder
from gscon_live.model.networks.network import Architecture, Network
from gscon_live.train.corpora import meld
from gscon_live.train.data.composed import Agreement, ComposedCorpus, ComposedSplit
from gscon_live.train.data.feature_banks import face_bank, voice_bank
from gscon_live.train.encoders.text import text_cache as encoders
from gscon_live.train.encoders.text.text_features import Reader
from gscon_live.train.encoders.voice import out_of_fold
from gscon_live.train.engine.devices import fabric
from gscon_live.train.engine.trainer import SELECTS, Plan, State, train
from gscon_live.train.networks.recipe import (
    Above0,
    Modality,
    NetworkRecipe,
    Positive,
    UpTo1,
    balanced,
    plan,
)
from gscon_live.train.networks.task import ConversationTask, class_weights
from gscon_live.train.progress import Report
from gscon_live.train.scoring.calibration import Calibration
from gscon_live.train.scoring.composed_scores import (
    SubsetScorer,
    draw_compositions,
    evaluate,
    evaluate_changed_inputs,
    weighted_f1_by_subset,
)
from gscon_live.train.scoring.measure import calibrate
from gscon_live.train.scoring.metrics import Scores

#: Shares of the words that are wrong, in evaluations without punctuation and case.
WRONG = (0.0, 0.12, 0.3)

#: Seeds of the draws by which validation and test are composed.
_VALIDATION, _TEST = 101, 202


class FusionRecipe(NetworkRecipe, frozen=True, forbid_unknown_fields=True):
    """How a network is trained on composed conversations; the defaults are those of
    `configs/train/live.yaml`. Trainings have the seeds 1, 2, ...; the best on validation is kept.
    """

    kind: Literal["fusion"] = "fusion"
    #: The run's name: results go to `runs/<name>/`.
    name: str = "live"
    #: Trainings, each with another seed.
    seeds: Positive = 3
    #: Epochs of a training.
    epochs: Positive = 12
    #: Windows in a step.
    batch: Positive = 128
    #: The highest learning rate, of one cycle.
    learning_rate: Above0 = 1.5e-3
    #: What GSCon and Ada2I follow each modality with, see `model.networks.layers`.
    encoder: Encoder = "transformer"
    #: The power of the inverse frequency that weighs the classes: 0 not at all, 1 all equally.
    balance: UpTo1 = 0.75
    #: Utterances in the window, the current one included.
    context: Positive = 8
    #: How often voices show the utterance's emotion.
    audio: Agreement = Agreement(0.55, 0.35, 0.35)
    #: How often faces do.
    visual: Agreement = Agreement(0.5, 0.35, 0.35)
    #: How many compositions of validation and test are scored.
    compositions: Positive = 3
    #: So many training dialogues are used; None: all.
    limit: Positive | None = None
    #: The recipe of the text encoder that ships; others are trained by it for training dialogues.
    text: str = "text-spoken"
    #: That of the voice encoder, for training actors.
    voice: str = "voice"
    #: Modalities that are never there in training and selection.
    without: tuple[Modality, ...] = ()

    def architecture(self, dims: dict[str, int], classes: int) -> Architecture:
        """The network for features of these lengths and so many classes."""
        made = NetworkRecipe.architecture(self, dims, classes)
        return msgspec.structs.replace(made, mode="buffer", context=self.context)

    @property
    def agreement(self) -> dict[str, Agreement]:
        """How often each modality shows the utterance's emotion."""
        return {"audio": self.audio, "visual": self.visual}

    @property
    def kept(self) -> tuple[str, ...]:
        """The modalities that are there in training."""
        return tuple(m for m in MODALITIES if m not in self.without)


@dataclass(frozen=True)
class Material:
    """What the three splits are composed of, the features [n, dim] of test's words by the share of
    them that is wrong, and the encoders' identities and feature lengths, by modality."""

    train: ComposedSplit
    validation: ComposedSplit
    test: ComposedSplit
    misheard: dict[float, Tensor]
    encoders: dict[str, str]
    dims: dict[str, int]


@dataclass(frozen=True)
class FusionResult:
    """One training: the network of the epoch that is kept, calibrated; what its epochs are judged
    by (`selection`); its scores by set and subset; and weighted F1 on validation by subset after
    each epoch, the first before training."""

    model: Network
    seed: int
    best_epoch: int
    selection: float
    calibration: Calibration
    scores: dict[str, dict[str, Scores]]
    history: list[dict[str, float]]


#: Trains to the end and gives the last state.
Trained = Callable[[ConversationTask, Plan, Fabric], State]


def material(recipe: FusionRecipe, report: Report) -> Material:
    """Reads the corpora and encodes them, or takes the features from the cache."""
    audio, face = AudioEncoder(), FaceEncoder()
    reader = Reader(encoders.recipe(recipe.text), report)
    unheard = out_of_fold.audio_encoders(out_of_fold.recipe(recipe.voice), report)
    splits, dialogues = {}, []
    for split in ("train", "validation", "test"):
        dialogues = meld.load(split)
        if split == "train" and recipe.limit is not None:
            dialogues = dialogues[: recipe.limit]
        words = torch.from_numpy(reader.versions(dialogues, split))
        voices, faces = voice_bank(audio, unheard, split, report), face_bank(face, split, report)
        splits[split] = ComposedSplit(words, dialogues, voices, faces)
    misheard = {rate: torch.from_numpy(reader.misheard(dialogues, "test", rate)) for rate in WRONG}
    text = reader.encoder
    identities = dict(zip(MODALITIES, (text.identity, audio.identity, face.identity), strict=True))
    dims = dict(zip(MODALITIES, (text.dim, audio.dim, face.dim), strict=True))
    return Material(
        splits["train"], splits["validation"], splits["test"], misheard, identities, dims
    )


def resolved(recipe: FusionRecipe) -> FusionRecipe:
    """The recipe with what balances the network, and its options, all told.

    Raises:
        InputError: there is no such network, or values do not go together.
    """
    if recipe.alone and recipe.without:
        raise InputError(
            "alone and without: a modality that is never there cannot come alone; give alone=0"
        )
    return balanced(recipe, len(recipe.kept))


def architecture(recipe: FusionRecipe, dims: dict[str, int]) -> Architecture:
    """The network that a recipe asks for."""
    return recipe.architecture(dims, len(EMOTIONS))


def corpus(recipe: FusionRecipe, given: Material) -> ComposedCorpus:
    """The corpus that a recipe composes; each split is given voices and faces in one way, that of
    training in another in each epoch."""
    splits = {
        name: tuple(draw_compositions(split, recipe.agreement, 1, seed)[0])
        for name, split, seed in (
            ("train", given.train, 0),
            ("validation", given.validation, _VALIDATION),
            ("test", given.test, _TEST),
        )
    }
    parts = (given.train, recipe.agreement, recipe.kept)
    return ComposedCorpus("composed", EMOTIONS, given.encoders, splits, *parts)


def fit(
    recipe: FusionRecipe,
    given: Material,
    seed: int,
    report: Report,
    trained: Trained | None = None,
) -> FusionResult:
    """One training. The epoch is selected, and the answers are calibrated, on validation only;
    test is scored once, at the end.

    Args:
        recipe: is resolved.
        given: what conversations are composed of.
        seed: of the training.
        report: told (done, in all, what).
        trained: how the training is run; None: from the start to the end, and nothing is kept.

    Raises:
        InputError, Failure: as `train.engine.trainer.train` does.
    """
    torch.set_num_threads(recipe.threads)
    on = fabric(recipe.accelerator, recipe.devices, recipe.precision)
    composed = corpus(recipe, given)
    judge = SubsetScorer(composed.splits["validation"], recipe.kept)
    task = ConversationTask(recipe, composed, seed, on, judge)
    on.to_device(task.network)
    before = judge(task.network.eval())
    run = trained or partial(_trained, report=report)
    state = run(task, plan(recipe, seed), on)
    task.learner.load_state_dict(state.best)
    network = task.network.eval()
    held_out = draw_compositions(
        given.validation, recipe.agreement, recipe.compositions, _VALIDATION
    )
    unseen = draw_compositions(given.test, recipe.agreement, recipe.compositions, _TEST)
    calibration = calibrate(
        network,
        [dialogue for way in held_out for dialogue in way],
        class_weights(composed, recipe.balance),
        composed.label_counts.clamp(min=1),
    )
    scores = {
        "validation": evaluate(network, held_out, calibration),
        "test": evaluate(network, unseen, calibration)
        | evaluate_changed_inputs(network, given.test, given.misheard, unseen, calibration),
    }
    return FusionResult(
        network,
        seed,
        state.best_epoch,
        judge(network)[SELECTS],
        calibration,
        scores,
        [weighted_f1_by_subset(figures) for figures in (before, *state.history)],
    )


def _trained(task: ConversationTask, how: Plan, on: Fabric, report: Report) -> State:
    return train(task, how, on, watch=_Reported(how.seed, report))


class _Reported:
    """Reports how a training goes; see `train.engine.trainer.Watch`."""

    def __init__(self, seed: int, report: Report) -> None:
        self._seed, self._report, self._line = seed, report, ""

    def step(self, done: int, total: int, means: Callable[[], dict[str, float]]) -> None:
        self._report(done, total, self._line)

    def epoch(self, state: State) -> None:
        reached = state.history[-1][SELECTS]
        self._line = f"seed {self._seed}, epoch {state.epoch}: validation {reached:.3f}"
