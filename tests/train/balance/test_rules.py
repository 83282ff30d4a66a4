"""The rules of the balancing methods, by hand and by loops."""

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from statistics import fmean

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.labels import MODALITIES
from gscon_live.model.networks.network import (
    NETWORKS,
    Answers,
    Architecture,
    Conversations,
    Network,
    build,
    network_class,
)
from gscon_live.train.balance import fagm
from gscon_live.train.balance.graph import GraphDistillation, GraphSettings, pairs, prior
from gscon_live.train.balance.hierarchical import HierarchicalDistillation, HierarchicalSettings
from gscon_live.train.balance.margin import Margin, MarginSettings, margin_loss
from gscon_live.train.balance.plugin import StepContext
from gscon_live.train.balance.strength import (
    OGMGE,
    OGMGESettings,
    Ratio,
    RatioSettings,
    coefficient,
    ratios_to_others,
    ratios_to_weakest,
    strengths,
)
from gscon_live.train.engine.gradient_scaling import Scaling
from gscon_live.train.engine.losses import Targets, Weighting, network_losses, step_totals

#: The networks that have hidden vectors.
HIDDEN = [name for name in NETWORKS if not network_class(name).READS_EXPERTS]
DIMS = {"text": 5, "audio": 3, "visual": 4}
CLASSES = 3


def network(name: str = "gscon", mode: str = "causal") -> Network:
    torch.manual_seed(2)
    return build(Architecture(DIMS, mode=mode, width=8, heads=2, layers=1, dropout=0.2,
                              classes=CLASSES, network=name, encoder="transformer"))  # type: ignore[arg-type]  # fmt: skip


def context_of(
    net: Network, missing: float = 0.3, batch: int = 3, count: int = 5, last: bool = False
) -> StepContext:
    """What a network answers to made-up conversations, or (`last`) to windows at their last place;
    one is shorter than the others."""
    random = torch.Generator().manual_seed(4)
    present = torch.rand(batch, count, 3, generator=random) >= missing
    present[0, 0] = True
    valid = torch.ones(batch, count, dtype=torch.bool)
    valid[1, slice(2) if last else slice(3, None)] = False
    conversations = Conversations(
        {m: torch.randn(batch, count, dim, generator=random) for m, dim in DIMS.items()},
        present & valid[..., None],
        torch.randint(3, (batch, count), generator=random),
        valid,
    )
    rows = torch.arange(batch) if last else valid.flatten().nonzero()[::2, 0]
    labels = torch.randint(CLASSES, (len(rows),), generator=random)
    answered = slice(-1 if last else None, None)
    there = conversations.present[:, answered].flatten(0, 1)[rows]
    targets = Targets(rows, labels, there)
    answers = net(conversations, last)
    step = step_totals([targets], Weighting())
    losses = network_losses(net.modalities, answers, targets, Weighting(), step)
    return StepContext(net, conversations, last, answers, targets, step, losses)


def padded(context: StepContext, more: int = 3) -> StepContext:
    """The same with so many more places of padding, in which anything stands: before windows, whose
    last place is answered, and after conversations."""
    random = torch.Generator().manual_seed(9)
    c = context.conversations
    batch, count = c.valid.shape

    def beside(given: Tensor, padding: Tensor) -> Tensor:
        return torch.cat([padding, given] if context.last else [given, padding], 1)

    made = Conversations(
        {m: beside(x, torch.randn(batch, more, x.shape[-1], generator=random))
         for m, x in c.features.items()},
        beside(c.present, torch.zeros(batch, more, 3, dtype=torch.bool)),
        beside(c.speakers, torch.randint(3, (batch, more), generator=random)),
        beside(c.valid, torch.zeros(batch, more, dtype=torch.bool)),
    )  # fmt: skip
    rows = context.targets.rows
    if not context.last:
        rows = rows + more * (rows // count)
    return replace(context, conversations=made, targets=replace(context.targets, rows=rows))


def test_the_factors_of_fagm_for_given_gaps() -> None:
    """Those of the specification: audio .1, visual 0, text 1."""
    gaps = {"audio": 0.1, "visual": 0.0, "text": 1.0}
    for gamma, wanted in (
        (0.5, (0.943, 1, 0.816)), (0.05, (0.249, 1, 0.156)), (1e-3, (0.006, 1, 0.003)),
    ):  # fmt: skip
        found = fagm.lead(gaps, gamma)
        assert [1 - found[m] for m in gaps] == pytest.approx(wanted, abs=6e-4)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=3), st.floats(0.01, 3))
