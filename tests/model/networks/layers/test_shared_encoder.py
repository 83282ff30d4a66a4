"""The shared encoder convolves, pads on the right side, and knows its own gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gscon_live.model.networks.consistency_losses import disagreement, gdc, shared_gradients
from gscon_live.model.networks.layers.shared_encoder import SharedEncoder, Sharing
from gscon_live.model.networks.layers.shared_gradients import KernelGradients

TIGHT = 1e-9

shapes = st.fixed_dictionaries(
    {
        "both_sides": st.booleans(),
        "last": st.booleans(),
        "count": st.integers(1, 16),
        "width": st.integers(1, 20),
        "seed": st.integers(0, 1000),
    }
)
quick = settings(max_examples=30, deadline=None)


class Toy:
    """Modalities over a shared encoder, in double precision: maps made from parameters, a head
    each that reads the modality's own part and the common one, and a loss on every utterance."""

    def __init__(
        self, both_sides: bool, last: bool, count: int, width: int, seed: int, modalities: int = 3
    ) -> None:
        random = torch.Generator().manual_seed(seed)

        def random_tensor(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=random, dtype=torch.float64, requires_grad=True)

        torch.manual_seed(seed)
        self.encoder = SharedEncoder(both_sides).double()
        self.last = last and not both_sides
        self.inputs = [random_tensor(2, count, width) for _ in range(modalities)]
        self.heads = [random_tensor(2 * width, 4) for _ in range(modalities)]
        self.valid = torch.rand(2, count, generator=random) < 0.8
        self.valid[:, -1] = True
        self.shared = list(self.encoder.parameters())
        self.all = [*self.inputs, *self.heads, *self.shared]
        places = 1 if self.last else count
        self.labels = torch.randint(0, 4, (2, places), generator=random)

    def run(self) -> tuple[Sharing, list[Tensor]]:
        """The pass, and every modality's losses, one for each utterance that is there."""
        states = [x.tanh() for x in self.inputs]
        sharing = self.encoder.encode(states, self.valid, self.last)
        cut = slice(-1 if self.last else 0, None)
        there, losses = self.valid[:, cut], []
        for state, head in zip(states, self.heads, strict=True):
            logits = torch.cat([state[:, cut], sharing.mean], -1) @ head
            losses.append(
                functional.cross_entropy(logits[there], self.labels[there], reduction="none")
            )
        return sharing, losses


def convolved(
    maps: NDArray[np.float64], kernel: NDArray[np.float64], before: int
) -> NDArray[np.float64]:
    """One map [rows, features] and one kernel [7, 7], written out; zeros outside the map."""
    output = np.zeros_like(maps)
    for row, column in np.ndindex(*maps.shape):
        for i, j in np.ndindex(7, 7):
            y, x = row + i - before, column + j - 3
            if 0 <= y < maps.shape[0] and 0 <= x < maps.shape[1]:
                output[row, column] += kernel[i, j] * maps[y, x]
    return output


@settings(max_examples=15, deadline=None)
@given(shape=shapes)
def test_the_common_part_is_two_convolutions_with_a_relu_between(shape: dict[str, int]) -> None:
    toy = Toy(**shape)
    sharing, _ = toy.run()
    first, second = (kernel.detach()[0, 0].numpy() for kernel in toy.shared)
    before = 3 if toy.encoder.both_sides else 6
    for place, given_maps in enumerate(toy.inputs):
        for item in range(2):
            keep = toy.valid[item].numpy()[:, None]
            maps = given_maps[item].detach().tanh().numpy() * keep
            maps = np.maximum(convolved(maps, first, before), 0) * keep
            maps = convolved(maps, second, before) * keep
            common = sharing.common[place, item].detach().numpy()
            np.testing.assert_allclose(common, maps[-1:] if toy.last else maps, atol=TIGHT)
    torch.testing.assert_close(sharing.mean, sum(sharing.common) / 3)


@quick
@given(shape=shapes)
def test_modalities_together_and_apart_are_the_same(shape: dict[str, int]) -> None:
    toy = Toy(**shape)
    sharing, _ = toy.run()
    for place, given_maps in enumerate(toy.inputs):
        alone = toy.encoder(given_maps.tanh(), toy.valid, toy.last)
        torch.testing.assert_close(sharing.common[place], alone, atol=TIGHT, rtol=0)


@quick
@given(shape=shapes, modalities=st.integers(1, 3), seed=st.integers(0, 1000))
def test_gradients_and_their_derivatives_are_those_of_autograd(
    shape: dict[str, int], modalities: int, seed: int
) -> None:
    toy = Toy(**shape, modalities=modalities)
    sharing, losses = toy.run()
    means = [loss.mean() for loss in losses]
    ours, theirs = sharing.gradients(means), shared_gradients(means, toy.shared)
    torch.testing.assert_close(ours, theirs, atol=TIGHT, rtol=0)
    random = torch.Generator().manual_seed(seed)
    way = torch.randn(ours.shape, generator=random, dtype=torch.float64)
    for gradient, other in zip(
        torch.autograd.grad((ours * way).sum(), toy.all, retain_graph=True),
        torch.autograd.grad((theirs * way).sum(), toy.all),
        strict=True,
    ):
        torch.testing.assert_close(gradient, other, atol=TIGHT, rtol=0)


