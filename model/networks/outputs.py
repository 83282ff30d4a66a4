"""What networks answer.

Shapes: B conversations or windows, N utterances, d width, C emotions.
"""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from gscon_live.model.networks.layers.shared_encoder import Sharing


@dataclass(frozen=True)
class Answers:
    """Logits [B, N, C] of a network's heads, and what lies below them.

    `final` uses all and is the answer: where there is a direct head and the utterance has words,
    the mean of its probabilities (`direct`) and the network's own; but each learns by itself, and
    in training `final` is the network's own. It is read from `fused` [B, N, d]; where the
    classifier reads several vectors, that is their mean. `specific[m]` are the modalities' own
    opinions, `encoded[m]` [B, N, d] what they are read from.

    What only some networks have: `shared[m]` [B, N, d], the output of an encoder that all
    modalities share; `common`, an opinion on all of these, and `homogeneous[m]`, one on each;
    `auxiliary`, that of the specific parts together. `sharing` is the pass of GSCon's shared
    encoder, which knows its own gradients; None where utterances come one by one. `own` are losses
    [B, N] that belong to the network, by name and as they weigh, in training only.
    """

    final: Tensor
    specific: dict[str, Tensor]
    encoded: dict[str, Tensor]
    fused: Tensor
    shared: dict[str, Tensor] = field(default_factory=dict)
    homogeneous: dict[str, Tensor] = field(default_factory=dict)
    common: Tensor | None = None
    auxiliary: Tensor | None = None
    sharing: Sharing | None = None
    direct: Tensor | None = None
    own: dict[str, Tensor] = field(default_factory=dict)

    def last(self) -> "Answers":
        """The answers at the last place alone, [B, 1, ...]; not of a pass that knows its own
        gradients."""
        if self.sharing is not None:
            raise ValueError("a pass of the shared encoder is of all places")
        made: dict[str, Any] = {}
        for name, value in vars(self).items():
            if isinstance(value, dict):
                made[name] = {key: one[:, -1:] for key, one in value.items()}
            else:
                made[name] = None if value is None else value[:, -1:]
        return Answers(**made)
