"""The moving average of the weights: by a plain loop, and always given back."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gscon_live.train.engine.ema import WeightAverage


def walk(average: WeightAverage, network: nn.Linear, steps: range, seed: int) -> list[torch.Tensor]:
    """Moves the weights at random, a step at a time; gives them after each step."""
    made = []
    for step in steps:
        random = torch.Generator().manual_seed(1000 * seed + step)
        with torch.no_grad():
            network.weight.add_(torch.randn(network.weight.shape, generator=random))
        made.append(network.weight.detach().clone())
        average.update(step)
    return made


@given(
    decay=st.floats(0.01, 0.999), count=st.integers(1, 30), cut=st.integers(0, 30),
    seed=st.integers(0, 9),
)  # fmt: skip
def test_the_average_is_that_of_a_plain_loop_also_when_continued(
    decay: float, count: int, cut: int, seed: int
) -> None:
    torch.manual_seed(seed)
    network = nn.Linear(3, 2)
    expected = network.weight.detach().clone()
    average, cut = WeightAverage(network, decay, {}), min(cut, count)
    weights = walk(average, network, range(1, cut + 1), seed)
    with average.in_place():
        so_far = {name: value.clone() for name, value in network.state_dict().items()}
    average = WeightAverage(network, decay, so_far)
    weights += walk(average, network, range(cut + 1, count + 1), seed)
    for step, one in enumerate(weights, 1):
        stays = min(decay, step / (step + 9))
        expected = stays * expected + (1 - stays) * one
    with average.in_place():
        torch.testing.assert_close(network.weight.detach(), expected)
    assert torch.equal(network.weight, weights[-1])


def test_the_weights_come_back_whatever_happens() -> None:
    network = nn.Linear(3, 2)
    average = WeightAverage(network, 0.9, {})
    (weights,) = walk(average, network, range(1, 2), 0)
    with pytest.raises(KeyError), average.in_place():
        raise KeyError
    assert torch.equal(network.weight, weights)


def test_without_a_decay_nothing_is_averaged() -> None:
    network = nn.Linear(3, 2)
    average = WeightAverage(network, 0, {})
    weights = walk(average, network, range(1, 9), 0)
    with average.in_place():
        assert torch.equal(network.weight, weights[-1])
