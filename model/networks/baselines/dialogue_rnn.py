"""DialogueRNN: three recurrent networks follow the conversation, its speakers and their emotions.

Majumder et al., DialogueRNN: An Attentive RNN for Emotion Detection in Conversations, AAAI 2019.
Of the paper's variants, mode `full` is BiDialogueRNN and the others are DialogueRNN: listeners
keep their states, and there is no attention over emotions.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gscon_live.model.networks.baselines.baseline import Baseline
from gscon_live.model.networks.layers.blocks import Fused, classified
from gscon_live.model.networks.network import Architecture, Conversations


@dataclass(frozen=True)
class DialogueRNNMemory:
    """Of B conversations: the global state, the speakers' and that of the emotion, and the global
    states of up to `memory - 1` utterances before, the last one last.

    `world` [B, d], `parties` [B, speakers, d], `emotion` [B, d], `past` [B, n, d], `there` bool
    [B, n], which of the past there were.
    """

    world: Tensor
    parties: Tensor
    emotion: Tensor
    past: Tensor
    there: Tensor


class DialogueRNN(Baseline):
    """The projections side by side are the utterance; the classifier reads the emotion's state.

    In mode `causal`, attention looks back `memory` utterances; the states go back to the beginning
    of the conversation. `layers` and `heads` do not matter.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        a = architecture
        directions = 2 if a.mode == "full" else 1
        self.directions = nn.ModuleList([DialogueRNNDirection(a) for _ in range(directions)])
        self.drop = nn.Dropout(a.dropout)
        self.final = nn.Sequential(
            nn.Linear(directions * a.width, a.width),
            nn.ReLU(),
            nn.Dropout(a.dropout),
            nn.Linear(a.width, a.classes),
        )

    def _fuse(self, encoded: dict[str, Tensor], batch: Conversations) -> Fused:
        utterances = torch.cat(list(encoded.values()), -1)
        emotions = self.directions[0](utterances, batch.speakers, batch.valid)
        if self.architecture.mode == "full":
            turned = (x.flip(1) for x in (utterances, batch.speakers, batch.valid))
            emotions = torch.cat([emotions, self.directions[1](*turned).flip(1)], -1)
        return self._classify(emotions)

    def _start(self) -> DialogueRNNMemory:
        return self._forwards.start(1, self.architecture.memory - 1)

    def _fuse_next(
        self, memory: Any, encoded: dict[str, Tensor], turn: Conversations
    ) -> tuple[Fused, DialogueRNNMemory]:
        utterance = torch.cat(list(encoded.values()), -1)[:, 0]
        now = self._forwards.step(memory, utterance, turn.speakers[:, 0], turn.valid[:, 0])
        return self._classify(now.emotion[:, None]), now

    @property
    def _forwards(self) -> "DialogueRNNDirection":
        first = self.directions[0]
        assert isinstance(first, DialogueRNNDirection)
        return first

    def _classify(self, emotions: Tensor) -> Fused:
        return classified(self.final, self.drop(emotions))


class DialogueRNNDirection(nn.Module):
    """The three recurrent networks in one direction."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        utterance = len(a.modalities) * a.width
        self.speakers = a.speakers
        self.longest = a.memory - 1 if a.mode == "causal" else None
        self.drop = nn.Dropout(a.dropout)
        self.attend = nn.Linear(utterance, a.width, bias=False)
        self.global_gru = nn.GRUCell(utterance + a.width, a.width)
        self.party_gru = nn.GRUCell(utterance + a.width, a.width)
        self.emotion_gru = nn.GRUCell(a.width, a.width)

    def forward(self, utterances: Tensor, speakers: Tensor, valid: Tensor) -> Tensor:
        """The emotion's states [B, N, d]; `utterances` [B, N, M * d]."""
        memory, emotions = self.start(len(valid), 0), []
        utterances = self.drop(utterances)
        for u, speaker, there in zip(
            utterances.unbind(1), speakers.unbind(1), valid.unbind(1), strict=True
        ):
            memory = self.step(memory, u, speaker, there)
            emotions.append(memory.emotion)
        return torch.stack(emotions, 1)

    def start(self, batch: int, past: int) -> DialogueRNNMemory:
        """Conversations in which nothing has been said, with room for so many global states."""
        like, width = self.emotion_gru.weight_hh, self.emotion_gru.hidden_size
        state = like.new_zeros(batch, width)
        return DialogueRNNMemory(
            state,
            like.new_zeros(batch, self.speakers, width),
            state,
            like.new_zeros(batch, past, width),
            torch.zeros(batch, past, dtype=torch.bool, device=like.device),
        )

    def step(
        self, memory: DialogueRNNMemory, u: Tensor, speaker: Tensor, valid: Tensor
    ) -> DialogueRNNMemory:
        """One more utterance `u` [B, M * d] of `speaker` int64 [B]; padding changes no state, and
        what is read of it is zero, so that it says nothing to who looks at what modules read."""
        real = valid[:, None]
        before = memory.parties[torch.arange(len(speaker), device=speaker.device), speaker]
        u, said = u * real, before * real
        world = self.global_gru(torch.cat([u, said], -1), memory.world)
        context = self._context(u, memory) * real
        party = self.party_gru(torch.cat([u, context], -1), before)
        emotion = self.emotion_gru(party * real, memory.emotion)
        world = torch.where(real, world, memory.world)
        speaks = torch.arange(self.speakers, device=speaker.device) == speaker[:, None]
        past = torch.cat([memory.past, world[:, None]], 1)
        there = torch.cat([memory.there, real], 1)
        if self.longest is not None:
            first = max(0, past.shape[1] - self.longest)
            past, there = past[:, first:], there[:, first:]
        return DialogueRNNMemory(
            world,
            torch.where((speaks & real)[..., None], party[:, None], memory.parties),
            torch.where(real, emotion, memory.emotion),
            past,
            there,
        )

    def _context(self, u: Tensor, memory: DialogueRNNMemory) -> Tensor:
        """The past global states [B, d] as far as the utterance asks for them; 0 at the start."""
        scores = torch.einsum("bd,bnd->bn", self.attend(u), memory.past)
        # Not minus infinity: a softmax over nothing would be NaN.
        scores = scores.masked_fill(~memory.there, torch.finfo(scores.dtype).min)
        return torch.einsum("bn,bnd->bd", scores.softmax(-1) * memory.there, memory.past)
