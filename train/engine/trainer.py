"""The training loop: on the CPU, on a GPU, or on several; interrupted, it goes on where it was.

A step of the optimiser takes one batch in `accumulate` parts on each device, and is the same step
whatever their number: the parts' losses add up to the batch's. The random numbers of an epoch
follow from the seed and the epoch's number alone, so that what an interrupted training must keep is
the state at an epoch's end and nothing else; continued, it gives the same weights: on the CPU bit
for bit, on a GPU as nearly as its kernels repeat themselves.
"""

import hashlib
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Protocol, TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from gscon_live.common.errors import Failure, InputError
from gscon_live.train.engine.ema import Average
from gscon_live.train.engine.gradient_scaling import Scaled, Scaling
from gscon_live.train.engine.losses import Terms
from gscon_live.train.engine.running_means import Means

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]

Keep = Literal["best", "last"]

#: Every so many steps the cosines between the modalities' gradients are measured where no loss
#: needs them anyway.
_MEASURE = 8

#: The figure of an epoch that selects: higher is better. Where the last epoch is kept, its number.
SELECTS = "selection"


@dataclass(frozen=True)
class Plan:
    """How long and how fast. `patience` epochs without a better score end the training (None: all
    `epochs` are run); `warm_up` is the share of all steps in which the rate rises; `keep` says
    which epoch's weights are kept, those of the best score or the last."""

    seed: int
    epochs: int
    learning_rate: float
    weight_decay: float
    warm_up: float = 0.15
    patience: int | None = None
    accumulate: int = 1
    clip: float = 1.0
    average: float = 0.0
    keep: Keep = "best"
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


P = TypeVar("P")


class Course(Protocol[P]):
    """What is trained on what. `P` is one part of a step."""

    #: Optimiser steps in an epoch.
    steps: int

    @property
    def learner(self) -> nn.Module:
        """All that is trained: the network, and what learns beside it."""
        ...

    def epoch(self, random: torch.Generator, parts: int) -> Iterator[Sequence[P]]:
        """The steps of an epoch, each in at most so many parts. On several devices, each goes
        through the same ones and takes its share of the parts."""
        ...

    def loss(self, part: P, random: torch.Generator, measure: bool) -> Terms:
        """The objective of a part, as its share of the step; `measure` asks for the cosines."""
        ...

    def scaling(self, epoch: int) -> Scaling:
        """What the gradients of a step are scaled by, asked for once all of its parts went back;
        epochs count from 0."""
        ...

    def scores(self) -> dict[str, float]:
        """Scores of the network as it is, among them `validation_weighted_f1` and `SELECTS`."""
        ...


class Watch(Protocol):
    """Whoever follows a training."""

    def step(self, done: int, total: int, means: Callable[[], dict[str, float]]) -> None:
        """A step was done; `means` gives the epoch's losses so far."""
        ...

    def epoch(self, state: State) -> None:
        """An epoch was finished, and is not lost once this returns."""
        ...


def fabric(accelerator: str = "auto", devices: int = 1, precision: Precision = "32-true") -> Fabric:
    """The devices to train on. Started by `torchrun`, its processes are taken, one device each.

    Raises:
        InputError: there are no such devices, or they cannot calculate in this precision.
    """
    nodes = 1
    if "TORCHELASTIC_RUN_ID" in os.environ:
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    cuda = torch.cuda.is_available() and accelerator != "cpu"
    if accelerator == "cuda" and not cuda:
        raise InputError("accelerator 'cuda': no GPU was found; leave it at auto, or take cpu")
    if cuda and devices > torch.cuda.device_count():
        raise InputError(f"devices {devices}: there are {torch.cuda.device_count()}")
    if precision == "16-mixed" and not cuda:
        raise InputError("precision '16-mixed' needs a GPU; take bf16-mixed or 32-true")
    made = Fabric(
        accelerator="cuda" if cuda else "cpu",
        devices=devices,
        num_nodes=nodes,
        precision=precision,
    )
    made.launch()
    return made


