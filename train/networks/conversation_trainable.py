"""A network on a corpus of conversations as a trainable: one training for each seed."""

from contextlib import ExitStack
from pathlib import Path

import torch

from gscon_live.train.engine.devices import launch_fabric
from gscon_live.train.networks import cards
from gscon_live.train.networks.material import material
from gscon_live.train.networks.recipe import (
    NO_EFFECT_ON_A_SEED,
    ConversationRecipe,
    plan,
    resolved,
)
from gscon_live.train.networks.soft_labels import with_soft_labels
from gscon_live.train.networks.task import ConversationTask
from gscon_live.train.progress import Display
from gscon_live.train.recipes import seeds
from gscon_live.train.runs.resumable import train_in
from gscon_live.train.runs.run_folder import RunFolder
from gscon_live.train.trainables import Trainable


class ConversationTrainable(Trainable[ConversationRecipe]):
    """A network on a corpus of conversations, with several seeds, on one device or several."""

    recipe = ConversationRecipe
    several_processes = True

    def run_name(self, recipe: ConversationRecipe, source: str) -> str:
        return f"{source}-{recipe.model}-{recipe.context}"

    def resolved(self, recipe: ConversationRecipe) -> ConversationRecipe:
        return resolved(recipe)

    def fit(self, recipe: ConversationRecipe, folder: Path, display: Display) -> Path:
        """Trains all unfinished seeds; returns the run's folder. Raises `InputError` also where
        another process trains this run."""
        torch.set_num_threads(recipe.threads)
        run = RunFolder(folder)
        run.refuse_other(recipe, NO_EFFECT_ON_A_SEED)
        fabric = launch_fabric(recipe.accelerator, recipe.devices, recipe.precision)
        held = False
        with ExitStack() as stack:
            for seed in seeds(recipe):
                training = run.seed(seed)
                if training.finished:
                    display.report(1, 1, f"seed {seed}: finished before")
                    continue
                with fabric.rank_zero_first():
                    corpus = material(recipe, seed, display.report)
                if recipe.distillation:
                    corpus = with_soft_labels(recipe, corpus, seed, fabric, display.report)
                task = ConversationTask(recipe, corpus, seed, fabric)
                # After the checks of the task, so that a wrong recipe leaves no run behind.
                if fabric.is_global_zero and not held:
                    stack.enter_context(run.begun(recipe, NO_EFFECT_ON_A_SEED))
                    held = True
                state = train_in(
                    training, task, plan(recipe, seed), fabric, display, f"seed {seed}"
                )
                if fabric.is_global_zero:
                    cards.save(task.network, state, recipe, corpus, seed, training.model)
                    training.finish()
                fabric.barrier()
        if fabric.is_global_zero:
            run.begin(recipe)
        return run.folder

    def weights(self, result: Path) -> Path:
        """The weights of the seed that is best on validation."""
        return RunFolder(result).best()