def test_the_weakest_of_fagm_is_never_slowed_and_nobody_is_stopped(
    gaps: list[float], gamma: float
) -> None:
    found = fagm.lead(dict(zip(MODALITIES, gaps, strict=False)), gamma)
    assert min(found.values()) == 0
    assert all(0 <= one < 1 for one in found.values())
    order = sorted(range(len(gaps)), key=lambda place: gaps[place])
    leads = [found[MODALITIES[place]] for place in order]
    assert leads == sorted(leads)
    assert fagm.lead({}, gamma) == {}


@pytest.mark.parametrize(("beta", "count"), [(0.5, 4), (0.1, 0), (1.0, 9), (0.0, 0)])
def test_of_ten_endemic_neurons_fagm_slows_those_above_the_threshold(
    beta: float, count: int
) -> None:
    mine = torch.tensor([*range(10, 0, -1), 0, 0], dtype=torch.float64)
    other = torch.zeros(12, dtype=torch.float64)
    found = fagm.column_factors({"text": mine, "audio": other}, {"text": 0.25, "audio": 0.0}, beta)
    assert found.tolist() == [0.75] * count + [1.0] * (12 - count)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), beta=st.floats(0, 1))
def test_the_penalties_of_fagm_by_loops(seed: int, beta: float) -> None:
    random = torch.Generator().manual_seed(seed)
    sensitive = {m: torch.rand(9, generator=random, dtype=torch.float64) for m in MODALITIES}
    leads = dict(zip(MODALITIES, (0.3, 0.0, 0.2), strict=True))
    found = fagm.column_factors(sensitive, leads, beta)
    wanted = [1.0] * 9
    for m in MODALITIES:
        endemic = [
            float(sensitive[m][j] - max(sensitive[o][j] for o in MODALITIES if o != m))
            for j in range(9)
        ]
        positive = sum(one > 0 for one in endemic)
        threshold = sorted(endemic, reverse=True)[max(int(positive * beta) - 1, 0)]
        for j in range(9):
            wanted[j] -= leads[m] * (endemic[j] > threshold)
    assert found.tolist() == pytest.approx(wanted)


def test_sensitivity_is_a_mean_over_tokens_and_calls_that_are_no_padding() -> None:
    valid = torch.tensor([[True, True, False]])
    before = [torch.tensor([[[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]]]), torch.tensor([[5.0, 5.0]])]
    after = [torch.tensor([[[0.0, 2.0], [5.0, 4.0], [0.0, 0.0]]]), torch.tensor([[5.0, 2.0]])]
    found = fagm.sensitivity(fagm.input_differences(before, after, valid))
    assert found.tolist() == pytest.approx([(1 + 2 + 0) / 3, (0 + 0 + 3) / 3])
    assert fagm.input_differences([], [], valid) == []


@pytest.mark.parametrize("name", HIDDEN)
def test_fagm_tells_what_depends_on_one_modality_from_what_depends_on_several(name: str) -> None:
    net = network(name)
    found = fagm.module_types(net)
    groups = net.groups()
    kind = {}
    for m, parameters in found.specific.items():
        kind.update(dict.fromkeys(map(id, parameters), m))
    for one in found.general:
        kind.update(dict.fromkeys(map(id, one.parameters(recurse=False)), "several"))
    for m in MODALITIES:
        assert {kind.get(id(p)) for p in groups[f"enc.{m}"]} == {m}, m
    fused = {kind.get(id(p)) for p in groups["fusion"]}
    assert "several" in fused
    classifier = {id(p) for p in net.classifier.parameters()}
    assert not classifier & kind.keys()
    embeddings = [one for one in net.modules() if isinstance(one, nn.Embedding)]
    for one in embeddings:
        assert kind.get(id(one.weight)) in (None, *MODALITIES)


