"""GSCon for emotion recognition in conversations (Shi et al. 2025, doi 10.1109/TIP.2025.3608664).

A sequence encoder for each modality gives its specific part. Two small convolutions, shared by the
modalities, give the common part. Heads read the specific parts, the common part, and both. The
consistency losses of the method are in `model.networks.consistency_losses`.

The method was published for the sentiment of single utterances. Here the sequence is the
conversation: attention runs over its utterances, and every utterance is classified.

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
    """What is remembered between utterances: the `past` of the encoders, and the specific parts of
    the last 12 utterances, `encoded` [M, 12, d], latest last, zero where there was none."""

    past: Any
    encoded: Tensor


class GSCon(Network):
    """The network: a sequence encoder for each modality, the shared encoder, and the heads (six for
    three modalities)."""

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
        """In mode `causal` with transformers, `memory - 1` past utterances for each layer, and 12
        for the shared encoder."""
        a = self.architecture
        if a.mode == "causal" and a.encoder == "transformer":
            return a.layers * (a.memory - 1) + SharedEncoder.PAST + 1
        return super().receptive_field

    def _groups(self) -> dict[str, list[nn.Parameter]]:
        """`shared` is theta_c, the 98 scalars of the two shared convolutions; `fusion` are the
        final and the auxiliary head; `heads` are the specific heads and the common one."""
        return {
            **{f"enc.{m}": list(self.encode[m].parameters()) for m in self.modalities},
            "shared": list(self.share.parameters()),
            "fusion": [*self.final.parameters(), *self.auxiliary.parameters()],
            "heads": [*self.specific.parameters(), *self.common.parameters()],
        }

    def _answer(self, batch: Conversations, last: bool) -> Answers:
        mask = visible(self.architecture, batch.valid)
        encoded = {}
        for index, m in enumerate(self.modalities):
            encoder = self._encoder(m)
            entered = encoder.enter(batch, m, index)
            encoded[m] = encoder.encode(entered, batch, mask) * batch.valid[..., None]
        sharing = self.share.encode(list(encoded.values()), batch.valid, last)
        if last:
            encoded = {m: x[:, -1:] for m, x in encoded.items()}
        return replace(self._heads(encoded, sharing.common, sharing.mean), sharing=sharing)

    def _heads(self, encoded: dict[str, Tensor], shared: Tensor, common: Tensor) -> Answers:
        """The final head (LVAC in the paper's code) reads all parts, the auxiliary head (LVA) the
        specific parts, and each modality's own head its specific part and the common part."""
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
        encoders, weight = self._encoders, self.share.first.weight
        return GSConMemory(
            past=encoders[0].start(encoders),
            encoded=weight.new_zeros(len(encoders), SharedEncoder.PAST, self.architecture.width),
        )

    def _step(self, memory: Any, turn: Conversations) -> tuple[Answers, GSConMemory]:
        encoders = self._encoders
        named_encoders = zip(encoders, self.modalities, strict=True)
        entered = torch.cat(
            [encoder.enter(turn, m, i) for i, (encoder, m) in enumerate(named_encoders)]
        )
        state, past = encoders[0].step(encoders, entered, turn, memory.past)
        encoded = torch.cat([memory.encoded, state], 1)
        shared = self._share_last(encoded)[:, None]
        answers = self._heads(
            {m: state[i : i + 1] for i, m in enumerate(self.modalities)}, shared, shared.mean(0)
        )
        return answers, GSConMemory(past, encoded[:, 1:])

    def _share_last(self, encoded: Tensor) -> Tensor:
        """The common parts [M, 1, d] of the last of 13 utterances: the shared encoder without its
        code for padding and gradients, which takes most of the time."""
        hidden = functional.conv2d(encoded[:, None], self.share.first.weight, padding=(0, 3))
        return functional.conv2d(hidden.relu(), self.share.second.weight, padding=(0, 3))[:, 0]
