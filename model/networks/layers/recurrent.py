"""Recurrent networks that follow a conversation and the people in it.

As in DialogueRNN (Majumder et al. 2019, DialogueRNN: An Attentive RNN for Emotion Detection in
Conversations), each speaker has a state of their own, and the conversation has one; here these are
two GRUs, the second of which reads what the first makes of each utterance.

Shapes: B conversations, N utterances, S speakers that are told apart, d width.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gscon_live.model.networks.architecture import Architecture


class RecurrentState(NamedTuple):
    """What is remembered between utterances: the speakers' states [S, d] and the conversation's
    [1, d]."""

    speakers: Tensor
    conversation: Tensor


class RecurrentDirection(nn.Module):
    """The two GRUs, forwards."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.count = a.speakers
        self.speaker = nn.GRU(a.width, a.width, batch_first=True)
        self.conversation = nn.GRU(a.width, a.width, batch_first=True)

    def forward(self, state: Tensor, speakers: Tensor, valid: Tensor) -> Tensor:
        """Of utterances [B, N, d] and their speakers int64 [B, N]; where not `valid`, nobody hears
        anything."""
        known = torch.arange(self.count, device=speakers.device)
        mine = (speakers[..., None] == known) & valid[..., None]
        heard = _apart(self.speaker, state, mine)
        return _apart(self.conversation, heard, valid[..., None])

    def start(self) -> RecurrentState:
        """The states at the beginning of a conversation."""
        like = next(self.parameters())
        nothing = like.new_zeros(self.count, self.speaker.hidden_size)
        return RecurrentState(nothing, nothing[:1])

    def next(
        self, state: Tensor, speaker: int, past: RecurrentState
    ) -> tuple[Tensor, RecurrentState]:
        """The next utterance [1, 1, d], and the states after it."""
        heard, mine = self.speaker(state, past.speakers[None, speaker, None])
        output, conversation = self.conversation(heard, past.conversation[None])
        speakers = past.speakers.clone()
        speakers[speaker] = mine[0, 0]
        return output, RecurrentState(speakers, conversation[0])


class Recurrent(nn.Module):
    """Utterances [B, N, d] in the light of those before and, in mode `full`, of those after."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.forwards = RecurrentDirection(a)
        self.backwards = RecurrentDirection(a) if a.mode == "full" else None
        self.join = nn.Linear(2 * a.width, a.width) if a.mode == "full" else nn.Identity()
        self.drop_made = nn.Dropout(a.dropout)
        self.norm = nn.LayerNorm(a.width)

    def forward(self, state: Tensor, speakers: Tensor, valid: Tensor) -> Tensor:
        """Of the utterances, their speakers int64 [B, N], and which of them there are."""
        output = self.forwards(state, speakers, valid)
        if self.backwards is not None:
            turned = self.backwards(state.flip(1), speakers.flip(1), valid.flip(1))
            output = self.join(torch.cat([output, turned.flip(1)], -1))
        return self._finished(output)

    def next(
        self, state: Tensor, speaker: int, past: RecurrentState
    ) -> tuple[Tensor, RecurrentState]:
        """The next utterance [1, 1, d]; not in mode `full`."""
        output, past = self.forwards.next(state, speaker, past)
        return self._finished(output), past

    def _finished(self, output: Tensor) -> Tensor:
        finished: Tensor = self.norm(self.drop_made(output))
        return finished


def _apart(gru: nn.GRU, state: Tensor, mine: Tensor) -> Tensor:
    """What a GRU makes of the utterances [B, N, d], each group of them by itself: `mine` bool
    [B, N, groups] says who belongs to which, at most one; zero where none.

    A group's utterances are moved to the front of a row. Rows are as many and as long as the
    groups ask for while it learns; otherwise always B * groups and N, so that sums are made in the
    same order whoever speaks later, and the answers before are equal to the bit.
    """
    batch, count, groups = mine.shape
    row, at, group = mine.nonzero(as_tuple=True)
    place, number, rows, length = mine.cumsum(1) - 1, row * groups + group, batch * groups, count
    if gru.training:
        rows, length = int(mine.any(1).sum()), int(mine.sum(1).max())
        number = torch.unique(number, return_inverse=True)[1]
    to, source = number * length + place[row, at, group], row * count + at
    flat = state.flatten(0, 1)
    gathered = state.new_zeros(rows * length, state.shape[-1]).index_copy(0, to, flat[source])
    output, _ = gru(gathered.view(rows, length, -1))
    # Under autocast a GPU's GRU answers in half precision.
    back = output.flatten(0, 1)[to].to(flat.dtype)
    return torch.zeros_like(flat).index_copy(0, source, back).view_as(state)