@pytest.mark.parametrize(("both_sides", "last"), [(True, False), (False, False), (False, True)])
def test_gdc_of_a_pass_is_that_of_gradients_taken_one_sample_at_a_time(
    both_sides: bool, last: bool
) -> None:
    toy = Toy(both_sides, last, count=9, width=10, seed=4)
    sharing, losses = toy.run()
    ours = disagreement(sharing.gradients([loss.mean() for loss in losses]))
    directions = []
    for each in losses:
        total: Tensor | float = 0.0
        for loss in each:
            parts = torch.autograd.grad(loss, toy.shared, create_graph=True)
            total = total + torch.cat([part.flatten() for part in parts]) / len(each)
        assert isinstance(total, Tensor)
        directions.append(total / total.norm())
    balanced = sum(directions) / 3
    theirs = -sum(functional.cosine_similarity(u, balanced, dim=0) for u in directions) / 3
    assert isinstance(theirs, Tensor)
    assert ours.item() == pytest.approx(theirs.item(), abs=TIGHT)
    for gradient, other in zip(
        torch.autograd.grad(ours, toy.all, retain_graph=True),
        torch.autograd.grad(theirs, toy.all),
        strict=True,
    ):
        torch.testing.assert_close(gradient, other, atol=TIGHT, rtol=0)


def test_the_derivatives_of_the_gradients_agree_with_finite_differences() -> None:
    toy = Toy(both_sides=False, last=False, count=2, width=3, seed=1, modalities=2)

    def gradients(*_: Tensor) -> Tensor:
        sharing, losses = toy.run()
        return disagreement(sharing.gradients([loss.mean() for loss in losses]))

    assert torch.autograd.gradcheck(gradients, toy.all)


@pytest.mark.parametrize("there", [[], [1], [0, 2]])
def test_modalities_that_are_missing_have_no_part_in_gdc(there: list[int]) -> None:
    toy = Toy(both_sides=False, last=True, count=9, width=10, seed=2)
    sharing, losses = toy.run()
    means = [losses[m].mean() for m in there]
    gradients = sharing.gradients(means)
    assert gradients.shape == (len(there), 98)
    assert disagreement(gradients).item() == pytest.approx(gdc(means, toy.shared).item(), abs=TIGHT)


def test_a_head_that_does_not_use_the_common_part_wants_nothing_and_breaks_nothing() -> None:
    toy = Toy(both_sides=False, last=False, count=5, width=8, seed=3)
    with torch.no_grad():
        toy.heads[1][8:] = 0
    sharing, losses = toy.run()
    gradients = sharing.gradients([loss.mean() for loss in losses])
    assert (gradients[1] == 0).all()
    derivatives = torch.autograd.grad(disagreement(gradients), toy.all)
    assert all(gradient.isfinite().all() and gradient.abs().max() < 1e3 for gradient in derivatives)


def test_gradients_are_of_single_precision_under_autocast() -> None:
    torch.manual_seed(0)
    encoder, states = SharedEncoder(False), [torch.randn(2, 9, 16) for _ in range(3)]
    heads = [torch.randn(16, 4, requires_grad=True) for _ in range(3)]
    valid, derivatives = torch.ones(2, 9, dtype=torch.bool), {}
    for reduced in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=reduced):
            sharing = encoder.encode(states, valid)
            losses = [(sharing.mean @ head).float().logsumexp(-1).mean() for head in heads]
            gradients = sharing.gradients(losses)
        assert gradients.dtype == torch.float32
        derivatives[reduced] = torch.autograd.grad(disagreement(gradients), heads)
        assert all(gradient.isfinite().all() for gradient in derivatives[reduced])
    for exact, rough in zip(derivatives[False], derivatives[True], strict=True):
        assert functional.cosine_similarity(exact.flatten(), rough.flatten(), dim=0) > 0.98


def test_the_derivatives_are_of_single_precision_under_autocast() -> None:
    random = torch.Generator().manual_seed(0)
    band = SharedEncoder(False).band
    inputs = [
        torch.randn(*shape, generator=random) for shape in [(3, 2, 5, 9)] * 3 + [(1, 1, 7, 7)]
    ]
    read, hidden, slopes, second = (x.requires_grad_(True) for x in inputs)
    derivatives = []
    for reduced in (False, True):
        gradients = KernelGradients.apply(read, hidden.relu(), slopes, second, band, (6, 0))
        value = disagreement(gradients)
        with torch.autocast("cpu", torch.bfloat16, enabled=reduced):
            derivatives.append(torch.autograd.grad(value, [read, hidden, slopes, second]))
    for gradient, other in zip(*derivatives, strict=True):
        assert torch.equal(gradient, other)


def test_a_third_derivative_is_refused_rather_than_wrong() -> None:
    toy = Toy(both_sides=False, last=False, count=3, width=8, seed=0)
    sharing, losses = toy.run()
    value = disagreement(sharing.gradients([loss.mean() for loss in losses]))
    (slope,) = torch.autograd.grad(value, toy.inputs[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        torch.autograd.backward(slope.square().sum())


def test_with_both_sides_in_view_no_place_is_last() -> None:
    with pytest.raises(ValueError, match="last"):
        SharedEncoder(True)(torch.zeros(1, 3, 8), torch.ones(1, 3, dtype=torch.bool), last=True)


def test_only_the_two_kernels_are_kept_in_checkpoints() -> None:
    state = SharedEncoder(False).state_dict()
    assert {name: tuple(kernel.shape) for name, kernel in state.items()} == {
        "first.weight": (1, 1, 7, 7),
        "second.weight": (1, 1, 7, 7),
    }
