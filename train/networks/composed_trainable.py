"""A network on composed conversations as a trainable: its trainings, checkpoint and card."""

import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from lightning_fabric import Fabric

from gscon_live.common.files import write_whole
from gscon_live.model import checkpoint
from gscon_live.model.checkpoint import Card
from gscon_live.model.labels import EMOTIONS
from gscon_live.train.engine.trainer import SELECTION_SCORE, Plan, State
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
from gscon_live.train.scoring.encoder_scores import encoder_scores
from gscon_live.train.trainables import Trainable

_DATA = (
    "Composed conversations: the dialogues, words, speakers and emotions of MELD; the voices of "
    "RAVDESS (calm counted as neutral) and EMO-DB (boredom left out); the faces of FER2013, by the "
    "majority of FER+'s ten votes. Each speaker of a dialogue is given one actor; each utterance "
    "one of the actor's clips and one face. The voice shows the utterance's emotion with "
    "probability {audio.same:g} and is neutral with {audio.neutral:g}, the face with "
    "{visual.same:g} and {visual.neutral:g}; otherwise they show any of the seven. Of the "
    "speakers, {audio.habit:.0%} keep one expression of the voice whatever they say, and "
    "{visual.habit:.0%} one of the face. The encoders learned from the same corpora's training "
    "parts, that of the words from GoEmotions and EmoryNLP too."
)
_SPLIT = (
    "Disjoint in dialogues, actors and images. Dialogues: MELD's train, dev and test. Actors: 22, "
    "6 and 6. Faces: two thirds of PublicTest, its other third, PrivateTest without near-copies of "
    "other pictures; each face has more than half of the votes for its emotion. The face encoder "
    "was trained on Training faces alone and selected on PublicTest. What the fusion learns "
    "from of a training actor or dialogue was said by encoders that were trained without them: in "
    "four parts of the actors and three of the dialogues. Epoch, seed and class weights (by macro "
    "F1) are chosen, and the calibration is fitted, on validation, where each emotion counts as if "
    "it were as frequent as in MELD's train, which is nine times as large."
)
_NOTES = [
    "Composed conversations are not real ones. Where voice or face take part, scores on them say "
    "how well the parts work together when each shows the emotion as often as stated above; they "
    "are no estimate of how well emotions are read from people.",
    "Only the set `text` is measured on real material: the words, turns and speakers of MELD's "
    "test dialogues. Words and turns are the corpus' own, not recognised from speech; live words "
    "are worse.",
    "How often voice and face agree with the words is assumed, not measured; so are the habits. "
    "They were set to where voice alone and face alone come near what published systems reach on "
    "MELD's own recordings (weighted F1 0.31 to 0.43), and they largely decide the scores on "
    "composed sets.",
    "Earlier trainings with other assumptions were scored on test as well, and their recalls by "
    "class were seen before the class weights were last chosen, on validation.",
    "The voices are acted, in studios, in two sentences (RAVDESS) or ten (EMO-DB, German); the "
    "faces are posed or picked, 48 pixels wide. Spontaneous ones are weaker.",
    "Faces of disgust are few: 11 in training, 2 in validation and 3 in test; of fear 20, 20 and "
    "30.",
    "12.7 % of MELD's test utterances occur word for word in its training set.",
    "Answering always `neutral` would give weighted F1 0.313 and accuracy 0.481 on MELD's test.",
    "A set is named after the modalities that are there; the others are missing throughout. "
    "`nothing` is the context of speaker turns alone. Where a share of words is said to be wrong, "
    "they have neither punctuation nor case, and the errors are simulated. `voice and face as "
    "labelled`: they always show the emotion that the utterance is labelled with, as in acting.",
    "Research use only: the terms of the corpora say so.",
]


class ComposedTrainable(Trainable[FusionRecipe]):
    """A network on composed conversations, with several seeds."""

    recipe = FusionRecipe

    def resolved(self, recipe: FusionRecipe) -> FusionRecipe:
        return composed_task.resolved(recipe)

    def fit(self, recipe: FusionRecipe, folder: Path, display: Display) -> Path:
        run = RunFolder(folder / "training")
        run.refuse_other(recipe, ("ship",))
        weights = folder / f"{recipe.name}.safetensors"
        results = [weights.with_suffix(suffix) for suffix in (".safetensors", ".json", ".md")]
        trainings = {
            seed: TrainingFolder(run.folder / f"seed-{seed}", results)
            for seed in range(1, recipe.seeds + 1)
        }
        if all(training.finished for training in trainings.values()):
            display.report(1, 1, f"{recipe.name}: finished before")
            return weights
        material = composed_task.material(recipe, display.report)
        # After reading the corpora, so that a missing corpus leaves no run behind.
        run.begin(recipe)
        with run.lock():
            trained = []
            for seed, training in trainings.items():

                def resumed(
                    task: ConversationTask,
                    plan: Plan,
                    fabric: Fabric,
                    training: TrainingFolder = training,
                ) -> State:
                    title = f"seed {plan.seed}"
                    return train_in(
                        training, task, plan, fabric, display, title, figure=SELECTION_SCORE
                    )

                trained.append(composed_task.fit(recipe, material, seed, display.report, resumed))
            save(trained, recipe, material, folder)
            for training in trainings.values():
                training.finish()
        return weights


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


def _save(
    stem: Path,
    best: FusionResult,
    trained: Sequence[FusionResult],
    recipe: FusionRecipe,
    material: ComposedMaterial,
) -> Path:
    scores: dict[str, Any] = dict(msgspec.to_builtins(best.scores["test"]))
    scores["validation"] = msgspec.to_builtins(best.scores["validation"])
    scores["seeds"] = over_seeds(trained)
    scores["encoders"] = encoder_scores()
    card = Card(
        name=recipe.name,
        version=datetime.now(UTC).strftime("%Y.%m.%d"),
        emotions=list(EMOTIONS),
        encoders=material.encoders,
        architecture=architecture(recipe, material.dims),
        temperature=best.calibration.overall,
        by_presence=best.calibration.by_presence,
        shifts=best.calibration.shifts,
        prior=best.calibration.prior,
        temperatures=best.calibration.unimodal,
        data=_DATA.format(audio=recipe.audio, visual=recipe.visual),
        split=_SPLIT,
        seeds=[result.seed for result in trained],
        scores=scores,
        notes=[
            *_NOTES,
            f"Epoch {best.best_epoch} of {recipe.epochs} of seed {best.seed} was the best on "
            "validation.",
        ],
        recipe=msgspec.to_builtins(recipe),
        **provenance(),
    )
    checkpoint.save(stem, best.model, card)
    return stem.with_name(stem.name + ".safetensors")
