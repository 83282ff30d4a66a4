"""What Ada2I, CMATH, DMD and MMGCN have of their own, against plain loops."""

import math
from functools import partial

import pytest
import torch
from made_conversations import DIMS, conversations, padded, places, row
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.labels import MODALITIES
from gscon_live.model.networks.ada2i import Ada2I, _cores, _mean_of_all, _mean_so_far
from gscon_live.model.networks.baselines.mmgcn import MMGCN
from gscon_live.model.networks.cmath import CMATH
from gscon_live.model.networks.dmd import DMD
from gscon_live.model.networks.layers.cross_attention import Convolution, CrossAttention
from gscon_live.model.networks.network import Architecture, Conversations, Mode, Network, build

MODES: tuple[Mode, ...] = ("full", "causal", "buffer")
every_mode = pytest.mark.parametrize("mode", MODES)


def network(name: str, mode: Mode = "causal", **sizes: object) -> Network:
    torch.manual_seed(5)
    chosen = {"width": 8, "heads": 2, "speakers": 3, "dropout": 0.0, **sizes}
    model = build(Architecture(DIMS, mode=mode, network=name, **chosen))  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.double().eval()


def talk(batch: int = 1, count: int = 6, missing: float = 0.0) -> Conversations:
    return conversations(batch, count, missing=missing, dtype=torch.float64)


@every_mode
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_convolution_is_that_of_torch_on_the_side_of_the_past(mode: Mode, size: int) -> None:
    torch.manual_seed(0)
    ours = Convolution(Architecture(DIMS, mode=mode), 3, 4, size)
    theirs = torch.nn.Conv1d(3, 4, size)
    with torch.no_grad():
        theirs.weight.copy_(ours.together.weight.view(4, size, 3).transpose(1, 2))
        theirs.bias.copy_(ours.together.bias)  # type: ignore[union-attr]
    given = torch.randn(2, 7, 3)
    before = (size - 1) // 2 if mode == "full" else size - 1
    padded = functional.pad(given.transpose(1, 2), (before, size - 1 - before))
    torch.testing.assert_close(ours(given), theirs(padded).transpose(1, 2))


def test_attention_to_another_modality_is_a_softmax_over_what_is_seen() -> None:
    torch.manual_seed(0)
    ask = CrossAttention(Architecture(DIMS, width=4, heads=2, reach=1)).double()
    with torch.no_grad():
        ask.distance.normal_()
    asking, asked = torch.randn(2, 1, 3, 4, dtype=torch.float64)
    seen = torch.ones(1, 3, 3, dtype=torch.bool).tril()
    found = ask(asking, asked, seen)
    keys, values = ask.key_value(asked)[0].chunk(2, -1)
    query = ask.query(asking)[0]
    for i in range(3):
        mixed = []
        for h in range(2):
            columns = slice(2 * h, 2 * h + 2)
            scores = [
                query[i, columns] @ keys[j, columns] / math.sqrt(2)
                + ask.distance[h, min(i - j, 1) + 1]
                for j in range(i + 1)
            ]
            weights = torch.stack(scores).softmax(0)
            mixed.append(sum(weights[j] * values[j, columns] for j in range(i + 1)))
        torch.testing.assert_close(found[0, i], ask.out(torch.cat(mixed)))


@every_mode
def test_ada2i_weighs_each_feature_by_the_product_of_cores(mode: Mode) -> None:
    """The tensor ring, utterance by utterance, from its definition."""
    model = network("ada2i", mode, options={"rank": 3, "weightings": 1, "residual": 0.2})
    assert isinstance(model, Ada2I)
    layer = model._layers[0]
    count = 5
    states = [torch.randn(1, count, 8, dtype=torch.float64) for _ in MODALITIES]
    cores = {
        m: [
            torch.outer(layer.query_rows[m](x[0, i]), layer.query_columns[m](x[0, i]))
            * torch.outer(layer.key_rows[m](x[0, i]), layer.key_columns[m](x[0, i]))
            for i in range(count)
        ]
        for m, x in zip(MODALITIES, states, strict=True)
    }
    factors, valid = layer.factors(states), torch.ones(1, count, dtype=torch.bool)
    mean = _mean_of_all if mode == "full" else _mean_so_far
    made, _ = layer(states, factors, mean(_cores(*factors), valid))
    for i in range(count):
        known = range(count) if mode == "full" else range(i + 1)
        for place, m in enumerate(MODALITIES):
            product = cores[m][i]
            for other in MODALITIES:
                if other != m:
                    product = product @ (sum(cores[other][j] for j in known) / len(known))
            attention = layer.attend[m](product.flatten())
            wanted = attention * states[place][0, i] + 0.2 * states[place][0, i]
            torch.testing.assert_close(made[place][0, i], wanted)


