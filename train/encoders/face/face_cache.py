"""Face encoders that others start from: their recipes, and the trained ones in the user's cache.

A file's name is a hash of everything that it depends on.
"""

import hashlib
from pathlib import Path

import msgspec
from filelock import FileLock
from safetensors.torch import load_file, save_file
from torch import Tensor

from gscon_live.common.errors import InputError
from gscon_live.common.files import replacing
from gscon_live.model.encoders.face.face_encoder import FaceNet
from gscon_live.train.corpora import labelled_faces
from gscon_live.train.data import cache
from gscon_live.train.encoders.face.recipe import FaceRecipe
from gscon_live.train.encoders.face.training import FaceTask, learn
from gscon_live.train.engine.devices import launch_fabric, threads
from gscon_live.train.progress import Display
from gscon_live.train.recipes import as_written
from gscon_live.train.runs.run_folder import TrainingFolder

#: Version of the cache: changes when the same recipe gives another encoder.
_VERSION = 1


def starts(recipe: FaceRecipe) -> list[FaceRecipe]:
    """The recipe that a recipe starts from, the one that this one starts from, and so on.

    Raises:
        InputError: one of them is missing, wrong or of another kind, or they start from each other.
    """
    chain = [recipe]
    while (name := chain[-1].start) is not None:
        start = as_written(name, FaceRecipe)
        if start in chain:
            raise InputError(
                f"recipe {chain[-1].name!r}: it starts from itself; give another start, or null"
            )
        chain.append(start)
    return chain[1:]


def start_weights(recipe: FaceRecipe, display: Display) -> dict[str, Tensor] | None:
    """The weights that a recipe starts from, trained or from the cache; None: it starts from
    scratch.

    Raises:
        InputError: a recipe is wrong, its corpus is missing, or a file is damaged.
        Failure: the training failed.
    """
    if recipe.start is None:
        return None
    path = trained(as_written(recipe.start, FaceRecipe), display)
    net = FaceNet()
    with cache.reading(path):
        net.load_state_dict(load_file(path))
    return net.state_dict()


def trained(recipe: FaceRecipe, display: Display) -> Path:
    """The path of a recipe's weights in the cache; trains them where missing. An interrupted
    training resumes at the last finished epoch."""
    path = weights(recipe)
    training = TrainingFolder(path.with_suffix(".training"))
    # Of several processes that need the same encoder, the first trains it and the others wait.
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file():
            start = start_weights(recipe, display)
            with threads(recipe.threads):
                fabric = launch_fabric(recipe.accelerator, precision=recipe.precision)
                task = FaceTask(recipe, fabric, start)
                epoch = learn(task, training, display, f"face encoder {recipe.name}")
            state = {name: value.contiguous() for name, value in task.net.state_dict().items()}
            notes = {"name": recipe.name, "epoch": str(epoch)}
            with replacing(path) as unfinished:
                save_file(state, unfinished, metadata=notes)
        training.remove()
    return path


def weights(recipe: FaceRecipe) -> Path:
    """The path of a recipe's weights in the cache, whether they are there or not."""
    return cache.folder("face") / f"{key(recipe)}.safetensors"


def key(recipe: FaceRecipe) -> str:
    """The cache key of an encoder: its recipe, the recipes that it starts from, and their data."""
    parts = [str(_VERSION)]
    for link in (recipe, *starts(recipe)):
        # What a recipe starts from is in the key itself, whatever its name or path.
        shared = msgspec.structs.replace(link, name="", start=None, ship=False)
        parts.append(msgspec.json.encode(shared).decode())
        with labelled_faces.source(link.corpus).open("rb") as file:
            parts.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
