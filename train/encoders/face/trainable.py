"""The face encoder as a trainable: its run, weights and card."""

from pathlib import Path

from gscon_live.train.corpora import labelled_faces
from gscon_live.train.corpora.labelled_faces import FaceCorpus
from gscon_live.train.encoders.face import face_cache
from gscon_live.train.encoders.face.recipe import FaceRecipe
from gscon_live.train.encoders.face.training import FaceResult, FaceTask, train_face
from gscon_live.train.engine.devices import launch_fabric, threads
from gscon_live.train.progress import Display
from gscon_live.train.runs.run_folder import RunFolder, TrainingFolder
from gscon_live.train.save_weights import save_encoder
from gscon_live.train.trainables import Trainable

#: What trains, selects and tests.
_DATA: dict[FaceCorpus, str] = {
    "fer2013": "FER2013: Training to train, PublicTest to select the epoch, PrivateTest once.",
    "ferplus": "FER2013's pictures with FER+'s ten votes: Training to train, where most votes are "
    "for any of the seven emotions, by the emotions' shares of these votes; PublicTest to select "
    "the epoch, and PrivateTest once, where more than half of all votes agree, by this majority.",
}
#: What a starting point was trained on.
_START: dict[FaceCorpus, str] = {
    "fer2013": "It started from an encoder that was trained by FER2013's own labels.",
    "ferplus": "It started from an encoder that was trained by FER+'s votes.",
}


class FaceTrainable(Trainable[FaceRecipe]):
    """The face encoder."""

    recipe = FaceRecipe
    ships_as = "face"

    def resolved(self, recipe: FaceRecipe) -> FaceRecipe:
        face_cache.starts(recipe)
        return recipe

    def fit(self, recipe: FaceRecipe, folder: Path, display: Display) -> Path:
        run = RunFolder(folder / "training")
        run.refuse_other(recipe)
        weights = folder / f"{recipe.name}.safetensors"
        training = TrainingFolder(run.folder, (weights, weights.with_suffix(".json")))
        if training.finished:
            display.report(1, 1, "face encoder: finished before")
            return weights
        # Before its start is trained, which may take hours.
        labelled_faces.source(recipe.corpus)
        start = face_cache.start_weights(recipe, display)
        with threads(recipe.threads):
            fabric = launch_fabric(recipe.accelerator, precision=recipe.precision)
            task = FaceTask(recipe, fabric, start)
            # After reading the faces, so that a missing corpus leaves no run behind.
            with run.begun(recipe):
                result = train_face(task, training, display)
                save_encoder(result.net, _card(recipe, result), weights)
                training.finish()
        return weights


def _card(recipe: FaceRecipe, result: FaceResult) -> dict[str, object]:
    starts = face_cache.starts(recipe)
    card: dict[str, object] = {
        "name": "face-cnn",
        "data": " ".join([_DATA[recipe.corpus], *(_START[start.corpus] for start in starts)]),
        "note": "Faces found on the web, labelled by others: what is shown, not what is felt. "
        "About a sixth of the test pictures are near-copies of training pictures.",
        "recipe": recipe,
        "starts": starts,
        "best_epoch": result.best_epoch,
        "validation": result.validation,
        "test": result.test,
    }
    if result.own_labels is not None:
        card["test_own_labels"] = result.own_labels
    return card
