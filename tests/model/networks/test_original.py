"""The losses in the setting they were published for, against the released code's written out.

The oracle knows the weights and nothing of the code: numpy for the network, loops for the losses,
and for GDC the gradient of each sample alone, as the released code takes it.
"""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from original import Original, Sizes, objective
from torch import Tensor
from torch.nn import functional

from gscon_live.model.labels import MODALITIES
from gscon_live.model.networks.consistency_losses import ssc

Array = NDArray[np.float64]
PAIRS = (("text", "visual"), ("text", "audio"), ("audio", "visual"))
TAU = 0.07
TIGHT = 1e-9
#: Raw sequences of 6, 5 and 7 steps, all 4 after the projection.
SMALL = Sizes(
    dims={"text": 5, "audio": 3, "visual": 4},
    steps={"text": 6, "audio": 5, "visual": 7},
    kernels={"text": 3, "audio": 2, "visual": 4},
    width=6,
    heads=2,
    layers=2,
)


def network(seed: int = 0) -> Original:
    torch.manual_seed(seed)
    return Original(SMALL).double().eval()


def material(count: int, seed: int = 1) -> tuple[dict[str, Tensor], Tensor]:
    random = torch.Generator().manual_seed(seed)
    features = {
        m: torch.randn(count, SMALL.steps[m], SMALL.dims[m], generator=random, dtype=torch.float64)
        for m in MODALITIES
    }
    return features, torch.rand(count, generator=random, dtype=torch.float64) * 6 - 3


def weights(net: Original) -> dict[str, Array]:
    return {name: value.numpy() for name, value in net.state_dict().items()}


def norm(x: Array, w: dict[str, Array], name: str) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    unit = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return unit * w[f"{name}.weight"] + w[f"{name}.bias"]


def linear(x: Array, w: dict[str, Array], name: str) -> Array:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def encoded(x: Array, w: dict[str, Array], m: str) -> Array:
    """One sample [steps, dim] to [T, d]: the projection, and three stages over time."""
    kernel = w[f"project.{m}.weight"]
    length = kernel.shape[2]
    x = np.stack(
        [
            np.einsum("kc,dck->d", x[start : start + length], kernel)
            for start in range(len(x) - length + 1)
        ]
    )
    steps, width = x.shape
    for stage in range(3):
        x = math.sqrt(width) * x
        for step in range(steps):
            for place in range(0, width, 2):
                angle = step / 10_000 ** (place / width)
                x[step, place] += math.sin(angle)
                x[step, place + 1] += math.cos(angle)
        for layer in range(SMALL.layers):
            name = f"encode.{m}.{stage}.layers.{layer}"
            x = x + attended(norm(x, w, f"{name}.norm1"), w, f"{name}.self_attn")
            inner = np.maximum(linear(norm(x, w, f"{name}.norm2"), w, f"{name}.linear1"), 0)
            x = x + linear(inner, w, f"{name}.linear2")
        x = norm(x, w, f"encode.{m}.{stage}.norm")
    return x


def attended(x: Array, w: dict[str, Array], name: str) -> Array:
    query, key, value = np.split(
        x @ w[f"{name}.in_proj_weight"].T + w[f"{name}.in_proj_bias"], 3, 1
    )
    mixed, size = np.zeros_like(x), x.shape[1] // SMALL.heads
    for head in range(SMALL.heads):
        part = slice(head * size, (head + 1) * size)
        for step in range(len(x)):
            score = np.exp(key[: step + 1, part] @ query[step, part] / math.sqrt(size))
            mixed[step, part] = score @ value[: step + 1, part] / score.sum()
    return linear(mixed, w, f"{name}.out_proj")


def convolved(x: Array, kernel: Array) -> Array:
    wide = np.pad(x, 3)
    return np.array(
        [
            [(wide[i : i + 7, j : j + 7] * kernel).sum() for j in range(x.shape[1])]
            for i in range(x.shape[0])
        ]
    )