def test_the_factors_of_fagm_are_those_of_erasing_each_modality_by_hand() -> None:
    net = network("mlp").train()
    context = context_of(net, missing=0.0)
    made = fagm.FAGM(net, fagm.FAGMSettings(gamma=0.5, beta=0.5)).scaling([context], 0)
    assert made is not None
    assert net.training
    net.eval()

    def loss(erased: str | None) -> tuple[float, Tensor]:
        read = []
        hook = net.hidden[0].register_forward_pre_hook(lambda _, x: read.append(x[0]))
        present = context.conversations.present.clone()
        if erased:
            present[..., MODALITIES.index(erased)] = False
        given = Conversations(
            context.conversations.features, present, context.conversations.speakers,
            context.conversations.valid,
        )  # fmt: skip
        with torch.no_grad():
            logits = net(given).final.flatten(0, 1)[context.targets.rows]
        hook.remove()
        return float(functional.cross_entropy(logits, context.targets.labels)), read[0]

    whole, before = loss(None)
    gaps, moved = {}, {}
    for m in MODALITIES:
        lost, after = loss(m)
        gaps[m] = lost - whole
        moved[m] = (before - after).abs()[context.conversations.valid].mean(0)
    leads = fagm.lead(gaps, 0.5)
    factors = {id(p): one for p, one in made.factors}
    for m in MODALITIES:
        assert made.figures[f"factor_{m}"] == pytest.approx(1 - leads[m], abs=1e-5)
        for p in net.groups()[f"enc.{m}"]:
            assert float(factors[id(p)]) == pytest.approx(1 - leads[m], abs=1e-5)
    wanted = fagm.column_factors(moved, leads, 0.5)
    torch.testing.assert_close(factors[id(net.hidden[0].weight)], wanted, atol=1e-5, rtol=1e-4)
    assert id(net.hidden[0].bias) not in factors
    assert id(net.final.weight) not in factors


@pytest.mark.parametrize("mode", ["full", "causal", "buffer"])
@pytest.mark.parametrize("name", HIDDEN)
def test_padding_changes_no_factor_of_fagm(name: str, mode: str) -> None:
    net = network(name, mode)
    context = context_of(net, last=mode == "buffer")
    mine, theirs = (
        fagm.FAGM(net, fagm.FAGMSettings()).scaling([one], 0) for one in (context, padded(context))
    )
    assert mine is not None
    assert theirs is not None
    assert mine.figures == pytest.approx(theirs.figures, abs=1e-4)
    assert len(mine.factors) == len(theirs.factors) > 0
    for (parameter, factor), (same, other) in zip(mine.factors, theirs.factors, strict=True):
        assert parameter is same
        torch.testing.assert_close(factor, other, atol=1e-4, rtol=1e-4)


def test_what_depends_on_no_modality_is_left_alone_by_fagm() -> None:
    net = network("mlp")
    net.constant = nn.Linear(2, CLASSES)  # of nothing that was said
    read = net.final.forward
    net.final.forward = lambda x: read(x) + net.constant(x.new_ones(2))  # type: ignore[method-assign]
    found = fagm.module_types(net)
    assert net.constant not in found.general
    own = {id(p) for p in net.constant.parameters()}
    assert not own & {id(p) for parameters in found.specific.values() for p in parameters}


def test_fagm_slows_how_recurrent_networks_read_and_not_how_they_remember() -> None:
    net = network("dialogue_rnn")
    made = fagm.FAGM(net, fagm.FAGMSettings(beta=1.0)).scaling([context_of(net)], 0)
    assert made is not None
    factors = {id(parameter): factor for parameter, factor in made.factors}
    for cell in (one for one in net.modules() if isinstance(one, nn.GRUCell)):
        assert factors[id(cell.weight_ih)].shape == (cell.input_size,)
        assert factors[id(cell.weight_ih)].min() < 1
        for other in (cell.weight_hh, cell.bias_ih, cell.bias_hh):
            assert id(other) not in factors


