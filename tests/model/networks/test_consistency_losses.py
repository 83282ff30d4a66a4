"""GDC and SSC are what they are defined to be, in value and in gradient."""

import math
from collections.abc import Callable
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from gscon_live.model.networks.consistency_losses import cosines, disagreement, gdc, ssc, structure

TIGHT = 1e-9


class Toy:
    """Three losses over one shared layer, in double precision; upstream and downstream of it are
    parameters that the second-order gradient has to reach."""

    def __init__(self, seed: int) -> None:
        random = torch.Generator().manual_seed(seed)

        def random_tensor(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=random, dtype=torch.float64, requires_grad=True)

        self.inputs = [random_tensor(6, 4) for _ in range(3)]
        self.encoders = [random_tensor(4, 5) for _ in range(3)]
        self.shared = [random_tensor(5, 5), random_tensor(5)]
        self.heads = [random_tensor(10, 3) for _ in range(3)]
        self.labels = torch.randint(0, 3, (6,), generator=random)
        self.all = [*self.encoders, *self.shared, *self.heads]

    def logits(self) -> list[Tensor]:
        states = [(x @ e).tanh() for x, e in zip(self.inputs, self.encoders, strict=True)]
        common = sum(torch.relu(s @ self.shared[0] + self.shared[1]) for s in states) / 3
        return [torch.cat([s, common], 1) @ h for s, h in zip(states, self.heads, strict=True)]

    def losses(self) -> list[Tensor]:
        return [functional.cross_entropy(logits, self.labels) for logits in self.logits()]


def gdc_by_definition(toy: Toy) -> Tensor:
    """As published: per-sample gradients, averaged, made unit vectors, cosines to their mean."""
    directions = []
    for logits in toy.logits():
        each = functional.cross_entropy(logits, toy.labels, reduction="none")
        total: Tensor | float = 0.0
        for loss in each:
            gradients = torch.autograd.grad(loss, toy.shared, create_graph=True)
            total = total + torch.cat([g.flatten() for g in gradients]) / len(each)
        assert isinstance(total, Tensor)
        directions.append(total / total.norm())
    balanced = sum(directions) / 3
    return -sum(functional.cosine_similarity(u, balanced, dim=0) for u in directions) / 3


@pytest.mark.parametrize("seed", range(5))
def test_gdc_is_the_published_loss_in_value_and_gradient(seed: int) -> None:
    toy = Toy(seed)
    ours, theirs = gdc(toy.losses(), toy.shared), gdc_by_definition(toy)
    assert ours.item() == pytest.approx(theirs.item(), abs=TIGHT)
    for our_gradient, other in zip(
        torch.autograd.grad(ours, toy.all), torch.autograd.grad(theirs, toy.all), strict=True
    ):
        torch.testing.assert_close(our_gradient, other, atol=TIGHT, rtol=0)


def test_gdc_gradient_agrees_with_finite_differences() -> None:
    toy = Toy(3)
    toy.inputs = [x.detach() for x in toy.inputs]
    gradients = torch.autograd.grad(gdc(toy.losses(), toy.shared), toy.all)
    step = 1e-6
    for parameter, gradient in zip(toy.all, gradients, strict=True):
        place = gradient.abs().argmax()
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter.view(-1)[place] += sign * step
            values.append(gdc(toy.losses(), toy.shared).item())
            with torch.no_grad():
                parameter.view(-1)[place] -= sign * step
        slope = (values[0] - values[1]) / (2 * step)
        assert slope == pytest.approx(gradient.view(-1)[place].item(), abs=1e-7)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), scales=st.tuples(*[st.floats(0.01, 100)] * 3))
def test_gdc_looks_at_directions_only(seed: int, scales: tuple[float, float, float]) -> None:
    toy = Toy(seed)
    plain = gdc(toy.losses(), toy.shared).item()
    scaled = [loss * scale for loss, scale in zip(toy.losses(), scales, strict=True)]
    assert gdc(scaled, toy.shared).item() == pytest.approx(plain, abs=1e-7)
    assert -1 - 1e-9 <= plain <= 0


