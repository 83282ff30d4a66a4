"""DialogueRNN does what its paper says, written out for one conversation."""

from typing import Any

import pytest
import torch
from made_conversations import DIMS, conversations
from torch import Tensor

from gscon_live.model.networks.baselines.dialogue_rnn import DialogueRNN, DialogueRNNDirection
from gscon_live.model.networks.network import Architecture, Conversations, Mode

CLOSE: dict[str, Any] = {"atol": 1e-10, "rtol": 1e-10}


def network(mode: Mode, memory: int) -> DialogueRNN:
    torch.manual_seed(1)
    architecture = Architecture(DIMS, mode, width=6, heads=2, speakers=3, memory=memory)
    return DialogueRNN(architecture).double().eval()


def gru(cell: torch.nn.GRUCell, x: Tensor, h: Tensor) -> Tensor:
    """Cho et al. 2014, as PyTorch documents it."""
    xr, xz, xn = (cell.weight_ih @ x + cell.bias_ih).chunk(3)
    hr, hz, hn = (cell.weight_hh @ h + cell.bias_hh).chunk(3)
    reset, update = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
    return (1 - update) * torch.tanh(xn + reset * hn) + update * h


def emotions(
    rnn: DialogueRNNDirection, utterances: list[Tensor], speakers: list[int], memory: int | None
) -> list[Tensor]:
    """The states of the emotion GRU, one utterance after the other."""
    nothing = torch.zeros(6, dtype=torch.float64)
    states: dict[int, Tensor] = {}
    history: list[Tensor] = []
    global_state, emotion, emotion_states = nothing, nothing, []
    for u, name in zip(utterances, speakers, strict=True):
        # Who speaks third, and whoever comes after, are one.
        speaker = min(name, 2)
        before = states.get(speaker, nothing)
        attended = history if memory is None else history[max(0, len(history) - memory + 1) :]
        context = nothing
        if attended:
            scores = torch.stack([(rnn.attend.weight @ u) @ state for state in attended])
            weights = torch.exp(scores) / torch.exp(scores).sum()
            context = sum((w * state for w, state in zip(weights, attended, strict=True)), nothing)
        global_state = gru(rnn.global_gru, torch.cat([u, before]), global_state)
        states[speaker] = gru(rnn.party_gru, torch.cat([u, context]), before)
        emotion = gru(rnn.emotion_gru, states[speaker], emotion)
        history.append(global_state)
        emotion_states.append(emotion)
    return emotion_states


def utterances(model: DialogueRNN, batch: Conversations) -> list[Tensor]:
    encoded = model(batch).encoded
    return list(torch.cat([encoded[m] for m in DIMS], -1)[0])


@pytest.mark.parametrize(("mode", "memory"), [("causal", 4), ("causal", 1), ("buffer", 4)])
def test_the_past_is_followed_as_in_the_paper(mode: Mode, memory: int) -> None:
    model, batch = network(mode, memory), conversations(1, 9, dtype=torch.float64)
    expected = emotions(
        model.directions[0],  # type: ignore[arg-type]
        utterances(model, batch),
        batch.speakers[0].tolist(),
        memory if mode == "causal" else None,
    )
    logits = torch.stack([model.final(state) for state in expected])
    torch.testing.assert_close(model(batch).final[0], logits, **CLOSE)


def test_in_full_mode_a_second_network_goes_from_the_end_to_the_beginning() -> None:
    model, batch = network("full", 4), conversations(1, 9, dtype=torch.float64)
    inputs, who = utterances(model, batch), batch.speakers[0].tolist()
    forwards, backwards = model.directions
    forward_states = emotions(forwards, inputs, who, None)  # type: ignore[arg-type]
    backward_states = emotions(backwards, inputs[::-1], who[::-1], None)[::-1]  # type: ignore[arg-type]
    pairs = zip(forward_states, backward_states, strict=True)
    logits = torch.stack([model.final(torch.cat(pair)) for pair in pairs])
    torch.testing.assert_close(model(batch).final[0], logits, **CLOSE)