def test_fagm_makes_its_factors_anew_every_so_many_steps_of_an_epoch() -> None:
    net = network("mlp")
    plugin = fagm.FAGM(net, fagm.FAGMSettings(every=2))
    steps = [context_of(net, missing=share) for share in (0.0, 0.5, 0.2)]
    first, second, third = (plugin.scaling([one], 0) for one in steps)
    assert first is second
    assert third is not second
    assert third is not None
    assert third.figures == fagm.FAGM(net, fagm.FAGMSettings()).scaling([steps[2]], 0).figures  # type: ignore[union-attr]
    assert plugin.scaling([steps[0]], 1) is not third


@pytest.mark.parametrize(
    ("ratio", "alpha", "wanted"),
    [(1.3, 0.037, 0.952), (1.3, 0.42, 0.502), (1 + 2e-6, 0.42, 0.603), (1.0, 0.42, 1.0),
     (0.5, 0.42, 1.0)],
)  # fmt: skip
def test_the_coefficient_at_a_given_ratio(ratio: float, alpha: float, wanted: float) -> None:
    assert coefficient(ratio, alpha) == pytest.approx(wanted, abs=6e-4)


def test_the_continuous_coefficient_begins_at_one() -> None:
    assert coefficient(1 + 1e-4, 0.42, continuous=True) == pytest.approx(1, abs=1e-4)
    assert coefficient(2.0, 0.42, continuous=True) == pytest.approx(1 - math.tanh(0.42))


def test_strengths_are_mean_probabilities_of_the_label_where_the_modality_is() -> None:
    net = network()
    context = context_of(net)
    found = strengths([context, context], MODALITIES)
    for place, m in enumerate(MODALITIES):
        told = []
        for n, row in enumerate(context.targets.rows.tolist()):
            if context.targets.present[n, place]:
                logits = context.answers.specific[m].flatten(0, 1)[row].tolist()
                top = math.exp(logits[int(context.targets.labels[n])])
                told.append(top / sum(map(math.exp, logits)))
        assert found[m] == pytest.approx(sum(told) / len(told), rel=1e-4)


def test_ratios_of_strengths() -> None:
    strong = {"text": 0.6, "audio": 0.2, "visual": 0.4}
    assert ratios_to_weakest(strong) == pytest.approx({"text": 3, "audio": 1, "visual": 2})
    assert ratios_to_others(strong) == pytest.approx({"text": 2, "audio": 0.4, "visual": 1})
    two = {"audio": 0.6, "visual": 0.2}
    assert ratios_to_others(two) == pytest.approx({"audio": 3, "visual": 1 / 3})
    assert ratios_to_others({"text": 0.6}) == {"text": 1}
    assert ratios_to_weakest({}) == {}


@pytest.mark.parametrize("name", ["ratio", "ogm_ge"])
def test_modulation_by_strength_scales_the_encoders_alone(name: str) -> None:
    net = network()
    context = context_of(net)
    strong = strengths([context], MODALITIES)
    if name == "ratio":
        made = Ratio(net, RatioSettings(alpha=0.3, start=0)).scaling([context], 0)
        ratios: Mapping[str, float] = ratios_to_weakest(strong)
    else:
        made = OGMGE(net, OGMGESettings(alpha=0.3)).scaling([context], 0)
        ratios = ratios_to_others(strong)
    assert made is not None
    factors = {id(p): float(one) for p, one in made.factors}
    groups = net.groups()
    for m in MODALITIES:
        wanted = 1 - math.tanh(0.3 * ratios[m]) if ratios[m] > 1 + 1e-6 else 1.0
        for p in groups[f"enc.{m}"]:
            assert factors[id(p)] == pytest.approx(wanted, rel=1e-5)
    elsewhere = [*groups["shared"], *groups["fusion"], *groups["heads"]]
    assert not factors.keys() & {id(p) for p in elsewhere}
    assert (made.noisy, made.unscaled_noise) == (True, name == "ogm_ge")