def test_gdc_of_agreement_and_of_opposition() -> None:
    weight = torch.ones(3, dtype=torch.float64, requires_grad=True)
    loss = weight.square().sum()
    assert gdc([loss, 5 * loss, 0.1 * loss], [weight]).item() == pytest.approx(-1, abs=TIGHT)
    assert gdc([loss, -loss], [weight]).item() == pytest.approx(0, abs=TIGHT)


def test_gdc_survives_a_vanishing_gradient() -> None:
    weight = torch.ones(3, dtype=torch.float64, requires_grad=True)
    value = gdc([weight.square().sum(), (weight * 0).sum(), weight.sum()], [weight])
    assert math.isfinite(value.item())
    (gradient,) = torch.autograd.grad(value, [weight])
    assert gradient.isfinite().all()


gradients = st.integers(0, 1000).flatmap(
    lambda seed: st.integers(2, 3).map(
        lambda count: torch.randn(
            count, 98, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
    )
)


@settings(max_examples=20, deadline=None)
@given(given_rows=gradients)
def test_the_disagreement_follows_from_the_cosines(given_rows: Tensor) -> None:
    between = functional.cosine_similarity(given_rows[:, None], given_rows[None], dim=-1)
    torch.testing.assert_close(cosines(given_rows), between, atol=TIGHT, rtol=0)
    count = len(given_rows)
    pairs = sum(cosines(given_rows)[a, b].item() for a, b in combinations(range(count), 2))
    closed = -math.sqrt(count + 2 * pairs) / count
    assert disagreement(given_rows).item() == pytest.approx(closed, abs=TIGHT)


@settings(max_examples=20, deadline=None)
@given(given_rows=gradients)
def test_it_is_the_same_whether_the_common_direction_is_held_still_or_not(
    given_rows: Tensor,
) -> None:
    given_rows.requires_grad_(True)
    units = given_rows / given_rows.norm(dim=1, keepdim=True)
    still = units.mean(0).detach()
    held = -functional.cosine_similarity(units, still[None], dim=1).mean()
    (theirs,) = torch.autograd.grad(held, given_rows)
    (ours,) = torch.autograd.grad(disagreement(given_rows), given_rows)
    torch.testing.assert_close(ours, theirs, atol=TIGHT, rtol=0)


def test_a_vanished_gradient_counts_as_a_zero_vector_and_gets_nothing_back() -> None:
    rows = torch.randn(3, 98, dtype=torch.float64)
    rows[1] = 0
    rows.requires_grad_(True)
    value = disagreement(rows)
    units = rows[[0, 2]] / rows[[0, 2]].norm(dim=1, keepdim=True)
    assert value.item() == pytest.approx(-(units.sum(0) / 3).norm().item(), abs=TIGHT)
    (back,) = torch.autograd.grad(value, rows)
    assert (back[1] == 0).all()
    assert (back[[0, 2]] != 0).any()
    assert (cosines(rows.detach())[1] == 0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_both_losses_are_computed_in_single_precision_at_least(dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(0)
    rows = (torch.randn(3, 98, generator=random) * 1e-3).to(dtype)
    common = [torch.randn(8, 16, generator=random).to(dtype) for _ in range(3)]
    stacked = torch.stack(common)
    with torch.autocast("cpu", torch.bfloat16):
        losses = [disagreement(rows), ssc(common, torch.arange(8), 0.07), cosines(rows)]
        losses.append(structure(stacked, 0.07))
    assert all(loss.dtype == torch.float32 for loss in losses)
    exact = [disagreement(rows.double()), ssc([x.double() for x in common], torch.arange(8), 0.07)]
    assert losses[0].item() == pytest.approx(exact[0].item(), rel=1e-5)
    assert losses[1].item() == pytest.approx(exact[1].item(), rel=1e-4)


@pytest.mark.parametrize("count", [0, 1])
def test_gdc_of_fewer_than_two_modalities_is_nothing(count: int) -> None:
    toy = Toy(0)
    assert gdc(toy.losses()[:count], toy.shared).item() == 0


def ssc_by_definition(
    common: list[Tensor], rows: list[int], tau: float, present: Tensor | None = None
) -> Tensor:
    """As published, written out for each row and pair."""
    total = torch.zeros((), dtype=torch.float64)
    for first, second in combinations(range(len(common)), 2):
        kept = [r for r in rows if present is None or (present[r, first] and present[r, second])]
        if len(kept) < 3:
            continue
        for i in kept:
            distributions = []
            for vectors in (common[first], common[second]):
                cosines = [
                    vectors[i] @ vectors[j] / (vectors[i].norm() * vectors[j].norm()) / tau
                    for j in kept
                    if j != i
                ]
                distributions.append(torch.stack(cosines).softmax(0))
            total = total + (distributions[0] - distributions[1]).square().sum() / len(kept)
    return total


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    count=st.integers(3, 9),
    tau=st.floats(0.05, 1.0),
    missing=st.booleans(),
)
def test_ssc_is_the_published_loss_in_value_and_gradient(
    seed: int, count: int, tau: float, missing: bool
) -> None:
    random = torch.Generator().manual_seed(seed)
    common = [
        torch.randn(count + 4, 6, generator=random, dtype=torch.float64, requires_grad=True)
        for _ in range(3)
    ]
    rows = torch.randperm(count + 4, generator=random)[:count]
    present = torch.rand(count + 4, 3, generator=random) < 0.7 if missing else None
    ours = ssc(common, rows, tau, present)
    theirs = ssc_by_definition(common, rows.tolist(), tau, present)
    assert ours.item() == pytest.approx(theirs.item(), abs=TIGHT)
    if theirs.requires_grad:
        for our_gradient, other in zip(
            torch.autograd.grad(ours, common, allow_unused=True),
            torch.autograd.grad(theirs, common, allow_unused=True),
            strict=True,
        ):
            if other is None:
                assert our_gradient is None or (our_gradient == 0).all()
            else:
                torch.testing.assert_close(our_gradient, other, atol=TIGHT, rtol=0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(2, 8), tau=st.floats(0.05, 1.0))
def test_the_structure_is_what_ssc_compares(seed: int, count: int, tau: float) -> None:
    random = torch.Generator().manual_seed(seed)
    common = torch.randn(3, count, 6, generator=random, dtype=torch.float64)
    distributions = structure(common, tau)
    torch.testing.assert_close(
        distributions.sum(-1), torch.ones(3, count).double(), atol=TIGHT, rtol=0
    )
    assert (distributions.diagonal(dim1=1, dim2=2) == 0).all()
    total = sum(
        (distributions[a] - distributions[b]).square().sum(1).mean().item()
        for a, b in combinations(range(3), 2)
    )
    loss = ssc(list(common), torch.arange(count), tau).item()
    assert loss == pytest.approx(total if count > 2 else 0, abs=TIGHT)


def test_ssc_of_the_same_structure_is_nothing() -> None:
    vectors = torch.randn(8, 5, dtype=torch.float64)
    turned = vectors @ torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64))[0]
    assert ssc([vectors, 3 * turned], torch.arange(8), 0.07).item() == pytest.approx(0, abs=1e-9)
    assert ssc([vectors, torch.randn(8, 5).double()], torch.arange(8), 0.07).item() > 0.05