def test_ada2i_answers_by_cosines_that_add_up() -> None:
    """Each class' weights have length one, whatever they are, and so have the features."""
    model, batch = network("ada2i"), talk()
    assert isinstance(model, Ada2I)
    answers = model(batch)
    for m, x in answers.encoded.items():
        for label in range(7):
            weight = model.final[m].weight[label]
            cosine = x[0, 2] @ weight / x[0, 2].norm() / weight.norm()
            wanted = model.scale * cosine + model.bias[label] / 3
            torch.testing.assert_close(answers.specific[m][0, 2, label], wanted)
    torch.testing.assert_close(answers.final, sum(answers.specific.values()))
    with torch.no_grad():
        for layer in model.final.values():
            layer.weight.mul_(5)
    torch.testing.assert_close(model(batch).final, answers.final)


def test_the_mapping_network_of_ada2i_and_the_attention_learn_from_each_other() -> None:
    """If only the mapping network followed, nothing would bound the attention: the classifier reads
    cosines, so that features and attention would grow together without end."""
    model = network("ada2i", options={"weightings": 1}).train()
    assert isinstance(model, Ada2I)
    lost = model(talk()).own["feature"]
    assert lost.shape == (1, 6)
    torch.autograd.backward(lost.sum())
    layer = model._layers[0]
    for part in (layer.mapping, layer.attend):
        assert all(p.grad is not None and p.grad.any() for p in part.parameters())


def test_what_the_mapping_network_of_ada2i_misses_is_a_mean_distance_for_each_layer() -> None:
    """By loops: over layers, of the mean over modalities and features of the absolute distance."""
    model, batch = network("ada2i", dropout=0.0).train(), talk()
    assert isinstance(model, Ada2I)
    heard: dict[tuple[int, str, str], Tensor] = {}

    def keep(place: tuple[int, str, str], _: object, __: object, made: Tensor) -> None:
        heard[place] = made

    for number, layer in enumerate(model._layers):
        for part in ("mapping", "attend"):
            for m in MODALITIES:
                hook = partial(keep, (number, part, m))
                getattr(layer, part)[m].register_forward_hook(hook)
    found = model(batch).own["feature"]
    for i in range(6):
        wanted = 0.0
        for number in range(len(model._layers)):
            for m in MODALITIES:
                mapped, attended = (
                    heard[number, part, m][0, i].tolist() for part in ("mapping", "attend")
                )
                apart = [abs(a - b) for a, b in zip(mapped, attended, strict=True)]
                wanted += sum(apart) / len(apart) / len(MODALITIES)
        assert found[0, i].item() == pytest.approx(wanted, rel=1e-4)


def test_the_gaussian_of_cmath_is_the_mean_of_means_and_deviations() -> None:
    """Its answers take the mean, and in training a sample around it with the mean deviation."""
    model, batch = network("cmath"), talk(count=3)
    assert isinstance(model, CMATH)
    answers = model(batch)
    means = [model.mean(x) for x in answers.encoded.values()]
    torch.testing.assert_close(answers.fused, sum(means) / 3)
    torch.testing.assert_close(answers.final, model.final(sum(means) / 3))
    deviation = sum(functional.softplus(model.deviation(x)) for x in answers.encoded.values()) / 3
    model.train()
    drawn = model(batch.map_tensors(lambda x: x.repeat(4000, *[1] * (x.dim() - 1)))).fused
    torch.testing.assert_close(drawn.mean(0), answers.fused[0], atol=0.08, rtol=0.0)
    torch.testing.assert_close(drawn.std(0), deviation[0], atol=0.0, rtol=0.08)