@pytest.mark.parametrize("stop", [False, True])
def test_hierarchical_distillation_by_loops(stop: bool) -> None:
    net = network("cmath")
    context = context_of(net)
    plugin = HierarchicalDistillation(net, HierarchicalSettings(1.5, 2.0, stop))
    found = plugin.losses(context, torch.Generator())
    low = high = 0.0
    answers = context.answers
    for n, row in enumerate(context.targets.rows.tolist()):
        fused = answers.fused.flatten(0, 1)[row]
        said = answers.final.flatten(0, 1)[row].softmax(-1)
        for place, m in enumerate(MODALITIES):
            if context.targets.present[n, place]:
                low += ((fused - answers.encoded[m].flatten(0, 1)[row]) ** 2).mean().item()
                own = answers.specific[m].flatten(0, 1)[row].softmax(-1)
                high += sum((p * (p / q).log()).item() for p, q in zip(said, own, strict=True))
    count = len(context.targets.rows)
    assert found["hvd_low"].item() == pytest.approx(1.5 * low / count, rel=1e-4)
    assert found["hvd_high"].item() == pytest.approx(2.0 * high / count, rel=1e-4)
    torch.autograd.backward(found["hvd_high"])
    taught = any(p.grad is not None and p.grad.any() for p in net.final.parameters())
    assert taught is not stop


def test_the_margin_loss_by_loops() -> None:
    random = torch.Generator().manual_seed(1)
    vectors = torch.randn(3, 6, 4, generator=random, dtype=torch.float64)
    labels = torch.tensor([0, 1, 0, 2, 1, 0])
    present = torch.rand(6, 3, generator=random) > 0.2
    nodes = [(m, n) for m, n in product(range(3), range(6)) if present[n, m]]

    def cosine(a: tuple[int, int], b: tuple[int, int]) -> float:
        return functional.cosine_similarity(vectors[a], vectors[b], dim=0).item()

    anchors = []
    for i in nodes:
        lost = [
            max(0.0, 0.2 - cosine(i, j) + cosine(i, k))
            for j in nodes
            for k in nodes
            if labels[j[1]] == labels[i[1]] and j[0] != i[0]
            and labels[k[1]] != labels[i[1]] and k[0] == i[0]
        ]  # fmt: skip
        if lost:
            anchors.append(sum(lost) / len(lost))
    found = margin_loss(vectors, labels, present, 0.2)
    assert float(found) == pytest.approx(sum(anchors) / len(anchors))


def test_a_margin_without_anchors_is_nothing() -> None:
    vectors = torch.randn(2, 3, 4)
    same = torch.zeros(3, dtype=torch.long)
    assert float(margin_loss(vectors, same, torch.ones(3, 2, dtype=torch.bool), 0.2)) == 0
    nobody = torch.zeros(3, 2, dtype=torch.bool)
    assert float(margin_loss(vectors, torch.arange(3), nobody, 0.2)) == 0


def test_the_margin_is_of_common_parts_where_there_are_any() -> None:
    for name, part in (("dmd", "shared"), ("cmath", "encoded")):
        net = network(name)
        context = context_of(net)
        plugin = Margin(net, MarginSettings(weight=2.0, rows=100))
        found = plugin.losses(context, torch.Generator().manual_seed(0))["margin"]
        vectors = torch.stack([context.rows(x) for x in getattr(context.answers, part).values()])
        wanted = margin_loss(vectors, context.targets.labels, context.targets.present, 0.2)
        assert found.item() == pytest.approx(2 * wanted.item(), rel=1e-5)


