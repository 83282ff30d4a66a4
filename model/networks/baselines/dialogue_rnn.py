"""DialogueRNN: three GRUs for the conversation, its speakers and their emotions.

Majumder et al., DialogueRNN: An Attentive RNN for Emotion Detection in Conversations, AAAI 2019.
Mode `full` is the paper's BiDialogueRNN, the other modes are its DialogueRNN. Listeners' states are
not updated, and there is no attention over emotion states.
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
    """The states of B conversations, and the global states of past utterances, latest last.

    `global_state` [B, d], `speaker_states` [B, speakers, d], `emotion_state` [B, d]; `past_states`
    [B, n, d], n up to `memory - 1`; `past_mask` bool [B, n], which of the past utterances exist.
    """

    global_state: Tensor
    speaker_states: Tensor
    emotion_state: Tensor
    past_states: Tensor
    past_mask: Tensor


class DialogueRNN(Baseline):
    """An utterance is its projections side by side; the classifier reads the emotion state.

    In mode `causal`, attention looks back `memory` utterances; the states depend on the whole past.
    `layers` and `heads` are ignored.
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
        emotion_states = self.directions[0](utterances, batch.speakers, batch.valid)
        if self.architecture.mode == "full":
            reversed_inputs = (x.flip(1) for x in (utterances, batch.speakers, batch.valid))
            emotion_states = torch.cat(
                [emotion_states, self.directions[1](*reversed_inputs).flip(1)], -1
            )
        return self._classify(emotion_states)

    def _start(self) -> DialogueRNNMemory:
        return self._forward_direction.start(1, self.architecture.memory - 1)

    def _fuse_next(
        self, memory: Any, encoded: dict[str, Tensor], turn: Conversations
    ) -> tuple[Fused, DialogueRNNMemory]:
        utterance = torch.cat(list(encoded.values()), -1)[:, 0]
        new_memory = self._forward_direction.step(
            memory, utterance, turn.speakers[:, 0], turn.valid[:, 0]
        )
        return self._classify(new_memory.emotion_state[:, None]), new_memory

    @property
    def _forward_direction(self) -> "DialogueRNNDirection":
        first = self.directions[0]
        assert isinstance(first, DialogueRNNDirection)
        return first

    def _classify(self, emotion_states: Tensor) -> Fused:
        return classified(self.final, self.drop(emotion_states))


class DialogueRNNDirection(nn.Module):
    """The three GRUs in one direction."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        input_dim = len(a.modalities) * a.width
        self.speakers = a.speakers
        self.max_past = a.memory - 1 if a.mode == "causal" else None
        self.drop = nn.Dropout(a.dropout)
        self.attend = nn.Linear(input_dim, a.width, bias=False)
        self.global_gru = nn.GRUCell(input_dim + a.width, a.width)
        self.party_gru = nn.GRUCell(input_dim + a.width, a.width)
        self.emotion_gru = nn.GRUCell(a.width, a.width)

    def forward(self, utterances: Tensor, speakers: Tensor, valid: Tensor) -> Tensor:
        """The emotion states [B, N, d] of utterances [B, N, M * d]."""
        memory, emotion_states = self.start(len(valid), 0), []
        utterances = self.drop(utterances)
        for utterance, speaker, is_valid in zip(
            utterances.unbind(1), speakers.unbind(1), valid.unbind(1), strict=True
        ):
            memory = self.step(memory, utterance, speaker, is_valid)
            emotion_states.append(memory.emotion_state)
        return torch.stack(emotion_states, 1)

    def start(self, batch: int, past: int) -> DialogueRNNMemory:
        """The memory before the first utterance, with room for `past` global states."""
        weight, width = self.emotion_gru.weight_hh, self.emotion_gru.hidden_size
        zeros = weight.new_zeros(batch, width)
        return DialogueRNNMemory(
            zeros,
            weight.new_zeros(batch, self.speakers, width),
            zeros,
            weight.new_zeros(batch, past, width),
            torch.zeros(batch, past, dtype=torch.bool, device=weight.device),
        )

    def step(
        self, memory: DialogueRNNMemory, utterance: Tensor, speaker: Tensor, valid: Tensor
    ) -> DialogueRNNMemory:
        """The memory after one more utterance.

        Padding changes no state, and all that the GRUs read of it is zero, so that hooks on their
        inputs see nothing of it.

        Args:
            memory: the memory before the utterance.
            utterance: [B, M * d].
            speaker: int64 [B].
            valid: bool [B], false on padding.
        """
        is_valid = valid[:, None]
        old_state = memory.speaker_states[
            torch.arange(len(speaker), device=speaker.device), speaker
        ]
        utterance, masked_state = utterance * is_valid, old_state * is_valid
        global_state = self.global_gru(
            torch.cat([utterance, masked_state], -1), memory.global_state
        )
        context = self._context(utterance, memory) * is_valid
        new_state = self.party_gru(torch.cat([utterance, context], -1), old_state)
        emotion_state = self.emotion_gru(new_state * is_valid, memory.emotion_state)
        global_state = torch.where(is_valid, global_state, memory.global_state)
        is_speaker = torch.arange(self.speakers, device=speaker.device) == speaker[:, None]
        past_states = torch.cat([memory.past_states, global_state[:, None]], 1)
        past_mask = torch.cat([memory.past_mask, is_valid], 1)
        if self.max_past is not None:
            first = max(0, past_states.shape[1] - self.max_past)
            past_states, past_mask = past_states[:, first:], past_mask[:, first:]
        return DialogueRNNMemory(
            global_state,
            torch.where(
                (is_speaker & is_valid)[..., None], new_state[:, None], memory.speaker_states
            ),
            torch.where(is_valid, emotion_state, memory.emotion_state),
            past_states,
            past_mask,
        )

    def _context(self, utterance: Tensor, memory: DialogueRNNMemory) -> Tensor:
        """Attention from the utterance to the past global states, [B, d]; 0 at the start."""
        scores = torch.einsum("bd,bnd->bn", self.attend(utterance), memory.past_states)
        # Not minus infinity: a softmax over nothing would be NaN.
        scores = scores.masked_fill(~memory.past_mask, torch.finfo(scores.dtype).min)
        return torch.einsum("bn,bnd->bd", scores.softmax(-1) * memory.past_mask, memory.past_states)
