"""The training loop: on the CPU, on a GPU, or on several; interrupted, it goes on where it was.

A step of the optimiser takes one batch in `accumulate` parts on each device, and is the same step
whatever their number: the parts' losses add up to the batch's. The random numbers of an epoch
follow from the seed and the epoch's number alone, so that what an interrupted training must keep is
the state at an epoch's end and nothing else; continued, it gives the same weights: on the CPU bit
for bit, on a GPU as nearly as its kernels repeat themselves.
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

#: Every so many steps the cosines between the modalities' gradients are measured where no loss
#: needs them anyway.
_MEASURE = 8

#: The figure of an epoch that selects: higher is better. Where the last epoch is kept, its number.
SELECTS = "selection"


@dataclass(frozen=True)
class Plan:
    """How long and how fast."""

    #: Of all random numbers.
    seed: int
    #: How often all training data are gone through.
    epochs: int
    #: The highest rate of those parameters to which the task gives none of their own.
    learning_rate: float
    #: Decay of the weights, likewise.
    weight_decay: float
    #: The share of all steps in which the rate rises, see `train.engine.schedule`.
    warm_up: float = 0.15
    #: How the rate rises and falls.
    anneal: Anneal = "cosine"
    #: `sgd` has Nesterov's momentum.
    optimiser: Literal["adamw", "sgd"] = "adamw"
    #: That of `sgd`.
    momentum: float = 0.9
    #: So many epochs without a better score end the training; None: all epochs are run.
    patience: int | None = None
    #: Parts in which a device takes a step.
    accumulate: int = 1
    #: Gradients are cut to this norm.
    clip: float = 1.0
    #: Decay of the weights' moving average in a step, see `train.engine.ema`; 0: there is none.
    average: float = 0.0
    #: Which epoch's weights are kept: those of the best score, or the last.
    keep: Keep = "best"
    #: What a step's factors scale, see `train.engine.gradient_scaling`.
    scaled: Scaled = "gradient"


@dataclass
class State:
    """A training at the end of an epoch: what it is continued from.

    `network`, `average` and `best` are states of what is trained: its weights, their moving average
    (empty where there is none), and what did best on validation; `optimiser` has its tensors by
    parameter and name; `history` has one object for each epoch; `precision` is what mixed precision
    remembers.
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
    """Parameters with their highest learning rate and the decay of their weights."""

    parameters: Sequence[nn.Parameter]
    learning_rate: float
    weight_decay: float


P = TypeVar("P")


class Task(ABC, Generic[P]):
    """What is trained on what. `P` is one part of a step.

    Random numbers come from the generators that are handed in, or from torch's own, whose seed the
    trainer sets at the beginning of each epoch. What a task remembers from one epoch to the next is
    not kept for a training that is continued.
    """

    #: All that is trained: the network, and what learns beside it.
    learner: nn.Module
    #: Optimiser steps in an epoch, where `begin` does not say otherwise.
    steps: int

    def begin(self, epoch: int, random: torch.Generator) -> int:
        """Prepares an epoch; gives the number of its steps, at least 1.

        Args:
            epoch: its number, from 0.
            random: the one that `epoch` goes on to draw from.
        """
        return self.steps

    @abstractmethod
    def epoch(self, random: torch.Generator, parts: int) -> Iterator[Sequence[P]]:
        """The steps of an epoch, each in at most so many parts. On several devices, each goes
        through the same ones and takes its share of the parts."""

    @abstractmethod
    def loss(self, part: P, random: torch.Generator, measure: bool) -> Terms:
        """The objective of a part, as its share of the step; `measure` asks for the cosines."""

    def scaling(self, epoch: int) -> Scaling:
        """What the gradients of a step are scaled by, asked for once all of its parts went back;
        epochs count from 0. As it is here, nothing is scaled."""
        return Scaling([])

    @abstractmethod
    def scores(self) -> dict[str, float]:
        """Scores of the network as it is, among them `SELECTS`."""

    def groups(self, plan: Plan) -> list[ParameterGroup]:
        """The parameters with what rates and decay they have. As it is here, all have the
        plan's."""
        parameters = [*self.learner.parameters()]
        return [ParameterGroup(parameters, plan.learning_rate, plan.weight_decay)]


class Watch(Protocol):
    """Whoever follows a training."""

    def step(self, done: int, total: int, means: Callable[[], dict[str, float]]) -> None:
        """A step was done; `means` gives the epoch's losses so far."""
        ...

    def epoch(self, state: State) -> None:
        """An epoch was finished, and is not lost once this returns."""
        ...


