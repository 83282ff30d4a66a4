"""The face encoder as a trainable: its run, weights and card."""

from pathlib import Path

from gscon_live.train.encoders.face.recipe import FaceRecipe
from gscon_live.train.encoders.face.training import FaceResult, FaceTask, train_face
from gscon_live.train.engine.devices import launch_fabric, threads
from gscon_live.train.progress import Display
from gscon_live.train.runs.run_folder import RunFolder, TrainingFolder
from gscon_live.train.save_weights import save_encoder
from gscon_live.train.trainables import Trainable


class FaceTrainable(Trainable[FaceRecipe]):
    """The face encoder."""

    recipe = FaceRecipe
    ships_as = "face"

    def fit(self, recipe: FaceRecipe, folder: Path, display: Display) -> Path:
        run = RunFolder(folder / "training")
        run.refuse_other(recipe, ("ship",))
        weights = folder / f"{recipe.name}.safetensors"
        training = TrainingFolder(run.folder, (weights, weights.with_suffix(".json")))
        if training.finished:
            display.report(1, 1, "face encoder: finished before")
            return weights
        with threads(recipe.threads):
            fabric = launch_fabric(recipe.accelerator, precision=recipe.precision)
            task = FaceTask(recipe, fabric)
            # After reading the faces, so that a missing corpus leaves no run behind.
            run.begin(recipe)
            with run.lock():
                result = train_face(task, training, display)
                save_encoder(result.net, _card(recipe, result), weights)
                training.finish()
        return weights


def _card(recipe: FaceRecipe, result: FaceResult) -> dict[str, object]:
    return {
        "name": "face-cnn",
        "data": "FER2013: Training to train, PublicTest to select the epoch, PrivateTest once.",
        "note": "Faces found on the web, labelled by others: what is shown, not what is felt.",
        "recipe": recipe,
        "best_epoch": result.best_epoch,
        "validation": result.validation,
        "test": result.test,
    }
