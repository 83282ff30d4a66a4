"""Networks for emotion recognition in conversations: what all of them take, give and promise.

Another network is one file with a subclass of `Network` and one line in `NETWORKS`.

Shapes: B conversations or windows, N utterances, M modalities, d width, C emotions.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import msgspec
import torch
from torch import nn

from gscon_live.common import registry
from gscon_live.common.errors import InputError
from gscon_live.model.conversations import Conversations, by_appearance, together, windows
from gscon_live.model.networks.architecture import Architecture, Mode
from gscon_live.model.networks.layers.blocks import DirectHead, Projector, Standardise
from gscon_live.model.networks.outputs import Answers

__all__ = [
    "NETWORKS",
    "Answers",
    "Architecture",
    "Conversations",
    "Mode",
    "Network",
    "State",
    "build",
    "by_appearance",
    "network_class",
    "options",
    "windows",
]

#: The project's networks by name: the module and the class, imported when one is built.
NETWORKS: dict[str, str] = {
    "gscon": "gscon_live.model.networks.gscon.GSCon",
    "ada2i": "gscon_live.model.networks.ada2i.Ada2I",
    "cmath": "gscon_live.model.networks.cmath.CMATH",
    "dmd": "gscon_live.model.networks.dmd.DMD",
    "mlp": "gscon_live.model.networks.baselines.mlp.MLP",
    "dialogue_rnn": "gscon_live.model.networks.baselines.dialogue_rnn.DialogueRNN",
    "mmgcn": "gscon_live.model.networks.baselines.mmgcn.MMGCN",
    "transformer": "gscon_live.model.networks.baselines.transformer.Transformer",
}


@dataclass(frozen=True)
class State:
    """What a network remembers of a conversation: a bounded amount, however long it goes on."""


@dataclass(frozen=True)
class Window(State):
    """The last `context - 1` utterances, [1, n]; they will be looked at anew."""

    turns: Conversations
    context: int


@dataclass(frozen=True)
class Running(State):
    """The network's own `memory`, and the first speakers as they were numbered."""

    memory: Any
    speakers: tuple[int, ...]


class NoOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of a network that its size describes."""


class Network(nn.Module, ABC):
    """A network that answers for every utterance of a conversation.

    Answers depend on nothing but the conversation, and in modes `causal` and `buffer` on nothing
    but its past: not on batch mates, padding, later utterances, or features that are missing.

    In mode `buffer` a window holds the last K utterances, the current one last, and only the
    answer at that place is meant; `windows` makes them. In `full` and `causal` the answers at all
    places are.
    """

    #: What a network can be set to besides its size, see `Architecture.options`.
    OPTIONS: ClassVar[type[msgspec.Struct]] = NoOptions
    #: Whether its modalities share an encoder without a projector.
    SHARES: ClassVar[bool] = False
    #: Whether it has opinions on each modality's common part (`Answers.homogeneous`).
    OPINIONS: ClassVar[bool] = False

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.options: Any = msgspec.convert(architecture.options, self.OPTIONS)
        self.modalities = architecture.modalities
        self.standardise = nn.ModuleDict(
            {m: Standardise(architecture.dims[m]) for m in self.modalities}
        )
        self.direct = DirectHead(architecture) if architecture.direct else None
        self.project = Projector(architecture) if architecture.projector else None

    def forward(self, batch: Conversations, last: bool = False) -> Answers:
        """Logits of all heads.

        With `last`, only the last place is answered (all outputs are [B, 1, ...]): the same
        values, for less work. Not in mode `full`.
        """
        if last and self.architecture.mode == "full":
            raise ValueError("with both sides in view, no place is last")
        cleaned = self._cleaned(batch)
        return self._all(self._answer(self._read(cleaned), last), cleaned)

    def start(self, context: int | None = None) -> State:
        """A conversation in which nothing has been said, for the weights as they are now.

        Args:
            context: look at windows of so many utterances, whatever the mode. None: as trained,
                in mode `buffer` at windows of the architecture's context, in mode `causal` at all
                that the network remembers.

        Raises:
            InputError: the mode is `full`, which answers for whole conversations only, or
                `context` is below 1.
        """
        a = self.architecture
        if a.mode == "full":
            raise InputError(
                f"network {a.network!r}: in mode full it needs the whole conversation; "
                "to answer as it goes on, take one of mode causal or buffer"
            )
        if context is not None and context < 1:
            raise InputError(f"context {context}: an utterance itself is 1; give 1 or more")
        if context is None and a.mode == "causal":
            return Running(self._start(), ())
        like = next(self.parameters())
        nothing = Conversations(
            {m: like.new_zeros(1, 0, a.dims[m]) for m in self.modalities},
            torch.zeros(1, 0, len(self.modalities), dtype=torch.bool, device=like.device),
            torch.zeros(1, 0, dtype=torch.long, device=like.device),
            torch.zeros(1, 0, dtype=torch.bool, device=like.device),
        )
        return Window(nothing, a.context if context is None else context)

    def step(self, state: State, turn: Conversations) -> tuple[Answers, State]:
        """The answers [1, 1, ...] for the next utterance, and the conversation with it.

        `state` stays as it is: to ask provisionally, keep it and drop the new one. Memory and cost
        do not grow with the conversation. The answers are those of `forward`.

        Args:
            state: from `start`, or from the step before.
            turn: one utterance, [1, 1]; speakers may be numbered in any way.
        """
        with torch.no_grad():
            return self._next(state, turn)

    def _next(self, state: State, turn: Conversations) -> tuple[Answers, State]:
        if isinstance(state, Window):
            turns = together(state.turns, turn).map_tensors(lambda x: x[:, -state.context :])
            numbers = by_appearance(turns.speakers, turns.valid)
            answers: Answers = self(replace(turns, speakers=numbers), last=True)
            kept = turns.map_tensors(lambda x: x[:, max(0, x.shape[1] - state.context + 1) :])
            return answers, Window(kept, state.context)
        assert isinstance(state, Running)
        number, speakers = self._numbered(int(turn.speakers), state.speakers)
        turn = replace(turn, speakers=torch.full_like(turn.speakers, number))
        cleaned = self._cleaned(turn)
        answers, memory = self._step(state.memory, self._read(cleaned))
        return self._all(answers, cleaned), Running(memory, speakers)

    @property
    def receptive_field(self) -> int | None:
        """On how many utterances, itself the last, an answer can depend; None: there is no bound.
        In mode `buffer` these are the utterances of the window. In `causal`, speakers are numbered
        from the beginning of the conversation all the same."""
        return self.architecture.context if self.architecture.mode == "buffer" else None

    @property
    def classifier(self) -> nn.Module:
        """What the final logits come out of: `final`, or the last of its layers."""
        final = self.final
        assert isinstance(final, nn.Module)
        return final[-1] if isinstance(final, nn.Sequential) else final

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """All parameters, each once, by their part: `enc.<modality>`, `shared` (of all modalities;
        may be empty), `fusion` (what answers for several together) and `heads` (the others)."""
        found = self._groups()
        made = {
            name: found[name]
            for name in (*(f"enc.{m}" for m in self.modalities), "shared", "fusion", "heads")
        }
        if self.direct is not None:
            made["heads"] = [*made["heads"], *self.direct.parameters()]
        if self.project is not None:
            made["shared"] = [*made["shared"], *self.project.common.parameters()]
            made["heads"] = [*made["heads"], *self.project.heads.parameters()]
        return made

    def _rest(self, parts: Iterable[Sequence[nn.Parameter]]) -> list[nn.Parameter]:
        """The network's parameters that are in none of these parts, without those of direct head
        and projector."""
        beside = [one for one in (self.direct, self.project) if one is not None]
        elsewhere = {id(p) for part in (*parts, *(x.parameters() for x in beside)) for p in part}
        return [p for p in self.parameters() if id(p) not in elsewhere]

    @abstractmethod
    def _groups(self) -> dict[str, list[nn.Parameter]]:
        """`groups` without direct head and projector."""

    @abstractmethod
    def _answer(self, batch: Conversations, last: bool) -> Answers:
        """`forward` of cleaned conversations, without direct head and projector."""

    @abstractmethod
    def _start(self) -> Any:
        """`start` in mode `causal`: the network's own memory of nothing."""

    @abstractmethod
    def _step(self, memory: Any, turn: Conversations) -> tuple[Answers, Any]:
        """`step` in mode `causal` of a cleaned utterance; leaves `memory` as it is."""

    def _numbered(self, speaker: int, known: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        """A speaker's number by appearance; all beyond the last number share it, and so only the
        others have to be remembered."""
        if speaker not in known and len(known) < self.architecture.speakers - 1:
            known = (*known, speaker)
        return (known.index(speaker) if speaker in known else len(known)), known

    def _read(self, batch: Conversations) -> Conversations:
        """Cleaned conversations without the features that are the direct head's."""
        if self.direct is None:
            return batch
        text = batch.features["text"][..., : -self.direct.count]
        return replace(batch, features={**batch.features, "text": text})

    def _all(self, answers: Answers, batch: Conversations) -> Answers:
        """Answers of the network, with the projector's and the direct head's part in them."""
        if self.project is not None:
            shared, specific = self.project(answers.encoded, answers.specific)
            answers = replace(answers, shared=shared, specific=specific)
        if self.direct is None:
            return answers
        count = answers.final.shape[1]
        direct = self.direct({m: x[:, -count:] for m, x in batch.features.items()})
        final = answers.final
        if not self.training:
            both = torch.stack([final, direct]).log_softmax(-1).logsumexp(0)
            told = batch.present[:, -count:, self.modalities.index("text"), None]
            final = both.where(told, final)
        return replace(answers, final=final, direct=direct)

    def _cleaned(self, batch: Conversations) -> Conversations:
        """Features standardised, and zero where missing; known speakers; nothing on padding."""
        present = batch.present & batch.valid[..., None]
        features = {
            m: self.standardise[m](batch.features[m]).masked_fill(~present[..., place, None], 0)
            for place, m in enumerate(self.modalities)
        }
        speakers = batch.speakers.clamp(0, self.architecture.speakers - 1)
        return Conversations(features, present, speakers, batch.valid)


#: These and those that other packages add by entry point.
_NETWORKS: registry.Registry[Network] = registry.Registry(
    "network", Network, NETWORKS, "gscon_live.networks"
)


def network_class(name: str) -> type[Network]:
    """The class of a network. Raises `InputError` where there is none of that name, or another
    package's cannot be used."""
    return _NETWORKS.get(name)


def options(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a network, those that are not given as they are by default.

    Raises:
        InputError: there is no network of that name, or it has no such options or values.
    """
    kind = network_class(name).OPTIONS
    chosen = registry.settings(f"network {name!r}: options", given, kind, "options")
    made: dict[str, Any] = msgspec.to_builtins(chosen)
    return made


def build(architecture: Architecture) -> Network:
    """The network of an architecture, with fresh weights.

    Raises:
        InputError: there is no network of that name, or it cannot be built at that size or with
            these options.
    """
    architecture.check()
    kind = network_class(architecture.network)
    options(architecture.network, architecture.options)
    if architecture.projector and kind.SHARES:
        raise InputError(
            f"network {architecture.network!r}: it has a shared encoder of its own; leave the "
            "projector out"
        )
    return kind(architecture)