def train(
    task: Task[P],
    plan: Plan,
    on: Fabric,
    state: State | None = None,
    watch: Watch | None = None,
) -> State:
    """Trains to the end, from the start or from a state; gives the last state.

    Raises:
        InputError: the state is that of another network.
        Failure: the losses are not finite.
    """
    network = on.to_device(task.learner)
    groups = task.groups(plan)
    plain = _optimiser(groups, plan)
    optimiser = on.setup_optimizers(plain)
    state = state or State()
    if state.precision:
        on.strategy.precision.load_state_dict(state.precision)
    if state.epoch:
        _restore(state, network, plain)
    average = WeightAverage(network, plan.average, state.average)
    peaks = [group.learning_rate for group in groups]
    while state.epoch < plan.epochs and not exhausted(state, plan):
        began = time.monotonic()
        means = _epoch(task, plan, on, state.epoch, optimiser, peaks, average, watch)
        seconds = time.monotonic() - began
        weights = copied(network)
        with average.in_place():
            scores = task.scores()
            if plan.keep == "last":
                scores[SELECTS] = float(state.epoch + 1)
            figures = on.broadcast({**means, **scores, "seconds": seconds})
            scored = copied(network) if plan.average else weights
        state = _next(state, figures, weights, scored, plain, on)
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
    return torch.optim.AdamW(settings)


def exhausted(state: State, plan: Plan) -> bool:
    """Whether so many epochs went by without a better score that no more are run."""
    return plan.patience is not None and state.epoch - state.best_epoch >= plan.patience


def _epoch(
    task: Task[P],
    plan: Plan,
    on: Fabric,
    number: int,
    optimiser: Any,
    peaks: Sequence[float],
    average: WeightAverage,
    watch: Watch | None,
) -> dict[str, float]:
    """One epoch; gives the mean of every term over its steps."""
    # The numbers that all devices share draw the batches; those of its own are for dropout and SSC.
    order = torch.Generator().manual_seed(_mixed(plan.seed, number, 0))
    torch.manual_seed(_mixed(plan.seed, number, 1 + on.global_rank))
    own = torch.Generator().manual_seed(_mixed(plan.seed, number, 1 + on.global_rank))
    network, means = task.learner, RunningMeans()
    network.train()
    clip = partial(
        on.clip_gradients, network, optimiser, max_norm=plan.clip, error_if_nonfinite=False
    )
    # Each epoch has the same share of the schedule, however many steps it has.
    count = task.begin(number, order)
    total = plan.epochs * count
    for place, parts in enumerate(task.epoch(order, plan.accumulate * on.world_size)):
        step = number * count + place
        rate = one_cycle(step / total, plan.warm_up, plan.anneal)
        for group, peak in zip(optimiser.param_groups, peaks, strict=True):
            group["lr"] = peak * rate
        measure = place % _MEASURE == 0
        for part in parts[on.global_rank :: on.world_size]:
            terms = task.loss(part, own, measure)
            on.backward(terms.total)
            means.add(terms)
        _add_up(on, network)
        scaling = task.scaling(number)
        scaling.step(optimiser, plan.scaled, clip)
        means.measured(scaling.told)
        optimiser.zero_grad(set_to_none=True)
        average.update(step + 1)
        means.stepped()
        if watch is not None:
            watch.step(step + 1, total, means.now)
    figures = means.over(on)
    if not math.isfinite(figures["loss"]):
        raise Failure(
            f"epoch {number + 1}: the loss is {figures['loss']}; give a smaller learning_rate"
        )
    return figures


def _add_up(on: Fabric, network: nn.Module) -> None:
    """Gives every device the sum of all devices' gradients."""
    if on.world_size == 1:
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
    on: Fabric,
) -> State:
    """The state after another epoch, of which these are the figures: of the `scored` weights."""
    epoch = state.epoch + 1
    reached = max((past[SELECTS] for past in state.history), default=-math.inf)
    better = figures[SELECTS] > reached
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
        precision=on.strategy.precision.state_dict(),
    )


def copied(network: nn.Module) -> dict[str, Tensor]:
    """A network's state as it is now, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


def _restore(state: State, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    values: dict[int, dict[str, Tensor]] = {}
    for key, value in state.optimiser.items():
        place, _, name = key.partition(".")
        values.setdefault(int(place), {})[name] = value
    try:
        network.load_state_dict(state.network)
        optimiser.load_state_dict({**optimiser.state_dict(), "state": values})
    except (RuntimeError, ValueError) as error:
        raise InputError(
            "the state of the interrupted training does not fit the network, which has changed "
            "since; delete the folder of the training to begin anew"
        ) from error


def _mixed(*numbers: int) -> int:
    """One seed from several numbers, unlike those of other numbers."""
    text = " ".join(map(str, numbers))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
