"""`python -m train.fit`: trains a model by a recipe, into `runs/<name>/`."""

import os
import sys
from collections.abc import Sequence

import torch
from rich.console import Console

from gscon_live.common.cli import parser, run, terminate_like_interrupt
from gscon_live.common.errors import InputError
from gscon_live.configs import loader
from gscon_live.train import install
from gscon_live.train.progress import progress
from gscon_live.train.recipes import recipe
from gscon_live.train.runs.run_folder import RUNS
from gscon_live.train.trainables import trainable

EXAMPLES = """
python -m train.fit                          the model that ships (recipe live), into runs/live
python -m train.fit live seeds=3 name=three  three seeds, into runs/three
python -m train.fit face ship=true           the face encoder, installed into model/weights
python -m train.fit voice ship=true          the voice encoder, likewise
python -m train.fit text-spoken ship=true    the text encoder, likewise
python -m train.fit speaker ship=true        what tells speakers apart, likewise
python -m train.fit iemocap                  GSCon on IEMOCAP, into runs/iemocap-gscon-causal
python -m train.fit meld model=mlp seeds=5   a baseline on MELD, five seeds
python -m train.fit text-iemocap seeds=5     text encoders, into the cache
python -m train.fit my/recipe.yaml epochs=5  a recipe of your own
"""


def main(words: Sequence[str]) -> None:
    """The command; see the module."""
    arguments = parser(
        "python -m train.fit",
        "Trains a model by a recipe. Corpora are read from the folder GSCON_DATA "
        "(default ../shared/data); features are kept in the user's cache; results go to "
        "runs/<name>/. Interrupted, the same command goes on with the epoch that it was at. With "
        "ship=true they also become the weights in model/weights.",
        EXAMPLES,
    )
    arguments.add_argument(
        "recipe", nargs="?", default="live", help=f"{', '.join(loader.names('train'))}, or a file"
    )
    arguments.add_argument("overrides", nargs="*", metavar="key=value", help="change the recipe")
    given = arguments.parse_args(words)
    name, overrides = given.recipe, list(given.overrides)
    if "=" in name:
        name, overrides = "live", [name, *overrides]
    chosen = recipe(name, overrides)
    training = trainable(chosen.kind)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not training.several_processes:
        raise InputError(
            f"kind {chosen.kind}: it is trained by one process; start it without torchrun"
        )
    terminate_like_interrupt()
    torch.set_num_threads(1)
    # Of several processes that train together, the first one speaks.
    first = all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK"))
    console = Console(stderr=True, quiet=not first)
    with progress(console, lines=True) as display:
        made = training.fit(chosen, RUNS / str(chosen.name), display)
    console.print(f"done: {made}")
    if chosen.ship:
        for path in install.ship(training.weights(made), training.ships_as or chosen.name):
            console.print(f"installed: {path}")


if __name__ == "__main__":
    sys.exit(run(main))
