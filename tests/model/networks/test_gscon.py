"""What is GSCon's own: the shared encoder, its heads, and an objective with second derivatives."""

import pytest
import torch
from made_conversations import DIMS, conversations, everything

from gscon_live.model.labels import MODALITIES
from gscon_live.model.networks.consistency_losses import gdc, ssc
from gscon_live.model.networks.gscon import GSCon
from gscon_live.model.networks.network import Architecture, Mode


def network(mode: Mode = "buffer", modalities: tuple[str, ...] = MODALITIES) -> GSCon:
    torch.manual_seed(0)
    dims = {m: DIMS[m] for m in modalities}
    model = GSCon(Architecture(dims, mode=mode, width=16, heads=2, layers=2, reach=4))
    with torch.no_grad():
        for parameter in model.parameters():
            # Away from the initial zeros, so that every parameter takes part.
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


@pytest.mark.parametrize(
    ("mode", "used"), [("causal", range(3, 16)), ("buffer", range(3, 16)), ("full", range(9, 20))]
)
def test_the_shared_encoder_is_98_scalars_that_look_twelve_back(mode: Mode, used: range) -> None:
    """Or six to either side."""
    model = network(mode)
    assert sum(p.numel() for p in model.groups()["shared"]) == 98
    state, valid = torch.randn(1, 20, 16, requires_grad=True), torch.ones(1, 20, dtype=torch.bool)
    (gradient,) = torch.autograd.grad(model.share(state, valid)[0, 15].sum(), state)
    assert (gradient[0].abs().sum(1) > 0).nonzero()[:, 0].tolist() == list(used)


@pytest.mark.parametrize("mode", ["full", "causal", "buffer"])
def test_modalities_alone_are_encoded_apart_and_only_their_common_part_mixes(mode: Mode) -> None:
    model, batch = network(mode), conversations(1, 5, missing=0.0)
    batch.features["text"].requires_grad_()
    answers = model(batch)

    def reached(part: torch.Tensor) -> bool:
        (found,) = torch.autograd.grad(
            part.sum(), batch.features["text"], retain_graph=True, allow_unused=True
        )
        return found is not None and bool(found.any())

    assert reached(answers.encoded["text"])
    assert reached(answers.shared["text"])
    assert not reached(answers.encoded["audio"])
    assert not reached(answers.shared["audio"])
    for logits in (answers.final, answers.auxiliary, answers.common, *answers.specific.values()):
        assert reached(logits)


def test_the_auxiliary_head_reads_no_common_part() -> None:
    model, batch = network(), conversations(2, 5)
    before = model(batch)
    with torch.no_grad():
        model.share.second.weight.mul_(2)
    after = model(batch)
    assert torch.equal(before.auxiliary, after.auxiliary)
    assert not torch.equal(before.final, after.final)


def test_with_one_modality_the_common_part_is_its_own() -> None:
    model = network(modalities=("audio",))
    answers = model(conversations(2, 4, modalities=("audio",)))
    assert list(answers.shared) == ["audio"]
    assert everything(answers).shape == (2, 4, 4 * 7)


@pytest.mark.parametrize("modalities", [MODALITIES, ("text", "audio")])
@pytest.mark.parametrize("mode", ["full", "causal", "buffer"])
def test_the_whole_objective_reaches_every_parameter(
    mode: Mode, modalities: tuple[str, ...]
) -> None:
    """The second derivative of GDC included."""
    model, batch = network(mode, modalities).train(), conversations(8, 6, modalities=modalities)
    answers = model(batch)
    alone = [answers.specific[m][:, -1].logsumexp(-1).mean() for m in modalities]
    loss = everything(answers)[:, -1].square().mean()
    shared = [answers.shared[m][:, -1] for m in modalities]
    loss = loss + ssc(shared, torch.arange(8), 0.07) + gdc(alone, model.groups()["shared"])
    torch.autograd.backward(loss)
    idle = [name for name, p in model.named_parameters() if p.grad is None or (p.grad == 0).all()]
    assert idle == []
