"""The kind and size of a network."""

from typing import Literal

import msgspec

from gscon_live.common.errors import InputError
from gscon_live.model.labels import EMOTIONS, MODALITIES

#: What an utterance may use: all of the conversation, its past, or a window of its past that is
#: recomputed as it moves.
Mode = Literal["full", "causal", "buffer"]

#: What follows a modality over the conversation in GSCon and Ada2I: a transformer, as in GSCon's
#: paper, or GRUs of the speakers and of the conversation.
Encoder = Literal["transformer", "recurrent"]

_SIZES = ("context", "width", "layers", "heads", "speakers", "reach", "classes", "memory")


class Architecture(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The kind and size of a network: all that is needed to build it.

    `dims` are the lengths of the feature vectors, by modality; the network has these modalities
    and no others. `context` is the number of utterances in a window (mode `buffer`), `memory` how
    many utterances, itself included, one layer of attention looks back (mode `causal`). `speakers`
    is how many are told apart, `reach` the distance in utterances from which on all distances are
    alike. `encoder` is GSCon's and Ada2I's, for each modality; `recurrent` ones have no use for
    `layers`, `heads`, `memory` and `reach`. So many of the text features, at their end, come from
    an encoder that was trained for these emotions in context; they are the `direct` head's. With
    `projector`, a network without a shared encoder has one beside it. `options` are the network's
    own, see the class of that name in its module.
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
    projector: bool = False
    options: dict[str, float | int | str | bool] = {}

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities of the network, in the order of every mask."""
        return tuple(m for m in MODALITIES if m in self.dims)

    @property
    def read(self) -> dict[str, int]:
        """The lengths of the features that the network itself reads: without the direct head's."""
        return {m: dim - (self.direct if m == "text" else 0) for m, dim in self.dims.items()}

    def check(self) -> None:
        """Refuses what no network can be built of, with `InputError`."""
        if not self.dims or set(self.dims) - set(MODALITIES):
            raise InputError(
                f"network {self.network!r}: its modalities are {', '.join(self.dims) or 'none'}; "
                f"give one or more of {', '.join(MODALITIES)}"
            )
        sizes: dict[str, int] = {name: getattr(self, name) for name in _SIZES}
        for name, size in (sizes | {f"dims.{m}": dim for m, dim in self.dims.items()}).items():
            if size < 1:
                raise InputError(f"network {self.network!r}: {name} is {size}; give 1 or more")
        if self.direct and not 0 < self.direct < self.dims.get("text", 0):
            raise InputError(
                f"network {self.network!r}: direct is {self.direct}, of {self.dims.get('text', 0)} "
                "text features; give fewer than there are"
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
