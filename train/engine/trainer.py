"""The training loop: on the CPU, on one GPU or several; interrupted trainings resume.

A step of the optimiser takes one batch in `accumulate` parts on each device. The parts' losses add
up to the batch's, so their number does not change the step. The random numbers of an epoch depend
only on the seed and the epoch's number, so that the state at an epoch's end is enough to resume. A
resumed training gives the same weights: on the CPU bit for bit, on a GPU as far as its kernels are
deterministic.
"""

import hashlib
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Literal, Protocol, TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from gscon_live.common.errors import Failure, InputError
from gscon_live.train.engine.ema import WeightAverage
from gscon_live.train.engine.gradient_scaling import Scaled, Scaling
from gscon_live.train.engine.losses import Terms
from gscon_live.train.engine.running_means import RunningMeans
from gscon_live.train.engine.schedule import Anneal, one_cycle

Keep = Literal["best", "last"]

#: Interval in steps at which the cosines between the modalities' gradients are measured where no
#: loss needs them anyway.
_COSINE_EVERY = 8

#: Key of the score that selects the epoch; higher is better. With `keep=last`: the epoch's number.
SELECTION_SCORE = "selection"


@dataclass(frozen=True)
class Plan:
    """The settings of a training."""

    #: Seed of all random numbers.
    seed: int
    #: Passes over the training data.
    epochs: int
    #: Peak learning rate; `Task.groups` may set others.
    learning_rate: float
    #: Weight decay; `Task.groups` may set others.
    weight_decay: float
    #: Share of all steps with a rising learning rate, see `train.engine.schedule`.
    warm_up: float = 0.15
    #: Shape of the schedule.
    anneal: Anneal = "cosine"
    #: `sgd` uses Nesterov's momentum.
    optimiser: Literal["adamw", "sgd"] = "adamw"
    #: Momentum of `sgd`.
    momentum: float = 0.9
    #: Early stopping: epochs without a better score; None: all epochs are run.
    patience: int | None = None
    #: Gradient accumulation: parts of a step on a device.
    accumulate: int = 1
    #: Gradients are clipped to this norm.
    clip: float = 1.0
    #: Decay per step of the moving average of the weights, see `train.engine.ema`; 0: none.
    average: float = 0.0
    #: The epoch whose weights are kept: the best by score, or the last.
    keep: Keep = "best"
    #: Whether gradients or updates are scaled, see `train.engine.gradient_scaling`.
    scaled: Scaled = "gradient"


@dataclass
class State:
    """A training at the end of an epoch, from which it can resume.

    `network`, `average` and `best` are weights: the current ones, their moving average (empty where
    there is none), and the best on validation. `optimiser` has its tensors by parameter and name,
    `history` the figures of every epoch, `precision` the state of mixed precision.
    """

    epoch: int = 0
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    network: dict[str, Tensor] = field(default_factory=dict)
    average: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    optimiser: dict[str, Tensor] = field(default_factory=dict)
    precision: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters with their peak learning rate and weight decay."""

    parameters: Sequence[nn.Parameter]
    learning_rate: float
    weight_decay: float


P = TypeVar("P")


class Task(ABC, Generic[P]):
    """A network, its data and its objective. `P` is a part of a step.

    Random numbers come from the given generators, or from torch's own, which the trainer seeds at
    the beginning of each epoch. A task's state is not saved: a resumed training begins with a new
    task.
    """

    #: All trained modules: the network, and heads beside it.
    learner: nn.Module
    #: Optimiser steps in an epoch, unless `begin` returns another number.
    steps: int

    def begin(self, epoch: int, random: torch.Generator) -> int:
        """Prepares an epoch; returns the number of its steps, at least 1.

        Args:
            epoch: the number of the epoch, from 0.
            random: the generator of the epoch's batches; `epoch` gets the same one.
        """
        return self.steps

    @abstractmethod
    def epoch(self, random: torch.Generator, parts: int) -> Iterator[Sequence[P]]:
        """The steps of an epoch, each in at most `parts` parts. Every device iterates over the same
        steps and takes its share of the parts."""

    @abstractmethod
    def loss(self, part: P, random: torch.Generator, measure: bool) -> Terms:
        """The objective of a part, as its share of the step, with the cosines if `measure`."""

    def scaling(self, epoch: int) -> Scaling:
        """The scaling of a step's gradients, called after the backward passes of all its parts;
        epochs count from 0. By default nothing is scaled."""
        return Scaling([])

    @abstractmethod
    def scores(self) -> dict[str, float]:
        """Scores of the current network, among them `SELECTION_SCORE`."""

    def groups(self, plan: Plan) -> list[ParameterGroup]:
        """The parameters with their learning rates and weight decay; by default the plan's."""
        parameters = [*self.learner.parameters()]
        return [ParameterGroup(parameters, plan.learning_rate, plan.weight_decay)]


