"""Recurrent networks over a conversation and its speakers.

As in DialogueRNN (Majumder et al. 2019, DialogueRNN: An Attentive RNN for Emotion Detection in
Conversations), each speaker has a state, and the conversation has one. Here these are two GRUs: the
speaker GRU, and the conversation GRU on its outputs.

Shapes: B conversations, N utterances, S speakers, d width.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gscon_live.model.networks.architecture import Architecture


class RecurrentState(NamedTuple):
    """The states between utterances: of the speakers [S, d] and of the conversation [1, d]."""

    speakers: Tensor
    conversation: Tensor


class RecurrentDirection(nn.Module):
    """The speaker GRU and the conversation GRU, in one direction."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.count = a.speakers
        self.speaker = nn.GRU(a.width, a.width, batch_first=True)
        self.conversation = nn.GRU(a.width, a.width, batch_first=True)

    def forward(self, state: Tensor, speakers: Tensor, valid: Tensor) -> Tensor:
        """Utterances [B, N, d] of `speakers` int64 [B, N] to [B, N, d]. Where not `valid`, no state
        changes."""
        numbers = torch.arange(self.count, device=speakers.device)
        by_speaker = (speakers[..., None] == numbers) & valid[..., None]
        after_speaker = _run_by_group(self.speaker, state, by_speaker)
        return _run_by_group(self.conversation, after_speaker, valid[..., None])

    def start(self) -> RecurrentState:
        """The states before the first utterance."""
        parameter = next(self.parameters())
        zeros = parameter.new_zeros(self.count, self.speaker.hidden_size)
        return RecurrentState(zeros, zeros[:1])

    def next(
        self, state: Tensor, speaker: int, past: RecurrentState
    ) -> tuple[Tensor, RecurrentState]:
        """The output for the next utterance, [1, 1, d], and the states after it."""
        after_speaker, speaker_state = self.speaker(state, past.speakers[None, speaker, None])
        output, conversation = self.conversation(after_speaker, past.conversation[None])
        speakers = past.speakers.clone()
        speakers[speaker] = speaker_state[0, 0]
        return output, RecurrentState(speakers, conversation[0])


class Recurrent(nn.Module):
    """Encodes utterances in the context of earlier ones and, in mode `full`, of later ones."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.forwards = RecurrentDirection(a)
        self.backwards = RecurrentDirection(a) if a.mode == "full" else None
        self.join = nn.Linear(2 * a.width, a.width) if a.mode == "full" else nn.Identity()
        self.drop_made = nn.Dropout(a.dropout)
        self.norm = nn.LayerNorm(a.width)

    def forward(self, state: Tensor, speakers: Tensor, valid: Tensor) -> Tensor:
        """Utterances [B, N, d] of `speakers` int64 [B, N] to [B, N, d]; `valid` bool [B, N] is
        false on padding."""
        output = self.forwards(state, speakers, valid)
        if self.backwards is not None:
            reversed_output = self.backwards(state.flip(1), speakers.flip(1), valid.flip(1))
            output = self.join(torch.cat([output, reversed_output.flip(1)], -1))
        return self._finish(output)

    def next(
        self, state: Tensor, speaker: int, past: RecurrentState
    ) -> tuple[Tensor, RecurrentState]:
        """The output for the next utterance, [1, 1, d], and the states after it. Not in mode
        `full`."""
        output, past = self.forwards.next(state, speaker, past)
        return self._finish(output), past

    def _finish(self, output: Tensor) -> Tensor:
        finished: Tensor = self.norm(self.drop_made(output))
        return finished


def _run_by_group(gru: nn.GRU, state: Tensor, membership: Tensor) -> Tensor:
    """Runs a GRU over the utterances [B, N, d] of each group on its own.

    A group's utterances become one sequence. In training there are as many sequences as groups with
    utterances, of the longest group's length. In evaluation there are always B * groups of length
    N: so the order of sums, and every bit of the outputs, is independent of later speakers.

    Args:
        gru: the network.
        state: the utterances.
        membership: bool [B, N, groups], which group an utterance belongs to, at most one.

    Returns:
        [B, N, d], zero where an utterance belongs to no group.
    """
    batch, count, groups = membership.shape
    row, utterance, group = membership.nonzero(as_tuple=True)
    position, sequence, sequence_count, length = (
        membership.cumsum(1) - 1,
        row * groups + group,
        batch * groups,
        count,
    )
    if gru.training:
        sequence_count, length = int(membership.any(1).sum()), int(membership.sum(1).max())
        sequence = torch.unique(sequence, return_inverse=True)[1]
    target, source = sequence * length + position[row, utterance, group], row * count + utterance
    flat = state.flatten(0, 1)
    sequences = state.new_zeros(sequence_count * length, state.shape[-1]).index_copy(
        0, target, flat[source]
    )
    output, _ = gru(sequences.view(sequence_count, length, -1))
    # Under autocast a GRU on a GPU returns half precision.
    flat_output = output.flatten(0, 1)[target].to(flat.dtype)
    return torch.zeros_like(flat).index_copy(0, source, flat_output).view_as(state)
