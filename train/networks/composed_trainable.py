"""A network on composed conversations as a trainable: its trainings, checkpoint and card."""

import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from lightning_fabric import Fabric

from gscon_live.common.errors import InputError
from gscon_live.common.files import write_whole
from gscon_live.model import checkpoint
from gscon_live.model.checkpoint import Card, modality_set_name
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.train.engine.trainer import Plan, State
from gscon_live.train.networks import composed_task
from gscon_live.train.networks.composed_task import (
    ComposedMaterial,
    FusionRecipe,
    FusionResult,
    architecture,
)
from gscon_live.train.networks.task import ConversationTask
from gscon_live.train.progress import Display
from gscon_live.train.runs.provenance import provenance
from gscon_live.train.runs.resumable import train_in
from gscon_live.train.runs.run_folder import RunFolder, TrainingFolder
from gscon_live.train.scoring.composed_scores import figure_name
from gscon_live.train.scoring.encoder_scores import encoder_scores
from gscon_live.train.trainables import Trainable

_DATA = (
    "Composed conversations: the dialogues, words, speakers and emotions of MELD; the voices of "
    "RAVDESS (calm counted as neutral), EMO-DB (boredom left out) and nEMO; the faces of FER2013, "
    "by the majority of FER+'s ten votes. Each speaker of a dialogue is given one actor; each "
    "utterance one of the actor's clips and a face. An utterance with an emotion has neutral "
    "words beside an emotional voice and face with probability {kinds.neutral_words:g}, emotional "
    "words beside a neutral voice and face with {kinds.emotional_words:g}; only one of voice and "
    "face shows it with {kinds.single:g}; the three disagree with {kinds.disagreement:g}; else "
    "all agree ({agree:g})."
)
_SPLIT = (
    "Disjoint in dialogues, actors and images. Dialogues: MELD's train, dev and test. Actors: 27, "
    "8 and 8. Faces: two thirds of PublicTest, its other third, PrivateTest without near-copies "
    "of other pictures; each face has more than half of the votes for its emotion. The face "
    "encoder was trained on Training faces alone and selected on PublicTest. The network learns "
    "from training dialogues that were read by text encoders without them, in three parts, and "
    "from voices that were read by encoders which never heard their corpus. The {chosen} "
    "chosen (by the mean of weighted and macro F1 over all sets of modalities), and the "
    "calibration is fitted, on validation, where each emotion counts as if it were as frequent as "
    "in MELD's train, which is nine times as large."
)
_NOTES = [
    "Composed conversations are not real ones. Where voice or face take part, scores on them say "
    "how well the parts work together when each shows the emotion as often as stated above; they "
    "are no estimate of how well emotions are read from people.",
    "Only the set `text` is measured on real material: the words, turns and speakers of MELD's "
    "test dialogues. Words and turns are the corpus' own, not recognised from speech; live words "
    "are worse.",
    "How often voice and face agree with the words is assumed, not measured. It decides most "
    "scores on sets of several modalities. A single modality is scored where it shows the label.",
    "The voices are acted, in studios, in two sentences (RAVDESS), ten (EMO-DB, German) or sixty "
    "(nEMO, Polish); the faces are photographs from the web, 48 pixels wide. Spontaneous ones are "
    "weaker.",
    "Faces of disgust are few: 11 in training, 2 in validation and 3 in test; of fear 20, 20 and "
    "30.",
    "12.7 % of MELD's test utterances occur word for word in its training set.",
    "Answering always `neutral` would give weighted F1 0.313 and accuracy 0.481 on MELD's test.",
    "A set is named after the modalities that are there; the others are missing throughout. "
    "`nothing` is the prior alone. Where a share of words is said to be wrong, they have neither "
    "punctuation nor case, and the errors are simulated. `all agree`: words, voice and face show "
    "the emotion that the utterance is labelled with, as in acting.",
    "Research use only: the terms of the corpora say so.",
]


#: The score that a training displays.
_FIGURE = figure_name(modality_set_name(MODALITIES))