def test_ssc_of_fewer_than_three_rows_is_nothing() -> None:
    vectors = [torch.randn(8, 5, requires_grad=True) for _ in range(3)]
    assert ssc(vectors, torch.arange(2), 0.07).item() == 0
    present = torch.zeros(8, 3, dtype=torch.bool)
    present[:2] = True
    assert ssc(vectors, torch.arange(8), 0.07, present).item() == 0


def test_ssc_of_a_missing_modality_is_that_of_the_others() -> None:
    common = [torch.randn(8, 5, dtype=torch.float64) for _ in range(3)]
    present = torch.ones(8, 3, dtype=torch.bool)
    present[:, 1] = False
    value = ssc(common, torch.arange(8), 0.1, present).item()
    others = ssc([common[0], common[2]], torch.arange(8), 0.1).item()
    assert value == pytest.approx(others, abs=TIGHT)


def test_both_losses_survive_vectors_of_length_zero() -> None:
    common = [torch.zeros(5, 4, requires_grad=True) for _ in range(3)]
    value: Callable[[], Tensor] = lambda: ssc(common, torch.arange(5), 0.07)  # noqa: E731
    gradients = torch.autograd.grad(value(), common, allow_unused=True)
    assert all(g is None or g.isfinite().all() for g in gradients)
