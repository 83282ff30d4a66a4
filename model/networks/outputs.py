"""The outputs of a network.

Shapes: B conversations or windows, N utterances, d width, C emotions.
"""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from gscon_live.model.networks.layers.shared_encoder import Sharing


@dataclass(frozen=True)
class Answers:
    """Logits [B, N, C] of a network's heads, and the representations that they read.

    `final` are the logits of the fused answer, read from `fused` [B, N, d]; where the classifier
    reads several vectors, `fused` is their mean. `direct` are the logits of the direct head, or the
    text encoder's own answers, which there are in evaluation only: they learn nothing. In
    evaluation, where an utterance has words, `final` averages the probabilities of both; in
    training they stay apart. `specific[m]` are the logits of each modality's own head, and
    `encoded[m]` [B, N, d] what that head reads.

    Only some networks have the others: `shared[m]` [B, N, d], the outputs of the shared encoder;
    `common`, the logits of a head on all of these, and `homogeneous[m]`, of a head on each;
    `auxiliary`, the logits of a head on the specific parts together. `sharing` is the pass of
    GSCon's shared encoder, which can give its own gradients; None in `Network.step`. `own` are
    weighted losses [B, N] of the network itself, by name, in training only.
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
        """The outputs at the last position, [B, 1, ...]. Raises `ValueError` where there is a
        `sharing`, which is of all positions."""
        if self.sharing is not None:
            raise ValueError("a pass of the shared encoder has all positions")
        last_values: dict[str, Any] = {}
        for name, value in vars(self).items():
            if isinstance(value, dict):
                last_values[name] = {key: tensor[:, -1:] for key, tensor in value.items()}
            else:
                last_values[name] = None if value is None else value[:, -1:]
        return Answers(**last_values)
