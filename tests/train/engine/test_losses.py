"""The objective: a network's own losses and GSCon's two, against plain formulas, and in parts."""

import dataclasses
from itertools import combinations

import msgspec
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_corpus import DIMS, LABELS, corpus

from gscon_live.model.labels import MODALITIES
from gscon_live.model.networks.network import Answers, Architecture, Network, build
from gscon_live.train import balance
from gscon_live.train.balance.plugin import StepContext
from gscon_live.train.data.batching import Dialogues
from gscon_live.train.engine.losses import (
    StepTotals,
    Targets,
    Terms,
    Weighted,
    Weighting,
    network_losses,
    step_totals,
)

SIX = ("final", "auxiliary", "common", *MODALITIES)
CLASSES = torch.tensor([0.5, 1.0, 2.0])


def network(dims: dict[str, int] = DIMS, direct: int = 0) -> Network:
    torch.manual_seed(3)
    a = Architecture(dims, "causal", width=16, heads=2, dropout=0.0, direct=direct)
    return build(msgspec.structs.replace(a, classes=len(LABELS)))


def answered(net: Network) -> tuple[Answers, Targets]:
    batch = Dialogues(corpus(modalities=net.modalities).splits["train"]).take(range(5))
    return net(batch.conversations), batch.targets


def random() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def objective(
    net: Network,
    answers: Answers,
    targets: Targets,
    weighting: Weighting,
    step: StepTotals,
    plugins: balance.PluginSettings = {},  # noqa: B006 - it is only read
    measure: bool = False,
    draws: torch.Generator | None = None,
) -> Terms:
    """The objective of a batch that was answered."""
    conversations = Dialogues(corpus(modalities=net.modalities).splits["train"]).take(range(5))
    losses = network_losses(net.modalities, answers, targets, weighting, step)
    context = StepContext(net, conversations.conversations, False, answers, targets, step, losses)
    return balance.objective(context, balance.plugins(plugins, net), draws or random(), measure)


BOTH: balance.PluginSettings = {"ssc": {"weight": 1.0}, "gdc": {"weight": 0.5}}


def plain_cross_entropy(
    logits: torch.Tensor, targets: Targets, weighting: Weighting, there: torch.Tensor
) -> float:
    """The weighted mean over utterances of the cross-entropy with smoothed labels, one by one."""
    total = weight = 0.0
    flat = logits.detach().flatten(0, 1)
    for row, label, counts in zip(targets.rows, targets.labels, there, strict=True):
        if not counts:
            continue
        weights = torch.ones(len(LABELS)) if weighting.classes is None else weighting.classes
        wanted = torch.full((len(LABELS),), weighting.smoothing / len(LABELS))
        wanted[label] += 1 - weighting.smoothing
        total += float(-(wanted * weights * flat[row].log_softmax(0)).sum())
        weight += float(weights[label])
    return total / weight


@pytest.mark.parametrize("classes", [None, CLASSES])
def test_the_six_terms_are_weighted_means_over_the_utterances_that_have_label_and_modality(
    classes: torch.Tensor | None,
) -> None:
    net = network()
    answers, targets = answered(net)
    weighting = Weighting(smoothing=0.1, classes=classes)
    found = objective(net, answers, targets, weighting, step_totals([targets], weighting))
    everywhere = torch.ones(len(targets.rows), dtype=torch.bool)
    wanted = {
        "final": plain_cross_entropy(answers.final, targets, weighting, everywhere),
        "auxiliary": plain_cross_entropy(answers.auxiliary, targets, weighting, everywhere),
        "common": plain_cross_entropy(answers.common, targets, weighting, everywhere),
    }
    for place, m in enumerate(MODALITIES):
        wanted[m] = plain_cross_entropy(
            answers.specific[m], targets, weighting, targets.present[:, place]
        )
    assert set(found.parts) == set(SIX) == set(wanted)
    for name, value in wanted.items():
        assert float(found.parts[name]) == pytest.approx(value, rel=1e-5), name
    assert found.total.item() == pytest.approx(sum(wanted.values()), rel=1e-5)


@pytest.mark.parametrize("classes", [None, CLASSES])
def test_soft_labels_are_the_labels_in_their_proportions(classes: torch.Tensor | None) -> None:
    """Each utterance counts by every label as much as it has of it."""
    net = network()
    answers, targets = answered(net)
    weighting = Weighting(smoothing=0.1, classes=classes)
    count = len(targets.labels)
    soft = torch.rand(count, len(LABELS), generator=random())
    soft /= soft.sum(1, keepdim=True)
    softly = dataclasses.replace(targets, soft=soft)
    found = objective(net, answers, softly, weighting, step_totals([softly], weighting))
    weights = torch.ones(len(LABELS)) if classes is None else classes
    total = 0.0
    for label in range(len(LABELS)):
        one = dataclasses.replace(targets, labels=torch.full((count,), label))
        for row in range(count):
            there = torch.arange(count) == row
            mean = plain_cross_entropy(answers.final, one, weighting, there)
            total += float(soft[row, label] * weights[label]) * mean
    wanted = total / float((soft @ weights).sum())
    assert float(found.parts["final"]) == pytest.approx(wanted, rel=1e-5)


