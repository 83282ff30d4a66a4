"""The kind and size of a network."""

from typing import Literal

import msgspec

from gscon_live.common.errors import InputError
from gscon_live.model.labels import EMOTIONS, MODALITIES

#: The context of an utterance: the whole conversation, its past, or a sliding window of its past,
#: which is computed anew for every utterance.
Mode = Literal["full", "causal", "buffer"]

#: The sequence encoder of each modality in GSCon and Ada2I: a transformer, as in GSCon's paper, or
#: GRUs of the speakers and of the conversation.
Encoder = Literal["transformer", "recurrent"]

#: No size of a network is larger, and none has more layers.
MOST, MOST_LAYERS = 65_536, 256

_SIZES = ("context", "width", "layers", "heads", "speakers", "reach", "classes", "memory")


class Architecture(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The kind and size of a network: all that is needed to build it.

    - `dims`: lengths of the feature vectors by modality; the network has these modalities only.
    - `mode`: see `Mode`.
    - `context`: number of utterances in a window (mode `buffer`).
    - `width`: length of the hidden vectors; a multiple of `heads`.
    - `layers`, `heads`: number of layers, and of attention heads.
    - `dropout`: dropout rate.
    - `speakers`: number of speakers that are told apart; all further ones share the last number.
    - `reach`: distances of this many utterances and more share an attention bias.
    - `classes`: number of emotions.
    - `network`: name in `NETWORKS`.
    - `memory`: number of utterances, the current one included, that an attention layer looks back
      (mode `causal`).
    - `encoder`: see `Encoder`; `recurrent` ignores `layers`, `heads`, `memory` and `reach`.
    - `direct`: number of text features, at the end of the vector, by a text encoder that was
      trained for these emotions in context. Only the direct head reads them.
    - `own_answers`: these features are the text encoder's own answers: log-probabilities of the
      emotions from words and voice, then from words alone. They take the place of a direct head.
    - `experts`: the network reads only the last `classes` features of each modality: the encoder's
      log-probabilities of the emotions.
    - `projector`: adds a shared encoder to a network that has none.
    - `options`: the network's own options, see `Network.OPTIONS`.
    """

    dims: dict[str, int]
    mode: Mode = "buffer"
    context: int = 8
    width: int = 64
    layers: int = 1
    heads: int = 4
    dropout: float = 0.3
    speakers: int = 4
    reach: int = 16
    classes: int = len(EMOTIONS)
    network: str = "gscon"
    memory: int = 128
    encoder: Encoder = "transformer"
    direct: int = 0
    own_answers: bool = False
    experts: bool = False
    projector: bool = False
    options: dict[str, float | int | str | bool] = {}

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities of the network, in the order of every mask."""
        return tuple(m for m in MODALITIES if m in self.dims)

    @property
    def read(self) -> dict[str, int]:
        """Lengths of the features that the network reads, by modality."""
        if self.experts:
            return dict.fromkeys(self.dims, self.classes)
        return {m: dim - (self.direct if m == "text" else 0) for m, dim in self.dims.items()}

    def check(self) -> None:
        """Raises `InputError` for sizes that no network can have."""
        if not self.dims or set(self.dims) - set(MODALITIES):
            raise InputError(
                f"network {self.network!r}: its modalities are {', '.join(self.dims) or 'none'}; "
                f"give one or more of {', '.join(MODALITIES)}"
            )
        sizes: dict[str, int] = {name: getattr(self, name) for name in _SIZES}
        for name, size in (sizes | {f"dims.{m}": dim for m, dim in self.dims.items()}).items():
            if size > MOST:
                raise InputError(f"network {self.network!r}: {name} is {size}; give {MOST} or less")
            if size < 1:
                raise InputError(f"network {self.network!r}: {name} is {size}; give 1 or more")
        if self.layers > MOST_LAYERS:
            raise InputError(
                f"network {self.network!r}: layers is {self.layers}; give {MOST_LAYERS} or less"
            )
        if self.direct and not 0 < self.direct < self.dims.get("text", 0):
            raise InputError(
                f"network {self.network!r}: direct is {self.direct}, of {self.dims.get('text', 0)} "
                "text features; give fewer than there are"
            )
        if self.own_answers and self.direct != 2 * self.classes:
            raise InputError(
                f"network {self.network!r}: direct is {self.direct}; own_answers needs two "
                f"log-probabilities of each of {self.classes} emotions"
            )
        if self.experts and (self.direct or min(self.dims.values()) < self.classes):
            raise InputError(
                f"network {self.network!r}: experts takes {self.classes} log-probabilities "
                "from the end of each modality's features; give encoders that have them, and no "
                "direct head"
            )
        if self.width % self.heads:
            raise InputError(
                f"network {self.network!r}: a width of {self.width} cannot be divided among "
                f"{self.heads} heads; give a multiple"
            )
        if not 0 <= self.dropout < 1:
            raise InputError(
                f"network {self.network!r}: dropout is {self.dropout}; give 0 or more, below 1"
            )