class Watch(Protocol):
    """An observer of a training."""

    def step(self, done: int, total: int, means: Callable[[], dict[str, float]]) -> None:
        """Called after a step; `means` returns the epoch's losses so far."""
        ...

    def epoch(self, state: State) -> None:
        """Called after an epoch; saves the state."""
        ...


def train(
    task: Task[P],
    plan: Plan,
    fabric: Fabric,
    state: State | None = None,
    watch: Watch | None = None,
) -> State:
    """Trains to the end, from the start or from a state; returns the last state.

    Raises:
        InputError: the state is that of another network.
        Failure: the losses are not finite.
    """
    network = fabric.to_device(task.learner)
    groups = task.groups(plan)
    plain = _optimiser(groups, plan)
    optimiser = fabric.setup_optimizers(plain)
    state = state or State()
    if state.precision:
        fabric.strategy.precision.load_state_dict(state.precision)
    if state.epoch:
        _restore(state, network, plain)
    average = WeightAverage(network, plan.average, state.average)
    peaks = [group.learning_rate for group in groups]
    while state.epoch < plan.epochs and not exhausted(state, plan):
        began = time.monotonic()
        means = _epoch(task, plan, fabric, state.epoch, optimiser, peaks, average, watch)
        seconds = time.monotonic() - began
        weights = copied(network)
        with average.in_place():
            scores = task.scores()
            if plan.keep == "last":
                scores[SELECTION_SCORE] = float(state.epoch + 1)
            figures = fabric.broadcast({**means, **scores, "seconds": seconds})
            scored = copied(network) if plan.average else weights
        state = _next(state, figures, weights, scored, plain, fabric)
        if watch is not None:
            watch.epoch(state)
    return state


def _optimiser(groups: Sequence[ParameterGroup], plan: Plan) -> torch.optim.Optimizer:
    settings = [
        {
            "params": [*group.parameters],
            "lr": group.learning_rate,
            "weight_decay": group.weight_decay,
        }
        for group in groups
    ]
    if plan.optimiser == "sgd":
        return torch.optim.SGD(settings, momentum=plan.momentum, nesterov=True)
    # The fused step is three times faster on the CPU; on a GPU, 16-mixed cannot clip with it.
    on_cpu = all(parameter.is_cpu for group in groups for parameter in group.parameters)
    return torch.optim.AdamW(settings, fused=on_cpu or None)


def exhausted(state: State, plan: Plan) -> bool:
    """Whether early stopping ends the training."""
    return plan.patience is not None and state.epoch - state.best_epoch >= plan.patience


