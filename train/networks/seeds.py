"""The trainings of a run, one for each seed, begun or continued."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from lightning_fabric import Fabric

from gscon_live.train.engine.trainer import Plan, State, fabric, train
from gscon_live.train.networks import cards
from gscon_live.train.networks.recipe import (
    CHANGES_NOTHING,
    ConversationRecipe,
    material,
    plan,
    resolved,
)
from gscon_live.train.networks.soft_labels import softened
from gscon_live.train.networks.task import ConversationTask
from gscon_live.train.recipes import seeds
from gscon_live.train.runs.run_folder import RUNS, Run, SeedFolder

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Display(Protocol):
    """Where progress is shown."""

    def report(self, done: int, total: int, line: str) -> None:
        """So much is done; a new line is also said where there is no bar."""
        ...

    def live(self, line: str) -> None:
        """What a bar shows for a moment."""
        ...

    #: Whether there is a bar.
    shows: bool


def fit(given: ConversationRecipe, display: Display) -> Path:
    """Trains all seeds of a recipe that are not finished; gives the run's folder.

    Interrupted, the same call goes on from the last epoch that was finished.

    Raises:
        InputError: the recipe, its corpus, or what lies in the run's folder is wrong, or another
            process trains this run.
        Failure: a training did not succeed.
    """
    recipe = resolved(given)
    torch.set_num_threads(recipe.threads)
    run = Run(RUNS / str(recipe.name))
    run.refuse_other(recipe, CHANGES_NOTHING)
    on = fabric(recipe.accelerator, recipe.devices, recipe.precision)
    with ExitStack() as stack:
        held = False
        for seed in seeds(recipe):
            folder = run.seed(seed)
            if folder.finished:
                display.report(1, 1, f"seed {seed}: finished before")
                continue
            with on.rank_zero_first():
                corpus = material(recipe, seed, display.report)
            if recipe.distillation:
                corpus = softened(recipe, corpus, seed, on, display.report)
            course = ConversationTask(recipe, corpus, seed, on)
            # Not before: what cannot be trained leaves no run behind.
            if on.is_global_zero:
                run.begin(recipe)
                if not held:
                    stack.enter_context(run.alone())
                held = True
            state = _trained(course, plan(recipe, seed), folder, on, display)
            if on.is_global_zero:
                cards.save(course.network, state, recipe, corpus, seed, folder.model)
                folder.finish()
            on.barrier()
    if on.is_global_zero:
        run.begin(recipe)
    return run.folder


def _trained(
    course: ConversationTask, how: Plan, folder: SeedFolder, on: Fabric, display: Display
) -> State:
    """Trains to the end, from where the folder's state is, and leaves the best weights in place."""
    state = folder.read() or State(precision=on.strategy.precision.state_dict())
    watch = None
    if on.is_global_zero:
        watch = _Follower(f"seed {how.seed}", how.epochs, folder, display, state.epoch)
    try:
        state = train(course, how, on, state, watch)
    finally:
        if watch is not None:
            watch.close()
    course.learner.load_state_dict(state.best)
    return state


class _Follower:
    """Writes down every epoch, and shows how the training goes; see
    `train.engine.trainer.Watch`."""

    def __init__(
        self, title: str, epochs: int, folder: SeedFolder, display: Display, done: int
    ) -> None:
        self._title, self._epochs, self._folder, self._display = title, epochs, folder, display
        self._board: SummaryWriter = folder.board(done)
        self._line = f"{title}: epoch {done} of {epochs}"
        self._shown = time.monotonic()
        self._steps = (0, 1)

    def step(self, done: int, total: int, means: Callable[[], dict[str, float]]) -> None:
        self._steps = (done, total)
        self._display.report(min(done, total), total, self._line)
        # Looking at the losses waits for the device, so it is done twice a second and no oftener.
        if self._display.shows and time.monotonic() - self._shown > 0.5:
            self._shown = time.monotonic()
            self._display.live(f"{self._line.partition(', loss')[0]}, now {_told(means())}")

    def epoch(self, state: State) -> None:
        figures = state.history[-1]
        for name, value in figures.items():
            self._board.add_scalar(name.replace("_", "/", 1), value, state.epoch)
        self._board.flush()
        self._folder.write(state)
        reached = [one["validation_weighted_f1"] for one in state.history]
        self._line = (
            f"{self._title}: epoch {state.epoch} of {self._epochs}, "
            f"validation {reached[-1]:.4f} (best {reached[state.best_epoch - 1]:.4f}, "
            f"epoch {state.best_epoch}), "
            f"{_told(figures)}"
        )
        self._display.report(*self._steps, self._line)

    def close(self) -> None:
        """Closes the log."""
        self._board.close()


def _told(figures: dict[str, float]) -> str:
    """The losses and cosines in short."""
    shown = ("loss", "loss_final", "loss_ssc", "loss_gdc")
    return ", ".join(
        f"{name.removeprefix('loss_').replace('_', ' ')} {value:.3f}"
        for name, value in figures.items()
        if name in shown or name.startswith("cosine_")
    )
