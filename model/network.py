"""Networks for emotion recognition in conversations: what all of them take, give and promise.

Another network is one file with a subclass of `Network` and one line in `NETWORKS`.

Shapes: B conversations or windows, N utterances, M modalities, d width, C emotions.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Literal

import msgspec
import torch
from torch import Tensor, nn

from configs.errors import InputError
from model.labels import EMOTIONS, MODALITIES

#: What an utterance may use: all of the conversation, its past, or a window of its past that is
#: recomputed as it moves.
Mode = Literal["full", "causal", "buffer"]

#: The networks by name: the module and the class, imported when one is built.
NETWORKS: dict[str, str] = {
    "gscon": "model.gscon.GSCon",
}


class Architecture(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The kind and size of a network: all that is needed to build it.

    `dims` are the lengths of the feature vectors, by modality; the network has these modalities
    and no others. `context` is the number of utterances in a window (mode `buffer`), `memory` how
    many utterances, itself included, one layer of attention looks back (mode `causal`).
    `speakers` is how many are told apart, `reach` the distance in utterances from which on all
    distances are alike.
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

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities of the network, in the order of every mask."""
        return tuple(m for m in MODALITIES if m in self.dims)


@dataclass(frozen=True)
class Conversations:
    """A batch of conversations or windows.

    `features[m]` [B, N, dim of m] (anything where missing, NaN too); `present` bool [B, N, M];
    `speakers` int64 [B, N], numbered from 0 in order of appearance; `valid` bool [B, N], false on
    padding, which may stand on either side.
    """

    features: dict[str, Tensor]
    present: Tensor
    speakers: Tensor
    valid: Tensor

    def each(self, change: Callable[[Tensor], Tensor]) -> "Conversations":
        """The same with every tensor changed."""
        return Conversations(
            {m: change(x) for m, x in self.features.items()},
            change(self.present),
            change(self.speakers),
            change(self.valid),
        )


@dataclass(frozen=True)
class Answers:
    """Logits [B, N, C] of a network's heads, and what lies below them.

    `final` uses all and is the answer; `specific[m]` are the modalities' own opinions. Only GSCon
    has `common`, the opinion of the shared part, and `auxiliary`, that of the specific parts
    together. `encoded[m]` and `shared[m]` are [B, N, d]; without a shared encoder `shared` is
    empty.
    """

    final: Tensor
    specific: dict[str, Tensor]
    encoded: dict[str, Tensor]
    shared: dict[str, Tensor] = field(default_factory=dict)
    common: Tensor | None = None
    auxiliary: Tensor | None = None


class State:
    """What a network remembers of a conversation. Its size is bounded; it is never changed."""


class Network(nn.Module, ABC):
    """A network that answers for every utterance of a conversation.

    Answers depend on nothing but the conversation, and in modes `causal` and `buffer` on nothing
    but its past: not on batch mates, padding, later utterances, or features that are missing.

    In mode `buffer` a window holds the last K utterances, the current one last, and only the
    answer at that place is meant; `windows` makes them. In `full` and `causal` the answers at all
    places are.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.modalities = architecture.modalities
        self.standardise = nn.ModuleDict(
            {m: Standardise(architecture.dims[m]) for m in self.modalities}
        )

    def forward(self, batch: Conversations, last: bool = False) -> Answers:
        """Logits of all heads.

        With `last`, only the last place is answered (all outputs are [B, 1, ...]): the same
        values, for less work. Not in mode `full`.
        """
        if last and self.architecture.mode == "full":
            raise ValueError("with both sides in view, no place is last")
        return self._answer(self._cleaned(batch), last)

    @abstractmethod
    def groups(self) -> dict[str, list[nn.Parameter]]:
        """All parameters, each once, by their part: `enc.<modality>`, `shared` (of all modalities;
        may be empty), `fusion` (what answers for several together) and `heads` (the others)."""

    @abstractmethod
    def _answer(self, batch: Conversations, last: bool) -> Answers:
        """`forward` of cleaned conversations."""

    def _cleaned(self, batch: Conversations) -> Conversations:
        """Features standardised, and zero where missing; known speakers; nothing on padding."""
        present = batch.present & batch.valid[..., None]
        features = {
            m: self.standardise[m](batch.features[m]).masked_fill(~present[..., place, None], 0)
            for place, m in enumerate(self.modalities)
        }
        speakers = batch.speakers.clamp(0, self.architecture.speakers - 1)
        return Conversations(features, present, speakers, batch.valid)


class Standardise(nn.Module):
    """Feature normalisation with the training set's mean and deviation, part of the checkpoint."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("deviation", torch.ones(dim))

    def forward(self, features: Tensor) -> Tensor:
        # A microphone unlike those of the corpora gives values far outside; they shall not shout.
        return ((features - self.mean) / self.deviation).clamp(-4, 4)


def build(architecture: Architecture) -> Network:
    """The network of an architecture, with fresh weights.

    Raises:
        InputError: there is no network of that name, or it cannot be built at that size.
    """
    _check(architecture)
    module, _, name = NETWORKS[architecture.network].rpartition(".")
    made: Network = getattr(import_module(module), name)(architecture)
    return made


def windows(batch: Conversations, context: int) -> Conversations:
    """For each utterance [B, N] the window that ends with it, [B * N, context], padded before."""

    def ending_everywhere(x: Tensor) -> Tensor:
        before = x.new_zeros(x.shape[0], context - 1, *x.shape[2:])
        return torch.cat([before, x], 1).unfold(1, context, 1).movedim(-1, 2).flatten(0, 1)

    made = batch.each(ending_everywhere)
    return replace(made, speakers=by_appearance(made.speakers, made.valid))


def by_appearance(speakers: Tensor, valid: Tensor) -> Tensor:
    """Speakers int64 [B, N], numbered in any way, as numbers from 0 in order of appearance; 0 on
    padding."""
    same = (speakers[:, :, None] == speakers[:, None]) & valid[:, None]
    # The first of several largest values is taken: the place where a speaker first spoke.
    first = same.to(torch.uint8).argmax(-1)
    new = (first == torch.arange(speakers.shape[1], device=speakers.device)) & valid
    return (new.cumsum(-1) - 1).gather(1, first).masked_fill(~valid, 0)


def _check(a: Architecture) -> None:
    if a.network not in NETWORKS:
        raise InputError(f"network {a.network!r}: there is none; one of {', '.join(NETWORKS)}")
    if not a.dims or set(a.dims) - set(MODALITIES):
        raise InputError(
            f"network {a.network!r}: modalities {', '.join(a.dims) or 'none'}; "
            f"give one or more of {', '.join(MODALITIES)}"
        )
    sizes: dict[str, Any] = {
        name: getattr(a, name)
        for name in (
            "context",
            "width",
            "layers",
            "heads",
            "speakers",
            "reach",
            "classes",
            "memory",
        )
    }
    sizes |= {f"dims.{m}": dim for m, dim in a.dims.items()}
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"network {a.network!r}: {name} is {size}; give 1 or more")
    if a.width % a.heads:
        raise InputError(
            f"network {a.network!r}: width {a.width} cannot be divided among {a.heads} heads"
        )
