"""What a task may set besides its loss: groups of parameters, and the steps of each epoch."""

import dataclasses
from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import nn

from gscon_live.train.engine.devices import launch_fabric
from gscon_live.train.engine.losses import Terms
from gscon_live.train.engine.schedule import one_cycle
from gscon_live.train.engine.trainer import (
    SELECTION_SCORE,
    ParameterGroup,
    Plan,
    State,
    Task,
    train,
)

CPU = launch_fabric("cpu")
PLAN = Plan(seed=3, epochs=3, learning_rate=0.05, weight_decay=0.1, warm_up=0.3, clip=1e9)
#: Steps of the three epochs.
STEPS = (4, 2, 5)


class Regression(Task[torch.Tensor]):
    """A line through points; the bias is learned slower and is not decayed."""

    steps = 0

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.learner = nn.Linear(3, 1)
        self.left: list[int] = []

    def begin(self, epoch: int, random: torch.Generator) -> int:
        self.left = [STEPS[epoch]]
        return STEPS[epoch]

    def epoch(self, random: torch.Generator, parts: int) -> Iterator[Sequence[torch.Tensor]]:
        for _ in range(self.left.pop()):
            yield [torch.randn(8, 3, generator=random)]

    def loss(self, part: torch.Tensor, random: torch.Generator, measure: bool) -> Terms:
        return Terms((self.learner(part)[:, 0] - part.sum(1) - 1).square().mean(), {}, {})

    def scores(self) -> dict[str, float]:
        return {SELECTION_SCORE: 0.0}

    def groups(self, plan: Plan) -> list[ParameterGroup]:
        weight, bias = self.learner.parameters()
        return [
            ParameterGroup([weight], plan.learning_rate, plan.weight_decay),
            ParameterGroup([bias], 0.2 * plan.learning_rate, 0.0),
        ]


class Remembering:
    """Keeps how many steps are said to be done, of how many."""

    def __init__(self) -> None:
        self.totals: list[tuple[int, int]] = []

    def step(self, done: int, total: int, means: object) -> None:
        self.totals.append((done, total))

    def epoch(self, state: State) -> None:
        pass


def plain(plan: Plan, batches: list[list[torch.Tensor]]) -> nn.Linear:
    """The same by a plain loop."""
    torch.manual_seed(0)
    line = nn.Linear(3, 1)
    groups = [
        {"params": [line.weight], "weight_decay": plan.weight_decay},
        {"params": [line.bias], "weight_decay": 0.0},
    ]
    if plan.optimiser == "sgd":
        optimiser: torch.optim.Optimizer = torch.optim.SGD(
            groups, lr=0.0, momentum=plan.momentum, nesterov=True
        )
    else:
        optimiser = torch.optim.AdamW(groups, lr=0.0)
    for epoch, rows in enumerate(batches):
        for place, points in enumerate(rows):
            done = (epoch + place / len(rows)) / plan.epochs
            rate = plan.learning_rate * one_cycle(done, plan.warm_up, plan.anneal)
            optimiser.param_groups[0]["lr"], optimiser.param_groups[1]["lr"] = rate, 0.2 * rate
            loss = (line(points)[:, 0] - points.sum(1) - 1).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return line


@pytest.mark.parametrize("anneal", ["cosine", "linear"])
@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_every_group_has_its_own_rate_and_decay_and_every_epoch_its_share_of_the_schedule(
    optimiser: str, anneal: str
) -> None:
    plan = dataclasses.replace(PLAN, optimiser=optimiser, anneal=anneal)
    batches: list[list[torch.Tensor]] = []

    class Watched(Regression):
        def epoch(self, random: torch.Generator, parts: int) -> Iterator[Sequence[torch.Tensor]]:
            batches.append([])
            for step in super().epoch(random, parts):
                batches[-1].append(step[0])
                yield step

    task, watch = Watched(), Remembering()
    train(task, plan, CPU, watch=watch)
    assert [len(rows) for rows in batches] == [*STEPS]
    for mine, expected in zip(
        task.learner.parameters(), plain(plan, batches).parameters(), strict=True
    ):
        torch.testing.assert_close(mine, expected)
    assert watch.totals == [
        (epoch * count + place + 1, 3 * count)
        for epoch, count in enumerate(STEPS)
        for place in range(count)
    ]


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_every_optimiser_goes_on_where_it_was(optimiser: str) -> None:
    plan = dataclasses.replace(PLAN, optimiser=optimiser)
    whole = train(Regression(), plan, CPU)

    class Stopping(Remembering):
        def epoch(self, state: State) -> None:
            kept.append(state)
            raise KeyboardInterrupt

    kept: list[State] = []
    with pytest.raises(KeyboardInterrupt):
        train(Regression(), plan, CPU, watch=Stopping())
    again = train(Regression(), plan, CPU, kept[0])
    for name, value in whole.network.items():
        assert torch.equal(value, again.network[name])
    for name, value in whole.optimiser.items():
        assert torch.equal(value, again.optimiser[name])
