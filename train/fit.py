"""`gscon-live fit`: trains a model by a recipe, into `runs/<name>/`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from gscon_live.common import extras

extras.require("train", __name__)

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from gscon_live.common.cli import parser, run, terminate_like_interrupt
from gscon_live.configs import loader
from gscon_live.train import install
from gscon_live.train.data.feature_banks import Report
from gscon_live.train.encoders import face, speaker
from gscon_live.train.encoders.face import FaceRecipe
from gscon_live.train.encoders.speaker import SpeakerRecipe
from gscon_live.train.encoders.text import text_cache
from gscon_live.train.encoders.text.training import TextRecipe
from gscon_live.train.encoders.voice import cross_validation
from gscon_live.train.encoders.voice.training import VoiceRecipe
from gscon_live.train.networks import composed_task
from gscon_live.train.networks import seeds as trainings
from gscon_live.train.networks.composed_task import FusionRecipe
from gscon_live.train.networks.recipe import ConversationRecipe
from gscon_live.train.recipes import recipe, seeds
from gscon_live.train.runs.run_folder import Run

EXAMPLES = """
gscon-live fit                          the model that ships (recipe live), into runs/live
gscon-live fit live seeds=3 name=three  three seeds, into runs/three
gscon-live fit face ship=true           the face encoder, installed into model/weights
gscon-live fit voice ship=true          the voice encoder, likewise
gscon-live fit text-spoken ship=true    the text encoder, likewise
gscon-live fit speaker ship=true        what tells speakers apart, likewise
gscon-live fit iemocap                  GSCon on IEMOCAP, into runs/iemocap-gscon-causal
gscon-live fit meld model=mlp seeds=5   a baseline on MELD, five seeds
gscon-live fit text-iemocap seeds=5     text encoders, into the cache
gscon-live fit my/recipe.yaml epochs=5  a recipe of your own
"""

#: The names that the encoders of the model that ships have among the weights.
_SHIPPED: dict[type, str] = {
    FaceRecipe: "face",
    SpeakerRecipe: "speaker",
    TextRecipe: "text",
    VoiceRecipe: "voice",
}


class _Display:
    """A bar where there is a terminal; elsewhere one line for each thing that is new."""

    def __init__(self, bar: Progress, console: Console) -> None:
        self.shows = console.is_terminal
        self._bar, self._console, self._said = bar, console, ""
        self._task = bar.add_task("reading", total=None)

    def report(self, done: int, total: int, line: str) -> None:
        new = line != self._said
        self._bar.update(self._task, completed=done, total=total)
        if new:
            self._said = line
            self.live(line or "training")
            if not self.shows:
                self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def live(self, line: str) -> None:
        self._bar.update(self._task, description=line)


def main(words: Sequence[str]) -> None:
    """The command; see the module."""
    arguments = parser(
        "gscon-live fit",
        "Trains a model by a recipe. Corpora are read from the folder GSCON_DATA "
        "(default ../shared/data); features are kept in the user's cache; results go to "
        "runs/<name>/. With ship=true they also become the weights in model/weights.",
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
    terminate_like_interrupt()
    torch.set_num_threads(1)
    folder = Path("runs") / str(chosen.name)
    # Of several processes that train together, the first one speaks.
    first = all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK"))
    console = Console(stderr=True, quiet=not first)
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeRemainingColumn(),
        console=console,
    ) as bar:
        display = _Display(bar, console)
        if isinstance(chosen, ConversationRecipe):
            made = trainings.fit(chosen, display)
        elif isinstance(chosen, TextRecipe):
            made = [text_cache.trained(chosen, seed, display.report) for seed in seeds(chosen)][-1]
            if chosen.ship:
                made = install.text(chosen, chosen.first_seed, display.report, folder)
        elif isinstance(chosen, FaceRecipe):
            made = install.face(face.fit(chosen, display.report), chosen, folder)
        elif isinstance(chosen, SpeakerRecipe):
            made = install.speaker(speaker.fit(chosen, display.report), chosen, folder)
        elif isinstance(chosen, VoiceRecipe):
            made = install.voice(cross_validation.fit(chosen, display.report), chosen, folder)
        else:
            made = _fusion(chosen, folder, display.report)
    console.print(f"done: {made}")
    if chosen.ship:
        weights = Run(made).best() if isinstance(chosen, ConversationRecipe) else made
        for path in install.ship(weights, _SHIPPED.get(type(chosen), chosen.name)):
            console.print(f"installed: {path}")


def _fusion(chosen: FusionRecipe, folder: Path, report: Report) -> Path:
    given = composed_task.material(chosen, report)
    trained = [
        composed_task.fit(chosen, given, seed, report) for seed in range(1, chosen.seeds + 1)
    ]
    return install.fusion(trained, chosen, given, folder)


if __name__ == "__main__":
    sys.exit(run(main))
