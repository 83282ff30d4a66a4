"""`gscon-live fit`: trains a model by a recipe, into `runs/<name>/`."""

import os
from collections.abc import Sequence

from gscon_live.common import extras

extras.require("train", __name__)

import torch
from rich.console import Console

from gscon_live.common import signals
from gscon_live.common.cli import parser, program
from gscon_live.common.errors import InputError
from gscon_live.common.files import check_folder
from gscon_live.configs import loader
from gscon_live.train import save_weights
from gscon_live.train.progress import progress
from gscon_live.train.recipes import recipe
from gscon_live.train.runs.run_folder import RUNS
from gscon_live.train.trainables import trainable

EXAMPLES = """
gscon-live fit                          the model that ships (recipe live), into runs/live
gscon-live fit live seeds=3 name=three  three seeds, into runs/three
gscon-live fit face ship=true           the face encoder, installed into model/weights
gscon-live fit voice ship=true          the voice encoder, likewise
gscon-live fit text-spoken ship=true    the text encoder, likewise
gscon-live fit speaker ship=true        the speaker space, likewise
gscon-live fit overlap ship=true        the overlap detector, likewise
gscon-live fit iemocap-small            GSCon on IEMOCAP, into runs/iemocap-small-gscon-causal
gscon-live fit meld-small model=mlp     a baseline on MELD, into runs/meld-small-mlp-causal
gscon-live fit text-iemocap seeds=5     text encoders, into the cache
gscon-live fit my/recipe.yaml epochs=5  a recipe of your own
"""


def main(words: Sequence[str]) -> None:
    """Runs the command."""
    options = parser(
        "gscon-live fit",
        "Trains a model by a recipe. Corpora are read from the folder GSCON_DATA "
        "(default ../shared/data); features are kept in the user's cache; results go to "
        "runs/<name>/. After an interruption the same command resumes at the last finished epoch. "
        "With ship=true the results are also installed into model/weights.",
        EXAMPLES,
    )
    options.add_argument(
        "recipe", nargs="?", default="live", help=f"{', '.join(loader.names('train'))}, or a file"
    )
    options.add_argument("overrides", nargs="*", metavar="key=value", help="change the recipe")
    arguments = options.parse_args(words)
    name, overrides = arguments.recipe, list(arguments.overrides)
    if "=" in name:
        name, overrides = "live", [name, *overrides]
    settings = recipe(name, overrides)
    training = trainable(settings.kind)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not training.several_processes:
        raise InputError(
            f"kind {settings.kind}: it trains in a single process; start it without torchrun"
        )
    folder = RUNS / str(settings.name)
    check_folder(folder)
    signals.raise_interrupts()
    torch.set_num_threads(1)
    # Of several processes that train together, only the first prints.
    first = all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK"))
    console = Console(stderr=True, quiet=not first)
    with progress(console, lines=True) as display:
        result = training.fit(settings, folder, display)
    console.print(f"done: {result}")
    if settings.ship:
        for path in save_weights.ship(training.weights(result), training.ships_as or settings.name):
            console.print(f"installed: {path}")


if __name__ == "__main__":
    program(main)