def test_the_priors_of_the_released_dmd() -> None:
    """In the order text, audio, visual; as (teacher, student)."""
    order = pairs(MODALITIES)
    homogeneous = dict(zip(order, prior("homogeneous", MODALITIES).tolist(), strict=True))
    heterogeneous = dict(zip(order, prior("heterogeneous", MODALITIES).tolist(), strict=True))
    for pair in order:
        liked = pair in (("text", "audio"), ("text", "visual"))
        assert homogeneous[pair] == pytest.approx(0.482 if liked else 0.009, abs=6e-4)
        liked = liked or pair == ("visual", "audio")
        assert heterogeneous[pair] == pytest.approx(0.327 if liked else 0.006, abs=6e-4)


@pytest.mark.parametrize(
    ("edges", "preferred"), [("incoming", "none"), ("all", "none"), ("all", "released")]
)
def test_graph_distillation_by_loops(edges: str, preferred: str) -> None:
    net = network("dmd")
    context = context_of(net)
    torch.manual_seed(6)
    made = GraphSettings(weight=0.5, size=4, edges=edges, prior=preferred)  # type: ignore[arg-type]
    plugin = GraphDistillation(net, made)
    found = plugin.losses(context, torch.Generator())
    rows = context.targets.rows.tolist()
    order = pairs(MODALITIES)
    for name, logits, vectors in (
        ("homogeneous", context.answers.homogeneous, context.answers.shared),
        ("heterogeneous", context.answers.specific, context.answers.encoded),
    ):
        graph = plugin.graphs[name]
        total, learned = 0.0, []
        for n, row in enumerate(rows):
            there = {m: bool(context.targets.present[n, i]) for i, m in enumerate(MODALITIES)}
            node = {
                m: torch.cat([graph.from_logits(logits[m].flatten(0, 1)[row]),
                              graph.from_vectors(vectors[m].flatten(0, 1)[row])])
                for m in MODALITIES
            }  # fmt: skip
            raw = {
                (i, j): math.exp(graph.edge(torch.cat([node[j], node[i]])).item() / 8)
                for i, j in order
                if there[i] and there[j]
            }
            for number, (i, j) in enumerate(order):
                if (i, j) not in raw:
                    continue
                rivals = [x for (_, other), x in raw.items() if edges == "all" or other == j]
                weight = raw[i, j] / sum(rivals)
                learned.append((number, weight, all(there.values())))
                if preferred == "released":
                    weight += float(prior(name, MODALITIES)[number])
                taught = logits[j].flatten(0, 1)[row].softmax(-1)
                teaches = logits[i].flatten(0, 1)[row].softmax(-1)
                total += weight * (taught - teaches).abs().sum().item() / len(rows)
        if preferred == "released":
            for number in range(6):
                mean = fmean(w for n, w, whole in learned if whole and n == number)
                total += 10 * (mean - float(prior(name, MODALITIES)[number])) ** 2
        assert found[f"graph_{name}"].item() == pytest.approx(0.5 * total, rel=1e-4)


def test_the_distance_along_an_edge_moves_its_student_alone_and_who_is_missing_has_none() -> None:
    net = network("cmath")
    edges = GraphDistillation(net, GraphSettings()).graphs["heterogeneous"]
    with torch.no_grad():
        for p in edges.parameters():
            p.zero_()
    logits = {m: torch.randn(4, CLASSES, requires_grad=True) for m in MODALITIES}
    vectors = {m: torch.randn(4, 8) for m in MODALITIES}
    lost = edges(logits, vectors, torch.tensor([[True, True, False]] * 4))
    torch.autograd.backward(lost.sum())
    text, audio = (logits[m].softmax(-1) for m in ("text", "audio"))
    torch.testing.assert_close(lost, 2 * (text - audio).abs().sum(-1))
    (wanted,) = torch.autograd.grad((text - audio.detach()).abs().sum(), logits["text"])
    torch.testing.assert_close(logits["text"].grad, wanted)
    assert not logits["visual"].grad.any()


