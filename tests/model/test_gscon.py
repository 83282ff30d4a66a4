"""The network answers from the conversation alone: not from batch mates, padding or the future."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model.consistency import gdc, ssc
from model.gscon import GSCon
from model.labels import MODALITIES
from model.network import Answers, Architecture, Conversations, Mode

DIMS = {"text": 7, "audio": 5, "visual": 6}
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def network(mode: Mode = "buffer", layers: int = 2, seed: int = 0) -> GSCon:
    torch.manual_seed(seed)
    model = GSCon(Architecture(DIMS, mode=mode, width=16, heads=2, layers=layers, reach=4))
    with torch.no_grad():
        for parameter in model.parameters():
            # Away from the initial zeros, so that every parameter takes part.
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def conversations(batch: int, count: int, seed: int = 0, missing: float = 0.3) -> Conversations:
    random = torch.Generator().manual_seed(seed)
    return Conversations(
        features={m: torch.randn(batch, count, DIMS[m], generator=random) for m in MODALITIES},
        present=torch.rand(batch, count, 3, generator=random) >= missing,
        speakers=torch.randint(0, 3, (batch, count), generator=random),
        valid=torch.ones(batch, count, dtype=torch.bool),
    )


def cut(given: Conversations, rows: slice | Sequence[int], places: slice) -> Conversations:
    return Conversations(
        {m: x[rows, places] for m, x in given.features.items()},
        given.present[rows, places],
        given.speakers[rows, places],
        given.valid[rows, places],
    )


def padded(given: Conversations, before: int, after: int) -> Conversations:
    """The same with padding full of rubbish."""

    def around(x: Tensor, fill: float) -> Tensor:
        shape = list(x.shape)
        pieces = []
        for length in (before, after):
            shape[1] = length
            pieces.append(torch.full(shape, fill).to(x.dtype))
        return torch.cat([pieces[0], x, pieces[1]], 1)

    return Conversations(
        {m: around(x, 9.0) for m, x in given.features.items()},
        around(given.present, 1),
        around(given.speakers, 2),
        around(given.valid, 0),
    )


def everything(answers: Answers) -> Tensor:
    return torch.cat(
        [answers.final, answers.auxiliary, answers.common, *answers.specific.values()], -1
    )


@pytest.mark.parametrize("mode", ["full", "causal", "buffer"])
@settings(max_examples=10, deadline=None)
@given(count=st.integers(1, 9), before=st.integers(0, 9), after=st.integers(0, 9))
def test_padding_and_batch_mates_change_nothing(
    mode: Mode, count: int, before: int, after: int
) -> None:
    model, batch = network(mode), conversations(3, count)
    together = everything(model(padded(batch, before, after)))[:, before : before + count]
    for row in range(3):
        alone = everything(model(cut(batch, [row], slice(None))))
        torch.testing.assert_close(together[row : row + 1], alone, **CLOSE)


@pytest.mark.parametrize("mode", ["causal", "buffer"])
@settings(max_examples=10, deadline=None)
@given(count=st.integers(2, 20), place=st.integers(1, 19))
def test_the_future_changes_nothing(mode: Mode, count: int, place: int) -> None:
    model, place = network(mode), min(place, count - 1)
    whole = everything(model(conversations(1, count)))[:, :place]
    prefix = everything(model(cut(conversations(1, count), slice(None), slice(place))))
    torch.testing.assert_close(whole, prefix, **CLOSE)


@settings(max_examples=15, deadline=None)
@given(count=st.integers(1, 20), before=st.integers(0, 5))
def test_asking_for_the_last_answer_alone_gives_the_same_one(count: int, before: int) -> None:
    model, batch = network("buffer"), padded(conversations(2, count), before, 0)
    whole, last = model(batch), model(batch, last=True)
    torch.testing.assert_close(everything(whole)[:, -1:], everything(last), **CLOSE)
    for m in MODALITIES:
        torch.testing.assert_close(whole.shared[m][:, -1:], last.shared[m], **CLOSE)


def test_in_full_mode_nothing_is_last() -> None:
    with pytest.raises(ValueError, match="both sides"):
        network("full")(conversations(1, 3), last=True)


def test_in_full_mode_the_future_does_count() -> None:
    model, batch = network("full"), conversations(1, 8)
    prefix = everything(model(cut(batch, slice(None), slice(4))))
    assert (everything(model(batch))[:, :4] - prefix).abs().max() > 1e-3


@pytest.mark.parametrize("mode", ["full", "causal", "buffer"])
def test_one_utterance_alone_has_an_answer(mode: Mode) -> None:
    answers = network(mode)(conversations(1, 1))
    assert answers.final.shape == (1, 1, 7)
    assert everything(answers).isfinite().all()


def test_everything_missing_still_has_an_answer() -> None:
    assert everything(network()(conversations(2, 5, missing=2.0))).isfinite().all()


def test_what_is_missing_is_not_read() -> None:
    model, batch = network(), conversations(2, 6, missing=0.5)
    rubbish = Conversations(
        {
            m: torch.where(batch.present[..., place, None], x, torch.full_like(x, 3.0))
            for place, (m, x) in enumerate(batch.features.items())
        },
        batch.present,
        batch.speakers,
        batch.valid,
    )
    torch.testing.assert_close(everything(model(batch)), everything(model(rubbish)), **CLOSE)


def test_missing_is_not_the_same_as_zero() -> None:
    model, batch = network(), conversations(1, 4, missing=0)
    zero = Conversations(
        {m: torch.zeros_like(x) for m, x in batch.features.items()},
        batch.present,
        batch.speakers,
        batch.valid,
    )
    gone = Conversations(
        zero.features, torch.zeros_like(batch.present), batch.speakers, batch.valid
    )
    assert (everything(model(zero)) - everything(model(gone))).abs().max() > 1e-3


def test_the_past_the_speakers_and_each_modality_count() -> None:
    model, batch = network(), conversations(1, 5, missing=0)
    last = model(batch).final[:, -1]
    older = cut(batch, slice(None), slice(1, None))
    assert (model(older).final[:, -1] - last).abs().max() > 1e-4
    speakers = Conversations(batch.features, batch.present, batch.speakers * 0, batch.valid)
    assert (model(speakers).final[:, -1] - last).abs().max() > 1e-4
    for m in MODALITIES:
        features = {**batch.features, m: batch.features[m] + 1}
        moved = Conversations(features, batch.present, batch.speakers, batch.valid)
        assert (model(moved).final[:, -1] - last).abs().max() > 1e-4


def test_the_shared_encoder_is_98_scalars_that_look_twelve_back() -> None:
    model = network("causal")
    assert sum(p.numel() for p in model.groups()["shared"]) == 98
    state, valid = torch.randn(1, 20, 16, requires_grad=True), torch.ones(1, 20, dtype=torch.bool)
    (gradient,) = torch.autograd.grad(model.share(state, valid)[0, 15].sum(), state)
    used = (gradient[0].abs().sum(1) > 0).nonzero()[:, 0].tolist()
    assert used == list(range(3, 16))


@pytest.mark.parametrize("mode", ["full", "causal", "buffer"])
def test_every_parameter_belongs_to_exactly_one_group(mode: Mode) -> None:
    model = network(mode)
    grouped = [id(p) for group in model.groups().values() for p in group]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(p) for p in model.parameters()}


def test_the_whole_objective_reaches_every_parameter() -> None:
    """The second derivative of GDC included."""
    model, batch = network().train(), conversations(8, 6, missing=0.3)
    answers = model(batch)
    alone = [answers.specific[m][:, -1].logsumexp(-1).mean() for m in MODALITIES]
    loss = everything(answers)[:, -1].square().mean()
    shared = [answers.shared[m][:, -1] for m in MODALITIES]
    loss = loss + ssc(shared, torch.arange(8), 0.07) + gdc(alone, model.groups()["shared"])
    torch.autograd.backward(loss)
    idle = [name for name, p in model.named_parameters() if p.grad is None or (p.grad == 0).all()]
    assert idle == []


def test_far_distances_are_alike_so_that_the_length_of_a_conversation_is_no_limit() -> None:
    assert everything(network("causal")(conversations(1, 200))).isfinite().all()