def train(
    course: Course[P],
    plan: Plan,
    on: Fabric,
    state: State | None = None,
    watch: Watch | None = None,
) -> State:
    """Trains to the end, from the start or from a state; gives the last state.

    Raises:
        InputError: the state is that of another network.
        Failure: the losses are no longer finite.
    """
    network = on.to_device(course.learner)
    plain = torch.optim.AdamW(
        network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
    )
    optimiser = on.setup_optimizers(plain)
    state = state or State()
    if state.precision:
        on.strategy.precision.load_state_dict(state.precision)
    if state.epoch:
        _restore(state, network, plain)
    average = Average(network, plan.average, state.average)
    while state.epoch < plan.epochs and not exhausted(state, plan):
        began = time.monotonic()
        means = _epoch(course, plan, on, state.epoch, optimiser, average, watch)
        seconds = time.monotonic() - began
        weights = copied(network)
        with average.in_place():
            scores = course.scores()
            if plan.keep == "last":
                scores[SELECTS] = float(state.epoch + 1)
            figures = on.broadcast({**means, **scores, "seconds": seconds})
            scored = copied(network) if plan.average else weights
        state = _next(state, figures, weights, scored, plain, on)
        if watch is not None:
            watch.epoch(state)
    return state


def one_cycle(done: float, warm_up: float) -> float:
    """The learning rate as a share of the highest, after a share of all steps: up from a 25th in
    half a cosine, then down to 0 in another (Smith and Topin 2019, Super-convergence)."""
    if done < warm_up:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * done / warm_up)) / 2
    return (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up))) / 2


def exhausted(state: State, plan: Plan) -> bool:
    """Whether so many epochs went by without a better score that no more are run."""
    return plan.patience is not None and state.epoch - state.best_epoch >= plan.patience


def _epoch(
    course: Course[P],
    plan: Plan,
    on: Fabric,
    number: int,
    optimiser: Any,
    average: Average,
    watch: Watch | None,
) -> dict[str, float]:
    """One epoch; gives the mean of every term over its steps."""
    # The numbers that all devices share draw the batches; those of its own are for dropout and SSC.
    order = torch.Generator().manual_seed(_mixed(plan.seed, number, 0))
    torch.manual_seed(_mixed(plan.seed, number, 1 + on.global_rank))
    own = torch.Generator().manual_seed(_mixed(plan.seed, number, 1 + on.global_rank))
    network, means = course.learner, Means()
    network.train()
    clip = partial(
        on.clip_gradients, network, optimiser, max_norm=plan.clip, error_if_nonfinite=False
    )
    total = plan.epochs * course.steps
    steps = course.epoch(order, plan.accumulate * on.world_size)
    for place, parts in enumerate(steps):
        step = number * course.steps + place
        for group in optimiser.param_groups:
            group["lr"] = plan.learning_rate * one_cycle(step / total, plan.warm_up)
        measure = place % _MEASURE == 0
        for part in parts[on.global_rank :: on.world_size]:
            terms = course.loss(part, own, measure)
            on.backward(terms.total)
            means.add(terms)
        _add_up(on, network)
        scaling = course.scaling(number)
        scaling.step(optimiser, plan.scaled, clip)
        means.measured(scaling.told)
        optimiser.zero_grad(set_to_none=True)
        average.update(step + 1)
        means.stepped()
        if watch is not None:
            watch.step(step + 1, total, means.now)
    found = means.over(on)
    if not math.isfinite(found["loss"]):
        raise Failure(
            f"epoch {number + 1}: the loss is {found['loss']}; give a smaller learning_rate"
        )
    return found


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
    reached = max((one[SELECTS] for one in state.history), default=-math.inf)
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
            "since; delete the folder of the run to begin anew"
        ) from error


def _mixed(*numbers: int) -> int:
    """One seed from several numbers, unlike those of other numbers."""
    text = " ".join(map(str, numbers))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