def head(x: Array, w: dict[str, Array], name: str, squash: bool = False) -> float:
    x = linear(np.maximum(linear(x, w, f"{name}.0"), 0), w, f"{name}.3")
    if squash:
        x = 1 / (1 + np.exp(-x))
    return float(linear(x, w, f"{name}.5")[0])


def own_estimates(
    states: list[Array], w: dict[str, Array], kernels: Array
) -> tuple[dict[str, float], list[Array]]:
    """What the three modalities' own heads say of a sample, and its common parts."""
    parts = [convolved(np.maximum(convolved(x, kernels[0]), 0), kernels[1]) for x in states]
    common = sum(parts) / 3
    own = {
        m: head(np.concatenate([x, common], 1).ravel(), w, f"specific.{m}")
        for m, x in zip(MODALITIES, states, strict=True)
    }
    return own, parts


def gradient_by_hand(
    states: list[Array], w: dict[str, Array], kernels: Array, wanted: float
) -> dict[str, Array]:
    """The gradient of one sample's three losses on the 98 scalars, by moving each of them."""
    step, made = 1e-5, {m: np.zeros(98) for m in MODALITIES}
    for place in range(98):
        for sign in (1, -1):
            moved = kernels.copy()
            moved.reshape(-1)[place] += sign * step
            for m, one in own_estimates(states, w, moved)[0].items():
                made[m][place] += sign * abs(one - wanted) / (2 * step)
    return made


def terms_by_hand(net: Original, features: dict[str, Tensor], target: Tensor) -> dict[str, float]:
    w, wanted = weights(net), target.numpy()
    kernels = np.stack([w["share.first.weight"][0, 0], w["share.second.weight"][0, 0]])
    count = len(wanted)
    errors = dict.fromkeys(("final", "auxiliary", "common", *MODALITIES), 0.0)
    parts: dict[str, list[Array]] = {m: [] for m in MODALITIES}
    directions = {m: np.zeros(98) for m in MODALITIES}
    for i in range(count):
        states = [encoded(features[m][i].numpy(), w, m) for m in MODALITIES]
        own, each = own_estimates(states, w, kernels)
        common = sum(each) / 3
        last = [x[-1] for x in states]
        found = {
            **own,
            "final": head(np.concatenate([*last, common[-1]]), w, "final"),
            "auxiliary": head(np.concatenate(last), w, "auxiliary", squash=True),
            "common": head(common.ravel(), w, "common"),
        }
        for name, one in found.items():
            errors[name] += abs(one - wanted[i]) / count
        for m, part in zip(MODALITIES, each, strict=True):
            parts[m].append(part.ravel())
        for m, one in gradient_by_hand(states, w, kernels, wanted[i]).items():
            directions[m] += one / count
    structure = 0.0
    for a, b in PAIRS:
        for i in range(count):
            structure += sum((neighbours(parts[a], i) - neighbours(parts[b], i)) ** 2) / count
    units = [g / np.sqrt((g**2).sum()) for g in directions.values()]
    balanced = sum(units) / 3
    gradient = -sum(u @ balanced / np.sqrt((balanced**2).sum()) for u in units) / 3
    total = sum(errors.values()) + 1.0 * structure + 0.5 * gradient
    return {**errors, "ssc": structure, "gdc": gradient, "total": total}


def neighbours(rows: list[Array], i: int) -> Array:
    cosines = np.array(
        [
            rows[i] @ rows[j] / np.sqrt((rows[i] @ rows[i]) * (rows[j] @ rows[j])) / TAU
            for j in range(len(rows))
            if j != i
        ]
    )
    return np.exp(cosines - cosines.max()) / np.exp(cosines - cosines.max()).sum()


def test_every_term_of_the_loss_is_that_of_the_released_code() -> None:
    net, (features, target) = network(), material(4)
    found, wanted = objective(net(features), target, TAU), terms_by_hand(net, features, target)
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        # GDC by hand is a difference quotient.
        close = 1e-6 if name in ("gdc", "total") else TIGHT
        assert found[name].item() == pytest.approx(value, abs=close), name
    assert -1 < found["gdc"].item() < -0.05
    assert found["ssc"].item() > 0.001