def test_a_direct_head_learns_from_the_utterances_that_have_words() -> None:
    net = network(direct=2).train()
    answers, targets = answered(net)
    assert answers.direct is not None
    found = objective(net, answers, targets, Weighting(), step_totals([targets], Weighting()))
    wanted = plain_cross_entropy(answers.direct, targets, Weighting(), targets.present[:, 0])
    assert float(found.parts["direct"]) == pytest.approx(wanted, rel=1e-5)
    assert found.total.item() == pytest.approx(float(sum(found.parts.values())), rel=1e-5)


def test_labels_are_those_of_the_batch_and_nothing_else_counts() -> None:
    batch = Dialogues(corpus().splits["train"]).take(range(5))
    targets = batch.targets
    seen = 0
    for place, row in enumerate(targets.rows.tolist()):
        b, n = divmod(row, batch.labels.shape[1])
        assert batch.labels[b, n] == targets.labels[place] >= 0
        assert torch.equal(batch.conversations.present[b, n], targets.present[place])
        seen += 1
    assert seen == int((batch.labels >= 0).sum()) < batch.labels.numel()


def test_the_consistency_losses_are_weighed_and_added() -> None:
    net = network()
    answers, targets = answered(net)
    step = step_totals([targets], Weighting())
    chosen = {"ssc": {"weight": 2.0}, "gdc": {"weight": 0.5}}
    task = objective(net, answers, targets, Weighting(), step)
    both = objective(net, answers, targets, Weighting(), step, chosen)
    assert -1 <= float(both.parts["gdc"]) < 0 < float(both.parts["ssc"])
    wanted = task.total + 0.5 * both.parts["gdc"] + 2.0 * both.parts["ssc"]
    assert both.total.item() == pytest.approx(wanted.item(), rel=1e-6)
    assert {name: both.parts[name] for name in SIX} == task.parts


def test_the_cosines_are_those_of_the_gradients_and_agree_with_gdc() -> None:
    net = network()
    answers, targets = answered(net)
    step = step_totals([targets], Weighting())
    found = objective(net, answers, targets, Weighting(), step, {"gdc": {}})
    measured = objective(net, answers, targets, Weighting(), step, measure=True)
    assert found.cosines == measured.cosines
    assert objective(net, answers, targets, Weighting(), step, {"ssc": {}}).cosines == {}
    gradients = {}
    for m in MODALITIES:
        fresh = net(Dialogues(corpus().splits["train"]).take(range(5)).conversations)
        there = targets.present[:, MODALITIES.index(m)]
        rows = fresh.specific[m].flatten(0, 1)[targets.rows[there]]
        loss = torch.nn.functional.cross_entropy(rows, targets.labels[there])
        net.zero_grad()
        loss.backward()
        gradients[m] = torch.cat([p.grad.flatten() for p in net.groups()["shared"]])
    wanted = {
        f"{a}_{b}": float(gradients[a] @ gradients[b] / gradients[a].norm() / gradients[b].norm())
        for a, b in combinations(MODALITIES, 2)
    }
    assert {k: float(v) for k, v in found.cosines.items()} == pytest.approx(wanted, abs=1e-4)
    length = (3 + 2 * sum(wanted.values())) ** 0.5 / 3
    assert float(found.parts["gdc"]) == pytest.approx(-length, abs=1e-4)


def test_a_modality_that_nobody_has_says_nothing() -> None:
    net = network()
    batch = Dialogues(corpus().splits["train"]).take(range(5))
    present = batch.conversations.present & torch.tensor([True, False, True])
    batch = dataclasses.replace(
        batch, conversations=dataclasses.replace(batch.conversations, present=present)
    )
    targets = batch.targets
    step = step_totals([targets], Weighting())
    found = objective(net, net(batch.conversations), targets, Weighting(), step, BOTH, True)
    assert set(found.parts) == {*SIX, "gdc", "ssc"} - {"audio"}
    assert set(found.cosines) == {"text_visual"}
    assert found.total.isfinite()


def test_one_modality_alone_has_nothing_to_be_consistent_with() -> None:
    net = network({"text": 6})
    answers, targets = answered(net)
    step = step_totals([targets], Weighting())
    found = objective(net, answers, targets, Weighting(), step, BOTH, True)
    assert set(found.parts) == {"final", "auxiliary", "common", "text"}
    assert found.cosines == {}


def test_heads_that_a_network_does_not_have_are_left_out() -> None:
    net = network()
    answers, targets = answered(net)
    bare = Answers(answers.final, answers.specific, answers.encoded, answers.fused)
    step = step_totals([targets], Weighting())
    found = objective(net, bare, targets, Weighting(), step, BOTH, True)
    assert set(found.parts) == {"final", *MODALITIES}
    assert found.cosines == {}