def test_cmath_gives_the_features_back_that_were_there() -> None:
    model, batch = network("cmath", options={"kernel": 1}).train(), talk(missing=0.4)
    assert isinstance(model, CMATH)
    lost = model(batch).own["reconstruction"]
    for i in range(6):
        wanted = 0.0
        for place, m in enumerate(MODALITIES):
            if batch.present[0, i, place]:
                given = batch.features[m][0, i]
                back = model.back[m].together(model.enter[m].together(given))
                wanted += ((back - given) ** 2).mean().item()
        assert lost[0, i].item() == pytest.approx(wanted)


def test_what_others_say_enters_what_the_central_modality_of_cmath_makes_of_itself() -> None:
    """Equations 9 to 14 for one central modality."""
    model = network("cmath")
    assert isinstance(model, CMATH)
    layer = model._central_layer("text")
    states = {m: torch.randn(1, 4, 8, dtype=torch.float64) for m in MODALITIES}
    seen = torch.ones(1, 4, 4, dtype=torch.bool).tril()
    found = layer(states, "text", lambda q, x, c, m: layer.attention(m)(q, x, seen))
    h = states["text"]
    raw = {m: layer.attention(m)(h, x, seen) for m, x in states.items()}
    branches = []
    for m in MODALITIES:
        told = raw[m] if m != "text" else raw["text"] + raw["audio"] + raw["visual"]
        asked = layer.norm_asked[m](told + h)
        branches.append(layer.norm_fed[m](layer.feed[m](asked) + asked))
    assert layer.gate is not None
    gate = layer.gate(torch.cat(branches, -1)).view(1, 4, 3, 8).softmax(2)
    wanted = sum(gate[:, :, place] * branch for place, branch in enumerate(branches))
    torch.testing.assert_close(found, wanted)


def test_the_decoupling_losses_of_dmd() -> None:
    model, batch = network("dmd").train(), talk(missing=0.3)
    assert isinstance(model, DMD)
    projected = {m: model.enter[m](batch.features[m]) for m in MODALITIES}
    shallow = model._shallow(projected, batch)
    own = model._decoupling_losses(
        shallow, {m: model.share(x) for m, x in shallow.items()}, batch.present
    )
    for i in range(6):
        lost = {"reconstruction": 0.0, "cycle": 0.0, "orthogonality": 0.0}
        for place, m in enumerate(MODALITIES):
            if not batch.present[0, i, place]:
                continue
            x = shallow[m][0, i]
            common, private = model.share(x), model.private[m](x)
            back = model.decode[m](torch.cat([private, common]))
            again = model.private[m](back)
            cosine = common @ private / common.norm() / private.norm()
            lost["reconstruction"] += 0.1 * ((back - x) ** 2).mean().item()
            lost["cycle"] += 0.1 * ((again - private) ** 2).mean().item()
            lost["orthogonality"] += 0.01 * max(0.0, cosine.item())
        for name, value in lost.items():
            assert own[name][0, i].item() == pytest.approx(value), name


def test_dmd_answers_for_the_common_parts_and_for_private_ones_that_asked_the_others() -> None:
    model, batch = network("dmd", layers=2), talk()
    assert isinstance(model, DMD)
    seen = torch.ones(1, 6, 6, dtype=torch.bool).tril()
    shallow = model._shallow({m: model.enter[m](batch.features[m]) for m in MODALITIES}, batch)
    answers = model(batch)

    def grown(layers: nn.Module, given: Tensor) -> Tensor:
        first, _, _, second = layers.beside  # type: ignore[misc, union-attr]
        return given + second(first(given).relu())  # type: ignore[no-any-return]

    common = torch.cat(
        [model.follow_common[m](model.share(shallow[m]), seen) for m in MODALITIES], -1
    )
    common = grown(model.grow_common, common)
    torch.testing.assert_close(answers.common, model.common(common))
    gated = []
    for m in MODALITIES:
        opinion, layer = model.homogeneous[m]  # type: ignore[misc]
        wanted = layer(grown(opinion, model.share(shallow[m])))
        torch.testing.assert_close(answers.homogeneous[m], wanted)
        heard = []
        for other in MODALITIES:
            if other == m:
                continue
            state = model.private[m](shallow[m])
            for ask in model.ask[f"{m}_{other}"]:  # type: ignore[union-attr]
                told = ask.norm_told(model.private[other](shallow[other]))
                state = state + ask.attention(ask.norm_query(state), told, seen)
                state = state + ask.feed(ask.norm_feed(state))
            heard.append(state)
        followed = model.follow_private[m](model.told[m](torch.cat(heard, -1)), seen)
        private = grown(model.grow_private[m], followed)
        torch.testing.assert_close(answers.specific[m], model.specific[m](private))
        gated.append(model.gate[m](followed).sigmoid())
    gated.append(model.gate_common(common).sigmoid())
    fused = grown(model.grow_fused, torch.cat(gated, -1))
    torch.testing.assert_close(answers.final, model.final(fused))