class ComposedTrainable(Trainable[FusionRecipe]):
    """A network on composed conversations, with several seeds."""

    recipe = FusionRecipe

    def resolved(self, recipe: FusionRecipe) -> FusionRecipe:
        return composed_task.resolved(recipe)

    def fit(self, recipe: FusionRecipe, folder: Path, display: Display) -> Path:
        run = RunFolder(folder / "training")
        run.refuse_other(recipe)
        weights = folder / f"{recipe.name}.safetensors"
        results = [weights.with_suffix(suffix) for suffix in (".safetensors", ".json", ".md")]
        trainings = {
            seed: TrainingFolder(run.folder / f"seed-{seed}", results)
            for seed in range(1, recipe.seeds + 1)
        }
        if all(training.finished for training in trainings.values()):
            _refuse_other_encoders(weights, folder)
            display.report(1, 1, f"{recipe.name}: finished before")
            return weights
        material = composed_task.material(recipe, display.report)
        # After reading the corpora, so that a missing corpus leaves no run behind.
        with run.begun(recipe):
            trained = []
            for seed, training in trainings.items():

                def resumed(
                    task: ConversationTask,
                    plan: Plan,
                    fabric: Fabric,
                    training: TrainingFolder = training,
                ) -> State:
                    title = f"seed {plan.seed}"
                    return train_in(training, task, plan, fabric, display, title, figure=_FIGURE)

                trained.append(composed_task.fit(recipe, material, seed, display.report, resumed))
            save(trained, recipe, material, folder)
            for training in trainings.values():
                training.finish()
        return weights


def _refuse_other_encoders(weights: Path, folder: Path) -> None:
    """Refuses a finished run whose encoders have been replaced since. Raises `InputError`."""
    card, current = checkpoint.read_card(weights), composed_task.shipped_encoders()
    for modality, identity in current.items():
        if card.encoders.get(modality) != identity:
            raise InputError(
                f"run {folder}: it was trained for the {modality} encoder "
                f"{card.encoders.get(modality)}, but {identity} is installed; give another "
                f"name=..., or delete {folder} to train it anew"
            )


def save(
    trained: Sequence[FusionResult], recipe: FusionRecipe, material: ComposedMaterial, folder: Path
) -> Path:
    """Writes the checkpoints of all trainings into a run's folder, that of the best on validation
    as the run's own, and their weighted F1 on validation by epoch and seed as `history.json`."""
    best = max(trained, key=lambda result: result.selection)
    for result in trained if len(trained) > 1 else ():
        stem = folder / f"seed-{result.seed}" / recipe.name
        _save(stem, result, [result], recipe, material)
    history = {str(result.seed): result.history for result in trained}
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "history.json", msgspec.json.encode(history) + b"\n")
    return _save(folder / recipe.name, best, trained, recipe, material)


def over_seeds(trained: Sequence[FusionResult]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean and standard deviation, over the trainings, of every metric on test, by subset."""
    figures = ("weighted_f1", "accuracy", "macro_f1", "balanced_accuracy", "ece")
    table: dict[str, dict[str, dict[str, float]]] = {}
    for subset in trained[0].scores["test"]:
        table[subset] = {}
        for figure in figures:
            values = [getattr(result.scores["test"][subset], figure) for result in trained]
            table[subset][figure] = {
                "mean": statistics.fmean(values),
                "sd": statistics.stdev(values) if len(values) > 1 else 0.0,
            }
    return table


def card_of(
    best: FusionResult,
    trained: Sequence[FusionResult],
    recipe: FusionRecipe,
    material: ComposedMaterial,
) -> Card:
    """The card of a training, one of several."""
    scores: dict[str, Any] = dict(msgspec.to_builtins(best.scores["test"]))
    scores["validation"] = msgspec.to_builtins(best.scores["validation"])
    scores["seeds"] = over_seeds(trained)
    scores["encoders"] = encoder_scores()
    last = recipe.keep == "last"
    return Card(
        name=recipe.name,
        version=datetime.now(UTC).strftime("%Y.%m.%d"),
        emotions=list(EMOTIONS),
        encoders=material.encoders,
        architecture=architecture(recipe, material.dims),
        temperature=best.calibration.overall,
        by_presence=best.calibration.by_presence,
        shifts=best.calibration.shifts,
        prior=best.calibration.prior,
        abstention=best.abstention,
        temperatures=best.calibration.unimodal,
        data=_DATA.format(kinds=recipe.kinds, agree=recipe.kinds.agree),
        split=_SPLIT.format(chosen="seed is" if last else "epoch and the seed are"),
        seeds=[result.seed for result in trained],
        scores=scores,
        notes=[
            *_NOTES,
            f"Of seed {best.seed}, the last of {recipe.epochs} epochs was kept, whatever its score "
            "on validation."
            if last
            else f"Epoch {best.best_epoch} of {recipe.epochs} of seed {best.seed} was the best on "
            "validation.",
        ],
        recipe=msgspec.to_builtins(recipe),
        **provenance(),
    )


def _save(
    stem: Path,
    best: FusionResult,
    trained: Sequence[FusionResult],
    recipe: FusionRecipe,
    material: ComposedMaterial,
) -> Path:
    checkpoint.save(stem, best.model, card_of(best, trained, recipe, material))
    return stem.with_name(stem.name + ".safetensors")