@pytest.mark.parametrize("what", ["gradient", "update"])
def test_a_constant_factor_is_nothing_to_adam_unless_the_update_is_scaled(what: str) -> None:
    def trained(factor: float) -> Tensor:
        torch.manual_seed(0)
        parameter = nn.Parameter(torch.randn(4, 3))
        start = parameter.detach().clone()
        optimiser = torch.optim.Adam([parameter], lr=0.01)
        scaling = Scaling([(parameter, torch.tensor(factor))])
        for number in range(50):
            optimiser.zero_grad()
            torch.autograd.backward(((parameter - number % 7) ** 2).sum())
            scaling.step(optimiser, what, lambda: None)  # type: ignore[arg-type]
        return parameter.detach() - start

    slow, fast = trained(0.05), trained(1.0)
    if what == "gradient":
        torch.testing.assert_close(slow, fast, atol=1e-5, rtol=1e-5)
    else:
        assert slow.norm() < 0.1 * fast.norm()


def test_an_update_is_scaled_column_by_column_and_elsewhere_left_alone() -> None:
    scaled, free = nn.Parameter(torch.zeros(2, 3)), nn.Parameter(torch.zeros(2))
    factor = torch.tensor([0.0, 0.5, 1.0])
    for what in ("gradient", "update"):
        for p in (scaled, free):
            p.data.zero_()
            p.grad = torch.ones_like(p)
        made = Scaling([(scaled, factor)])
        optimiser = torch.optim.SGD([scaled, free], lr=1.0)
        made.step(optimiser, what, lambda: None)  # type: ignore[arg-type]
        assert scaled.tolist() == [[0.0, -0.5, -1.0]] * 2
        assert free.tolist() == [-1.0, -1.0]


@pytest.mark.parametrize(
    ("what", "loud", "wanted"),
    [("gradient", False, 0.25), ("gradient", True, 1.0), ("update", False, 0.25),
     ("update", True, 1.0)],
)  # fmt: skip
def test_the_noise_has_the_deviation_of_the_scaled_or_the_unscaled_gradient(
    what: str, loud: bool, wanted: float
) -> None:
    torch.manual_seed(1)
    parameter = nn.Parameter(torch.zeros(200, 200))
    gradient = torch.randn(200, 200)
    parameter.grad = gradient.clone()
    made = Scaling([(parameter, torch.tensor(0.25))], noisy=True, unscaled_noise=loud)
    made.scale(what)  # type: ignore[arg-type]
    scaled = gradient * (0.25 if what == "gradient" else 1.0)
    made.add_noise()
    reaches = 0.25 if what == "update" else 1.0
    assert float(reaches * (parameter.grad - scaled).std()) == pytest.approx(wanted, rel=0.02)


@pytest.mark.parametrize("loud", [False, True])
def test_a_plain_step_is_the_same_whether_gradient_or_update_is_scaled(loud: bool) -> None:
    made = []
    for what in ("gradient", "update"):
        torch.manual_seed(2)
        parameter = nn.Parameter(torch.zeros(6, 5, dtype=torch.float64))
        parameter.grad = torch.randn_like(parameter)
        factor = torch.tensor(0.3, dtype=torch.float64)
        scaling = Scaling([(parameter, factor)], noisy=True, unscaled_noise=loud)
        scaling.step(torch.optim.SGD([parameter], lr=0.1), what, lambda: None)  # type: ignore[arg-type]
        made.append(parameter.detach())
    torch.testing.assert_close(made[0], made[1])


def test_without_noise_nothing_is_drawn() -> None:
    parameter = nn.Parameter(torch.zeros(3))
    parameter.grad = torch.ones(3)
    before = torch.get_rng_state()
    Scaling([(parameter, torch.tensor(0.5))]).add_noise()
    assert torch.equal(before, torch.get_rng_state())
    assert parameter.grad.tolist() == [1, 1, 1]


def test_the_answers_of_a_network_without_common_parts_have_one_graph() -> None:
    assert list(GraphDistillation(network("cmath"), GraphSettings()).graphs) == ["heterogeneous"]
    assert list(GraphDistillation(network("dmd"), GraphSettings()).graphs) == [
        "homogeneous",
        "heterogeneous",
    ]
    assert isinstance(context_of(network("dmd")).answers, Answers)
