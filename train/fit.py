"""`python -m train.fit`: trains a model by a recipe, into `runs/<name>/`."""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

import configs
from configs.command import parser, run
from configs.errors import InputError
from train import face, fusion, install
from train.face import FaceRecipe
from train.features import Report
from train.fusion import FusionRecipe

EXAMPLES = """
python -m train.fit                          the model that ships (recipe live), into runs/live
python -m train.fit live seeds=3 name=three  three seeds, into runs/three
python -m train.fit face ship=true           the face encoder, installed into model/weights
python -m train.fit my/recipe.yaml epochs=5  a recipe of your own
"""

_KINDS: dict[str, type[FaceRecipe] | type[FusionRecipe]] = {
    "face": FaceRecipe,
    "fusion": FusionRecipe,
}


def recipe(name_or_path: str, overrides: Sequence[str]) -> FaceRecipe | FusionRecipe:
    """Reads a training recipe. Raises `InputError` naming what is wrong in it."""
    path = configs.find(name_or_path, "train")
    tree = configs.read(path)
    kind = _KINDS.get(str(tree.get("kind")))
    if kind is None:
        raise InputError(
            f"recipe {path}: kind {tree.get('kind')!r}, expected one of {', '.join(_KINDS)}"
        )
    made = configs.build(tree, kind, overrides, str(path))
    if not made.name or Path(made.name).name != made.name:
        raise InputError(f"recipe {path}: name {made.name!r} is no folder name; give a plain name")
    return made


def main(words: Sequence[str]) -> None:
    """The command; see the module."""
    arguments = parser(
        "python -m train.fit",
        "Trains a model by a recipe. Corpora are read from the folder GSCON_DATA "
        "(default ../shared/data); features are kept in the user's cache; results go to "
        "runs/<name>/. With ship=true they also become the weights in model/weights.",
        EXAMPLES,
    )
    arguments.add_argument(
        "recipe", nargs="?", default="live", help=f"{', '.join(configs.names('train'))}, or a file"
    )
    arguments.add_argument("overrides", nargs="*", metavar="key=value", help="change the recipe")
    given = arguments.parse_args(words)
    name, overrides = given.recipe, list(given.overrides)
    if "=" in name:
        name, overrides = "live", [name, *overrides]
    chosen = recipe(name, overrides)
    torch.set_num_threads(1)
    folder = Path("runs") / chosen.name
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=console
    ) as bar:
        task = bar.add_task("reading", total=None)
        said = ""

        def report(done: int, total: int, line: str) -> None:
            nonlocal said
            bar.update(task, completed=done, total=total, description=line or "training")
            # In a log file there is no bar: one line for each thing that is new.
            if line != said and not console.is_terminal:
                said = line
                console.print(line)

        if isinstance(chosen, FaceRecipe):
            made = install.face(face.fit(chosen, report), chosen, folder)
        else:
            made = _fusion(chosen, folder, report)
    console.print(f"done: {made}")
    if chosen.ship:
        for path in install.ship(made):
            console.print(f"installed: {path}")


def _fusion(chosen: FusionRecipe, folder: Path, report: Report) -> Path:
    given = fusion.material(chosen, report)
    trained = [fusion.fit(chosen, given, seed, report) for seed in range(1, chosen.seeds + 1)]
    return install.fusion(trained, chosen, given, folder)


if __name__ == "__main__":
    sys.exit(run(main))