def _epoch(
    task: Task[P],
    plan: Plan,
    fabric: Fabric,
    number: int,
    optimiser: Any,
    peaks: Sequence[float],
    average: WeightAverage,
    watch: Watch | None,
) -> dict[str, float]:
    """Runs an epoch; returns the mean of every term over its steps."""
    # Batches are drawn with random numbers that all devices share, dropout and SSC with others.
    order = torch.Generator().manual_seed(_hashed_seed(plan.seed, number, 0))
    torch.manual_seed(_hashed_seed(plan.seed, number, 1 + fabric.global_rank))
    generator = torch.Generator().manual_seed(
        _hashed_seed(plan.seed, number, 1 + fabric.global_rank)
    )
    network, means = task.learner, RunningMeans()
    network.train()
    clip = partial(
        fabric.clip_gradients, network, optimiser, max_norm=plan.clip, error_if_nonfinite=False
    )
    # Each epoch has the same share of the schedule, however many steps it has.
    count = task.begin(number, order)
    total = plan.epochs * count
    for place, parts in enumerate(task.epoch(order, plan.accumulate * fabric.world_size)):
        step = number * count + place
        rate = one_cycle(step / total, plan.warm_up, plan.anneal)
        for group, peak in zip(optimiser.param_groups, peaks, strict=True):
            group["lr"] = peak * rate
        measure = place % _COSINE_EVERY == 0
        for part in parts[fabric.global_rank :: fabric.world_size]:
            terms = task.loss(part, generator, measure)
            fabric.backward(terms.total)
            means.add(terms)
        _sum_gradients(fabric, network)
        scaling = task.scaling(number)
        scaling.step(optimiser, plan.scaled, clip)
        means.add_figures(scaling.figures)
        optimiser.zero_grad(set_to_none=True)
        average.update(step + 1)
        means.count_step()
        if watch is not None:
            watch.step(step + 1, total, means.now)
    figures = means.across_devices(fabric)
    if not math.isfinite(figures["loss"]):
        raise Failure(
            f"epoch {number + 1}: the loss is {figures['loss']}; give a smaller learning_rate"
        )
    return figures


def _sum_gradients(fabric: Fabric, network: nn.Module) -> None:
    """Sums the gradients over all devices."""
    if fabric.world_size == 1:
        return
    for parameter in network.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        torch.distributed.all_reduce(parameter.grad)


def _next(
    state: State,
    figures: dict[str, float],
    weights: dict[str, Tensor],
    scored: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    fabric: Fabric,
) -> State:
    """The state after another epoch, with the figures of the `scored` weights."""
    epoch = state.epoch + 1
    best_score = max((past[SELECTION_SCORE] for past in state.history), default=-math.inf)
    better = figures[SELECTION_SCORE] > best_score
    return State(
        epoch=epoch,
        best_epoch=epoch if better else state.best_epoch,
        history=[*state.history, {"epoch": epoch, **figures}],
        network=weights,
        average=scored if scored is not weights else {},
        best=scored if better else state.best,
        optimiser={
            f"{place}.{name}": value.detach().cpu().clone()
            for place, values in optimiser.state_dict()["state"].items()
            for name, value in values.items()
            if value is not None
        },
        precision=fabric.strategy.precision.state_dict(),
    )


def copied(network: nn.Module) -> dict[str, Tensor]:
    """A copy of a network's state, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


def _restore(state: State, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    values: dict[int, dict[str, Tensor]] = {}
    for key, value in state.optimiser.items():
        number, _, name = key.partition(".")
        values.setdefault(int(number), {})[name] = value
    parameters = [each for group in optimiser.param_groups for each in group["params"]]
    try:
        network.load_state_dict(state.network)
        for place, parameter in enumerate(parameters):
            for value in values.get(place, {}).values():
                if value.dim() and value.shape != parameter.shape:
                    raise ValueError("the optimiser's parameters are in another order")
        optimiser.load_state_dict({**optimiser.state_dict(), "state": values})
    except (RuntimeError, ValueError) as error:
        raise InputError(
            "the state of the interrupted training does not fit the network, which has changed "
            "since; delete the folder of the training to begin anew"
        ) from error


def _hashed_seed(*numbers: int) -> int:
    """A seed from several numbers, by hashing."""
    text = " ".join(map(str, numbers))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
