"""The recurrent encoder does what it says, written out for one conversation."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gscon_live.model.networks.architecture import Architecture, Mode
from gscon_live.model.networks.layers.recurrent import Recurrent, RecurrentDirection

CLOSE: dict[str, Any] = {"atol": 1e-10, "rtol": 1e-10}


def encoder(mode: Mode = "causal", speakers: int = 3) -> Recurrent:
    torch.manual_seed(1)
    a = Architecture({"text": 5}, mode, width=6, heads=2, speakers=speakers, dropout=0.0)
    return Recurrent(a).double().eval()


def gru(cell: torch.nn.GRU, x: Tensor, h: Tensor) -> Tensor:
    """Cho et al. 2014, as PyTorch documents it."""
    xr, xz, xn = (cell.weight_ih_l0 @ x + cell.bias_ih_l0).chunk(3)
    hr, hz, hn = (cell.weight_hh_l0 @ h + cell.bias_hh_l0).chunk(3)
    reset, update = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
    return (1 - update) * torch.tanh(xn + reset * hn) + update * h


def written_out(
    direction: RecurrentDirection, utterances: list[Tensor], speakers: list[int]
) -> list[Tensor]:
    nothing = torch.zeros(6, dtype=torch.float64)
    states: dict[int, Tensor] = {}
    conversation, outputs = nothing, []
    for utterance, speaker in zip(utterances, speakers, strict=True):
        states[speaker] = gru(direction.speaker, utterance, states.get(speaker, nothing))
        conversation = gru(direction.conversation, states[speaker], conversation)
        outputs.append(conversation)
    return outputs


def some(count: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    utterances = torch.randn(1, count, 6, generator=random, dtype=torch.float64)
    speakers = torch.randint(0, 3, (1, count), generator=random)
    return utterances, speakers, torch.ones(1, count, dtype=torch.bool)


@given(count=st.integers(1, 12), seed=st.integers(0, 9))
@settings(max_examples=10, deadline=None)
def test_speakers_are_followed_and_then_the_conversation(count: int, seed: int) -> None:
    model, (utterances, speakers, valid) = encoder(), some(count, seed)
    expected = written_out(model.forwards, list(utterances[0]), speakers[0].tolist())
    outputs = model(utterances, speakers, valid)[0]
    torch.testing.assert_close(outputs, model.norm(torch.stack(expected)), **CLOSE)


def test_in_full_mode_both_directions_are_joined() -> None:
    model, (utterances, speakers, valid) = encoder("full"), some(9)
    assert model.backwards is not None
    forwards = written_out(model.forwards, list(utterances[0]), speakers[0].tolist())
    backwards = written_out(
        model.backwards, list(utterances[0].flip(0)), speakers[0].flip(0).tolist()
    )[::-1]
    pairs = [torch.cat(pair) for pair in zip(forwards, backwards, strict=True)]
    expected = model.norm(model.join(torch.stack(pairs)))
    torch.testing.assert_close(model(utterances, speakers, valid)[0], expected, **CLOSE)


@pytest.mark.parametrize("mode", ["causal", "full"])
@given(missing=st.lists(st.booleans(), min_size=8, max_size=8), seed=st.integers(0, 9))
@settings(max_examples=10, deadline=None)
def test_in_training_it_is_the_same_wherever_there_is_padding(
    mode: Mode, missing: list[bool], seed: int
) -> None:
    """The shorter rows that it takes then change neither values nor gradients."""
    model, (utterances, speakers, _) = encoder(mode, speakers=4), some(8, seed)
    valid = ~torch.tensor([missing, [False] * 8])
    utterances, speakers = (
        utterances.expand(2, -1, -1).clone().requires_grad_(),
        speakers.expand(2, -1),
    )
    results = []
    for learning in (False, True):
        outputs = model.train(learning)(utterances, speakers, valid)
        results.append(
            (outputs, torch.autograd.grad((outputs * valid[..., None]).sin().sum(), utterances)[0])
        )
    torch.testing.assert_close(results[0], results[1], **CLOSE)