def test_the_shared_encoder_of_dmd_is_one_for_all_modalities() -> None:
    model, batch = network("dmd"), talk(count=2)
    groups = model.groups()
    assert [p.shape for p in groups["shared"]] == [(8, 8)]
    before = model(batch)
    with torch.no_grad():
        groups["shared"][0].mul_(2)
    after = model(batch)
    for m in MODALITIES:
        torch.testing.assert_close(after.shared[m], 2 * before.shared[m])
        assert not torch.equal(after.homogeneous[m], before.homogeneous[m])
        assert torch.equal(after.specific[m], before.specific[m])


def test_mmgcn_is_a_graph_convolution() -> None:
    """With the adjacency matrix of all nodes written down, and GCNII's layer."""
    model, count, sizes = network("mmgcn", layers=2), 4, len(MODALITIES)
    assert isinstance(model, MMGCN)
    batch = talk(count=count)
    encoded = model._encode(batch)
    first = model._nodes(encoded, batch)[:, 0].flatten(0, 1)  # nodes by modality, then utterance
    size = sizes * count
    joined = torch.zeros(size, size, dtype=torch.float64)
    for a in range(size):
        for b in range(size):
            (m, i), (o, j) = divmod(a, count), divmod(b, count)
            if (m == o and j <= i) or i == j:
                cosine = first[a] @ first[b] / first[a].norm() / first[b].norm()
                cosine = cosine.clamp(-1 + 1e-5, 1 - 1e-5)
                joined[a, b] = 1 - math.acos(cosine.item()) / math.pi
    scale = joined.sum(1).rsqrt()
    normed = scale[:, None] * joined * scale
    state = first
    for number, layer in enumerate(model.layers, 1):
        beta = math.log(0.5 / number + 1)
        kept = 0.9 * normed @ state + 0.1 * first
        state = (beta * layer(kept) + (1 - beta) * kept).relu()
    by_utterance = torch.cat(
        [x.view(sizes, count, 8).transpose(0, 1).flatten(1) for x in (first, state)], 1
    )
    torch.testing.assert_close(model(batch).final[0], model.final(by_utterance))


@pytest.mark.parametrize("name", ["ada2i", "cmath", "dmd"])
def test_a_networks_own_losses_are_of_training_and_of_each_utterance(name: str) -> None:
    model, batch = network(name), talk(2, 5)
    assert model(batch).own == {}
    assert all(loss.shape == (2, 5) for loss in model.train()(batch).own.values())
    assert all(loss.shape == (2, 1) for loss in model(batch, last=True).own.values())
    turn = places(row(batch, 0), slice(1))
    assert model.eval().step(model.start(), turn)[0].own == {}


@every_mode
@pytest.mark.parametrize("name", ["ada2i", "cmath", "dmd"])
def test_a_networks_own_losses_know_no_padding_and_no_batch_mates(name: str, mode: Mode) -> None:
    model, batch = network(name, mode).train(), talk(2, 5, missing=0.3)
    together = model(padded(batch, 2, 1)).own
    assert together
    for number in range(2):
        alone = model(row(batch, number)).own
        assert alone.keys() == together.keys()
        for loss, each in alone.items():
            torch.testing.assert_close(together[loss][number, 2:7], each[0])
