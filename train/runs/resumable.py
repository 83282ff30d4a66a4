"""Resumable trainings with progress and logs."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from lightning_fabric import Fabric

from gscon_live.common.errors import InputError
from gscon_live.train.engine.trainer import Plan, State, Task, train
from gscon_live.train.progress import Display
from gscon_live.train.runs.run_folder import TrainingFolder

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

P = TypeVar("P")


def train_in(
    folder: TrainingFolder,
    task: Task[P],
    plan: Plan,
    on: Fabric,
    display: Display,
    title: str,
    *,
    figure: str | None = "validation_weighted_f1",
    log: bool = True,
) -> State:
    """Trains to the last epoch, resuming from the state in the folder if it has one, and loads the
    kept weights into the task's network.

    Args:
        folder: gets the state and history of each epoch; the state remains until
            `TrainingFolder.finish`.
        task: has not been trained yet.
        plan: the same as at the start of the training.
        on: the devices.
        display: where progress is shown.
        title: the name of the training on the display.
        figure: the score of an epoch to show; None shows no score.
        log: also write a TensorBoard log.

    Raises:
        InputError: the state is damaged, or belongs to another network.
        Failure: the losses are not finite.
    """
    state = folder.read() or State(precision=on.strategy.precision.state_dict())
    watch = None
    if on.is_global_zero:
        writer = folder.tensorboard(state.epoch) if log else None
        watch = _TrainingMonitor(title, plan.epochs, folder, display, state.epoch, figure, writer)
    try:
        state = train(task, plan, on, state, watch)
    except InputError as error:
        raise InputError(f"training {folder.folder}: {error}") from error
    finally:
        if watch is not None:
            watch.close()
    task.learner.load_state_dict(state.best)
    return state


class _TrainingMonitor:
    """Saves every epoch and shows progress; see `train.engine.trainer.Watch`."""

    def __init__(
        self,
        title: str,
        epochs: int,
        folder: TrainingFolder,
        display: Display,
        done: int,
        figure: str | None,
        writer: "SummaryWriter | None",
    ) -> None:
        self._title, self._epochs, self._folder, self._display = title, epochs, folder, display
        self._figure, self._writer = figure, writer
        self._line = f"{title}: epoch {done} of {epochs}"
        self._shown = time.monotonic()
        self._steps = (0, 1)

    def step(self, done: int, total: int, means: Callable[[], dict[str, float]]) -> None:
        self._steps = (done, total)
        self._display.report(min(done, total), total, self._line)
        # Reading the losses waits for the device, so they are read at most twice a second.
        if self._display.shows and time.monotonic() - self._shown > 0.5:
            self._shown = time.monotonic()
            self._display.live(f"{self._line.partition(', loss')[0]}, now {_shortened(means())}")

    def epoch(self, state: State) -> None:
        figures = state.history[-1]
        if self._writer is not None:
            for name, value in figures.items():
                self._writer.add_scalar(name.replace("_", "/", 1), value, state.epoch)
            self._writer.flush()
        self._folder.write(state)
        parts = [f"{self._title}: epoch {state.epoch} of {self._epochs}"]
        if self._figure is not None:
            validation = [epoch[self._figure] for epoch in state.history]
            parts.append(
                f"validation {validation[-1]:.4f} (best {validation[state.best_epoch - 1]:.4f}, "
                f"epoch {state.best_epoch})"
            )
        self._line = ", ".join([*parts, _shortened(figures)])
        self._display.report(*self._steps, self._line)

    def close(self) -> None:
        """Closes the log."""
        if self._writer is not None:
            self._writer.close()


def _shortened(figures: dict[str, float]) -> str:
    """The main losses and cosines as a short text."""
    shown = ("loss", "loss_final", "loss_ssc", "loss_gdc")
    return ", ".join(
        f"{name.removeprefix('loss_').replace('_', ' ')} {value:.3f}"
        for name, value in figures.items()
        if name in shown or name.startswith("cosine_")
    )