def test_the_gradient_of_the_loss_is_that_of_gdc_taken_one_sample_at_a_time() -> None:
    net, (features, target) = network(), material(3)
    ours = objective(net(features), target, TAU)
    estimates = net(features)
    shared, directions = list(net.share.parameters()), []
    for m in MODALITIES:
        total = torch.zeros(98, dtype=torch.float64)
        for loss in functional.l1_loss(estimates.specific[m], target, reduction="none"):
            parts = torch.autograd.grad(loss, shared, create_graph=True)
            total = total + torch.cat([part.flatten() for part in parts]) / len(target)
        directions.append(total / total.norm())
    balanced = sum(directions) / 3
    theirs = -sum(functional.cosine_similarity(u, balanced, dim=0) for u in directions) / 3
    assert isinstance(theirs, Tensor)
    others = ours["total"] - 0.5 * ours["gdc"]
    for one, other in zip(
        torch.autograd.grad(ours["total"], list(net.parameters()), retain_graph=True),
        torch.autograd.grad(others + 0.5 * theirs, list(net.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=TIGHT, rtol=0)


def test_gdc_reaches_what_the_modalities_own_losses_depend_on_and_nothing_else() -> None:
    net, (features, target) = network(), material(3)
    value = objective(net(features), target)["gdc"]
    names = [name for name, _ in net.named_parameters()]
    found = torch.autograd.grad(value, list(net.parameters()), allow_unused=True)
    reached = {
        name.split(".")[0] for name, one in zip(names, found, strict=True) if one is not None
    }
    assert reached == {"project", "encode", "share", "specific"}


def test_the_sizes_are_those_of_the_released_code() -> None:
    with torch.device("meta"):
        net = Original(Sizes())

    def count(part: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in part.parameters())

    assert count(net.share) == 98
    assert count(net) == pytest.approx(139.0e6, rel=1e-3)
    assert count(net.specific) == pytest.approx(127e6, rel=1e-3)


@pytest.mark.parametrize(("count", "value", "close"), [(16, 1.6, 0.15), (128, 0.55, 0.02)])
def test_ssc_falls_with_the_number_of_rows(count: int, value: float, close: float) -> None:
    random = torch.Generator().manual_seed(0)
    found = [
        ssc(list(torch.randn(3, count, 50, generator=random)), torch.arange(count), TAU).item()
        for _ in range(30)
    ]
    assert np.mean(found) == pytest.approx(value, abs=close)


def test_a_batch_of_one_can_be_trained_on() -> None:
    net, (features, target) = network().train(), material(1)
    terms = objective(net(features), target)
    assert terms["ssc"].item() == 0
    torch.autograd.backward(terms["total"])
    assert all(
        parameter.grad is not None and parameter.grad.isfinite().all()
        for parameter in net.parameters()
    )


def test_an_estimate_does_not_depend_on_batch_mates() -> None:
    net, (features, _) = network(), material(5)
    together = net(features).final
    for i in range(5):
        alone = net({m: x[i : i + 1] for m, x in features.items()}).final
        assert alone.item() == pytest.approx(together[i].item(), abs=TIGHT)


def test_attention_runs_over_time_and_not_into_the_future() -> None:
    encode = network().encode["audio"]
    state = torch.randn(1, 4, SMALL.width, dtype=torch.float64, requires_grad=True)
    for step in range(4):
        (reached,) = torch.autograd.grad(encode(state)[0, step, 0], state)
        assert (reached[0].abs().sum(1) > 0).tolist() == [j <= step for j in range(4)]


def test_sequences_that_come_out_unequal_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[46, 50\]"):
        Original(Sizes(kernels={"text": 5, "audio": 1, "visual": 5}))