def test_opinions_on_common_parts_and_a_networks_own_losses_are_learned_too() -> None:
    torch.manual_seed(3)
    a = Architecture(DIMS, "causal", width=16, heads=2, dropout=0.0, network="dmd")
    net = build(msgspec.structs.replace(a, classes=len(LABELS))).train()
    answers, targets = answered(net)
    step = step_totals([targets], Weighting())
    found = objective(net, answers, targets, Weighting(), step, {"gdc": {}})
    opinions = {*MODALITIES, *(f"homogeneous_{m}" for m in MODALITIES), "common", "final"}
    assert set(found.parts) == {*opinions, *answers.own, "gdc"}
    for place, m in enumerate(MODALITIES):
        wanted = plain_cross_entropy(
            answers.homogeneous[m], targets, Weighting(), targets.present[:, place]
        )
        assert float(found.parts[f"homogeneous_{m}"]) == pytest.approx(wanted, rel=1e-5)
    for name in ("reconstruction", "cycle", "orthogonality"):
        mean = answers.own[name].flatten()[targets.rows].mean()
        assert float(found.parts[name]) == pytest.approx(mean.item(), rel=1e-5)
    # GDC is of the losses on the common parts: those on the private ones do not reach the encoder.
    shared = net.groups()["shared"]
    losses = []
    for place, m in enumerate(MODALITIES):
        rows = targets.rows[targets.present[:, place]]
        labels = targets.labels[targets.present[:, place]]
        logits = net(Dialogues(corpus().splits["train"]).take(range(5)).conversations)
        own = torch.nn.functional.cross_entropy(logits.homogeneous[m].flatten(0, 1)[rows], labels)
        losses.append(torch.autograd.grad(own, shared)[0].flatten())
    length = torch.stack([one / one.norm() for one in losses]).mean(0).norm()
    assert float(found.parts["gdc"]) == pytest.approx(-length.item(), abs=1e-4)


@settings(max_examples=20, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    weighed=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.1]),
)
def test_the_parts_of_a_step_add_up_to_it(
    sizes: list[int], weighed: bool, smoothing: float
) -> None:
    """Values and gradients of the cross-entropies, whatever the parts' sizes."""
    net = network()
    whole = Dialogues(corpus(dialogues=16).splits["train"])
    weighting = Weighting(smoothing=smoothing, classes=CLASSES if weighed else None)
    starts = [sum(sizes[:place]) for place in range(len(sizes) + 1)]
    groups = [range(starts[i], starts[i + 1]) for i in range(len(sizes))]

    def gradients(batches: list[range]) -> tuple[float, list[torch.Tensor]]:
        taken = [whole.take(rows) for rows in batches]
        step = step_totals([one.targets for one in taken], weighting)
        net.zero_grad()
        total = 0.0
        for one in taken:
            answers = net(one.conversations)
            losses = network_losses(net.modalities, answers, one.targets, weighting, step)
            terms = Terms.of(losses)
            terms.total.backward()
            total += terms.total.item()
        return total, [p.grad.clone() for p in net.parameters() if p.grad is not None]

    one, in_one = gradients([range(starts[-1])])
    several, in_several = gradients(groups)
    assert several == pytest.approx(one, rel=1e-5)
    for first, second in zip(in_one, in_several, strict=True):
        assert torch.allclose(first, second, atol=1e-5)


def test_the_consistency_losses_of_a_step_are_means_over_its_parts() -> None:
    net = network()
    answers, targets = answered(net)
    steps = (step_totals([targets], Weighting()), step_totals([targets, targets], Weighting()))
    alone, half = (objective(net, answers, targets, Weighting(), step, BOTH) for step in steps)
    for name in ("gdc", "ssc", *SIX):
        assert float(half.parts[name]) == pytest.approx(float(alone.parts[name]) / 2, rel=1e-6)


def test_the_mass_is_of_weights_and_of_those_present() -> None:
    targets = Targets(
        torch.arange(3), torch.tensor([0, 2, 2]), torch.tensor([[1, 0], [1, 0], [0, 0]]).bool()
    )
    assert step_totals([targets], Weighting()) == StepTotals(3.0, (2.0, 0.0), 3, 1)
    assert step_totals([targets, targets], Weighting(classes=CLASSES)) == StepTotals(
        9.0, (5.0, 0.0), 6, 2
    )


def test_ssc_compares_a_fixed_number_of_rows_and_draws_them() -> None:
    net = network()
    answers, targets = answered(net)
    step = step_totals([targets], Weighting())

    def found(rows: int, seed: int) -> float:
        drawn = torch.Generator().manual_seed(seed)
        chosen = {"ssc": {"rows": rows}}
        terms = objective(net, answers, targets, Weighting(), step, chosen, draws=drawn)
        return float(terms.parts["ssc"])

    assert found(8, 1) == found(8, 1) != found(8, 2)
    everything = len(targets.rows)
    assert found(everything, 1) == pytest.approx(found(everything + 50, 2), rel=1e-4)


def test_a_loss_with_its_weight_beside_it_is_shown_without() -> None:
    first, second, third = torch.tensor([2.0, 3.0, 5.0])
    terms = Terms.of({"a": first}).plus({"b": second, "c": Weighted(third, 0.5)})
    assert float(terms.total) == 2 + 3 + 2.5
    assert {name: float(value) for name, value in terms.parts.items()} == {"a": 2, "b": 3, "c": 5}
