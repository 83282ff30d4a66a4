"""GSCon for emotion recognition in conversations (Shi et al. 2025, doi 10.1109/TIP.2025.3608664).

Each modality is encoded over the conversation; two small convolutions shared by the modalities
give their common part; heads on the specific parts, on the common part and on both answer. The
file reads in that order. The losses that make it GSCon are in `model.networks.consistency_losses`.

The method was published for the sentiment of single utterances; here the sequence is that of the
utterances of a conversation, attention runs over it, and every utterance is answered.

Shapes: B conversations or windows, N utterances, M modalities, d width, C emotions.
"""

from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.networks.layers.blocks import classified, head, visible
from gscon_live.model.networks.layers.sequence_encoders import ENCODERS, ModalityEncoder
from gscon_live.model.networks.layers.shared_encoder import SharedEncoder
from gscon_live.model.networks.network import Answers, Architecture, Conversations, Network


@dataclass(frozen=True)
class GSConMemory:
    """What is remembered between utterances: the `past` of the encoders; and the utterances before
    as they were `encoded`, [M, 12, d], the last one last, zero where there were none."""

    past: Any
    encoded: Tensor


class GSCon(Network):
    """The network: an encoder per modality, the shared encoder, and six heads if there are three
    modalities."""

    SHARES = True

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        a, count = architecture, len(architecture.modalities)
        self.encode = nn.ModuleDict({m: ENCODERS[a.encoder](a, a.read[m]) for m in self.modalities})
        self.share = SharedEncoder(both_sides=a.mode == "full")
        self.specific = nn.ModuleDict({m: head(2 * a.width, a) for m in self.modalities})
        self.common = head(a.width, a)
        self.auxiliary = head(count * a.width, a, squash=True)
        self.final = head((count + 1) * a.width, a)

    @property
    def receptive_field(self) -> int | None:
        """In mode `causal`: with transformers, `memory - 1` before for each layer, and 12 for the
        shared encoder."""
        a = self.architecture
        if a.mode == "causal" and a.encoder == "transformer":
            return a.layers * (a.memory - 1) + SharedEncoder.PAST + 1
        return super().receptive_field

    def _groups(self) -> dict[str, list[nn.Parameter]]:
        """By their part in the method: `shared` is theta_c, the 98 scalars of the two shared
        convolutions, `fusion` the two heads on several modalities that answer for them together,
        `heads` are the specific and common ones."""
        return {
            **{f"enc.{m}": list(self.encode[m].parameters()) for m in self.modalities},
            "shared": list(self.share.parameters()),
            "fusion": [*self.final.parameters(), *self.auxiliary.parameters()],
            "heads": [*self.specific.parameters(), *self.common.parameters()],
        }

    def _answer(self, batch: Conversations, last: bool) -> Answers:
        seen = visible(self.architecture, batch.valid)
        encoded = {}
        for place, m in enumerate(self.modalities):
            encoder = self._encoder(m)
            entered = encoder.enter(batch, m, place)
            encoded[m] = encoder.encode(entered, batch, seen) * batch.valid[..., None]
        sharing = self.share.encode(list(encoded.values()), batch.valid, last)
        if last:
            encoded = {m: x[:, -1:] for m, x in encoded.items()}
        return replace(self._heads(encoded, sharing.common, sharing.mean), sharing=sharing)

    def _heads(self, encoded: dict[str, Tensor], shared: Tensor, common: Tensor) -> Answers:
        """The final head (in the paper's code LVAC) reads all parts, the auxiliary one (LVA) the
        specific ones; a modality's own reads its part and the common one."""
        specific = list(encoded.values())
        final = classified(self.final, torch.cat([*specific, common], -1))
        return Answers(
            final=final.logits,
            specific={m: self.specific[m](torch.cat([x, common], -1)) for m, x in encoded.items()},
            encoded=encoded,
            fused=final.state,
            shared=dict(zip(self.modalities, shared, strict=True)),
            common=self.common(common),
            auxiliary=self.auxiliary(torch.cat(specific, -1)),
        )

    def _encoder(self, modality: str) -> ModalityEncoder:
        return cast(ModalityEncoder, self.encode[modality])

    @property
    def _encoders(self) -> list[ModalityEncoder]:
        return [self._encoder(m) for m in self.modalities]

    def _start(self) -> GSConMemory:
        encoders, like = self._encoders, self.share.first.weight
        return GSConMemory(
            past=encoders[0].start(encoders),
            encoded=like.new_zeros(len(encoders), SharedEncoder.PAST, self.architecture.width),
        )

    def _step(self, memory: Any, turn: Conversations) -> tuple[Answers, GSConMemory]:
        encoders = self._encoders
        named = zip(encoders, self.modalities, strict=True)
        entered = torch.cat([one.enter(turn, m, i) for i, (one, m) in enumerate(named)])
        state, past = encoders[0].step(encoders, entered, turn, memory.past)
        encoded = torch.cat([memory.encoded, state], 1)
        shared = self._share_last(encoded)[:, None]
        answers = self._heads(
            {m: state[i : i + 1] for i, m in enumerate(self.modalities)}, shared, shared.mean(0)
        )
        return answers, GSConMemory(past, encoded[:, 1:])

    def _share_last(self, encoded: Tensor) -> Tensor:
        """The common parts [M, 1, d] of the last of 13 utterances: the shared encoder without what
        it needs for padding and gradients, which takes longer than the rest."""
        hidden = functional.conv2d(encoded[:, None], self.share.first.weight, padding=(0, 3))
        return functional.conv2d(hidden.relu(), self.share.second.weight, padding=(0, 3))[:, 0]
