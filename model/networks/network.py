"""Networks for emotion recognition in conversations: their common base class, and their table.

A new network is one file with a subclass of `Network`, and one line in `NETWORKS`.

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
from gscon_live.model.conversations import Conversations, by_appearance, concatenate, windows
from gscon_live.model.networks.architecture import Architecture, Mode
from gscon_live.model.networks.layers.blocks import DirectHead, OwnAnswers, Projector, Standardise
from gscon_live.model.networks.outputs import Answers

__all__ = [
    "NETWORKS",
    "Answers",
    "Architecture",
    "ConversationState",
    "Conversations",
    "Mode",
    "Network",
    "build",
    "by_appearance",
    "network_class",
    "options",
    "windows",
]

#: The project's networks by name: module and class, imported when a network is built.
NETWORKS: dict[str, str] = {
    "gscon": "gscon_live.model.networks.gscon.GSCon",
    "ada2i": "gscon_live.model.networks.ada2i.Ada2I",
    "cmath": "gscon_live.model.networks.cmath.CMATH",
    "dmd": "gscon_live.model.networks.dmd.DMD",
    "product": "gscon_live.model.networks.product_of_experts.ProductOfExperts",
    "mlp": "gscon_live.model.networks.baselines.mlp.MLP",
    "dialogue_rnn": "gscon_live.model.networks.baselines.dialogue_rnn.DialogueRNN",
    "mmgcn": "gscon_live.model.networks.baselines.mmgcn.MMGCN",
    "transformer": "gscon_live.model.networks.baselines.transformer.Transformer",
}


@dataclass(frozen=True)
class ConversationState:
    """What a network remembers of a conversation; its size does not grow with the conversation."""


@dataclass(frozen=True)
class WindowState(ConversationState):
    """The last `context - 1` utterances, [1, n]; each step computes the window anew."""

    turns: Conversations
    context: int


@dataclass(frozen=True)
class RunningState(ConversationState):
    """The network's own `memory`, and the speakers in the order of their numbers."""

    memory: Any
    speakers: tuple[int, ...]


class NoOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of a network that has none."""


class Network(nn.Module, ABC):
    """Base class of the networks: classifies every utterance of a conversation.

    The outputs depend on the conversation alone, in modes `causal` and `buffer` on its past alone.
    Other conversations of the batch, padding, and missing features do not change them.

    In modes `full` and `causal` the outputs at all positions are used. In mode `buffer` the input
    is windows of the last K utterances (see `windows`), and only the last position is used.
    """

    #: The network's options besides its size, see `Architecture.options`.
    OPTIONS: ClassVar[type[msgspec.Struct]] = NoOptions
    #: Whether the modalities share an encoder without a projector.
    SHARES: ClassVar[bool] = False
    #: Whether there is a head on each modality's common part (`Answers.homogeneous`).
    OPINIONS: ClassVar[bool] = False
    #: Whether it reads standardised features.
    STANDARDISES: ClassVar[bool] = True
    #: Whether it reads each encoder's log-probabilities of the emotions and nothing else. It has no
    #: hidden vectors then.
    READS_EXPERTS: ClassVar[bool] = False

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.options: Any = msgspec.convert(architecture.options, self.OPTIONS)
        self.modalities = architecture.modalities
        self.standardise = nn.ModuleDict(
            {m: Standardise(architecture.dims[m]) for m in self.modalities if self.STANDARDISES}
        )
        self.direct: DirectHead | OwnAnswers | None = None
        if architecture.direct:
            head = OwnAnswers if architecture.own_answers else DirectHead
            self.direct = head(architecture)
        self.project = Projector(architecture) if architecture.projector else None

    def forward(self, batch: Conversations, last: bool = False) -> Answers:
        """The logits of all heads.

        With `last`, only the last position is computed (all outputs are [B, 1, ...]): the same
        values for less work. Raises `ValueError` for `last` in mode `full`.
        """
        if last and self.architecture.mode == "full":
            raise ValueError("in mode full, no position is the last")
        cleaned = self._clean(batch)
        return self._with_extra_heads(self._answer(self._network_input(cleaned), last), cleaned)

    def start(self, context: int | None = None) -> ConversationState:
        """The state before the first utterance, for the current weights.

        Args:
            context: number of utterances in the window, in any mode. None: as trained, that is the
                architecture's `context` in mode `buffer`, and the network's memory in `causal`.

        Raises:
            InputError: the mode is `full`, which needs whole conversations, or `context` is below
                1.
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
            return RunningState(self._start(), ())
        parameter = next(self.parameters())
        empty = Conversations(
            {m: parameter.new_zeros(1, 0, a.dims[m]) for m in self.modalities},
            torch.zeros(1, 0, len(self.modalities), dtype=torch.bool, device=parameter.device),
            torch.zeros(1, 0, dtype=torch.long, device=parameter.device),
            torch.zeros(1, 0, dtype=torch.bool, device=parameter.device),
        )
        return WindowState(empty, a.context if context is None else context)

    def step(
        self, state: ConversationState, turn: Conversations
    ) -> tuple[Answers, ConversationState]:
        """The outputs [1, 1, ...] for the next utterance, and the state after it.

        The outputs are those of `forward`. `state` is not changed, so for a provisional answer the
        new state can be dropped. Memory and cost do not grow with the conversation.

        Args:
            state: from `start`, or from the previous step.
            turn: one utterance, [1, 1]; speakers may be numbered in any way.
        """
        with torch.no_grad():
            return self._next(state, turn)

    def _next(
        self, state: ConversationState, turn: Conversations
    ) -> tuple[Answers, ConversationState]:
        if isinstance(state, WindowState):
            turns = concatenate(state.turns, turn).map_tensors(lambda x: x[:, -state.context :])
            numbers = by_appearance(turns.speakers, turns.valid)
            answers: Answers = self(replace(turns, speakers=numbers), last=True)
            window = turns.map_tensors(lambda x: x[:, max(0, x.shape[1] - state.context + 1) :])
            return answers, WindowState(window, state.context)
        assert isinstance(state, RunningState)
        number, speakers = self._speaker_number(int(turn.speakers), state.speakers)
        turn = replace(turn, speakers=torch.full_like(turn.speakers, number))
        cleaned = self._clean(turn)
        answers, memory = self._step(state.memory, self._network_input(cleaned))
        return self._with_extra_heads(answers, cleaned), RunningState(memory, speakers)

    @property
    def receptive_field(self) -> int | None:
        """The number of utterances, the current one included, that an output depends on; None:
        unbounded. In mode `buffer` this is the window. In mode `causal`, the numbers of speakers
        still depend on the whole past."""
        return self.architecture.context if self.architecture.mode == "buffer" else None

    @property
    def classifier(self) -> nn.Module:
        """The layer that gives the final logits: `final`, or its last layer."""
        final = self.final
        assert isinstance(final, nn.Module)
        return final[-1] if isinstance(final, nn.Sequential) else final

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """All parameters, each once, by part of the network: `enc.<modality>`, `shared` (by all
        modalities; may be empty), `fusion` (reads several modalities) and `heads` (the others)."""
        groups = self._groups()
        ordered = {
            name: groups[name]
            for name in (*(f"enc.{m}" for m in self.modalities), "shared", "fusion", "heads")
        }
        if self.direct is not None:
            ordered["heads"] = [*ordered["heads"], *self.direct.parameters()]
        if self.project is not None:
            ordered["shared"] = [*ordered["shared"], *self.project.common.parameters()]
            ordered["heads"] = [*ordered["heads"], *self.project.heads.parameters()]
        return ordered

    def _remaining_parameters(self, groups: Iterable[Sequence[nn.Parameter]]) -> list[nn.Parameter]:
        """The parameters in none of these groups, without those of direct head and projector."""
        extra_heads = [module for module in (self.direct, self.project) if module is not None]
        extra = (module.parameters() for module in extra_heads)
        known = {id(p) for group in (*groups, *extra) for p in group}
        return [p for p in self.parameters() if id(p) not in known]

    @abstractmethod
    def _groups(self) -> dict[str, list[nn.Parameter]]:
        """`groups` without direct head and projector."""

    @abstractmethod
    def _answer(self, batch: Conversations, last: bool) -> Answers:
        """`forward` on the network's input, without direct head and projector."""

    @abstractmethod
    def _start(self) -> Any:
        """`start` in mode `causal`: the network's memory before the first utterance."""

    @abstractmethod
    def _step(self, memory: Any, turn: Conversations) -> tuple[Answers, Any]:
        """`step` in mode `causal` on the network's input; does not change `memory`."""

    def _speaker_number(self, speaker: int, known: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        """A speaker's number by appearance, and the speakers known so far. All speakers beyond the
        last number share it, so only the others have to be remembered."""
        if speaker not in known and len(known) < self.architecture.speakers - 1:
            known = (*known, speaker)
        return (known.index(speaker) if speaker in known else len(known)), known

    def _network_input(self, batch: Conversations) -> Conversations:
        """Cleaned conversations without the features that the network does not read: those of the
        direct head, or all but the experts' log-probabilities."""
        if self.architecture.experts:
            count = self.architecture.classes
            features = {m: x[..., -count:] for m, x in batch.features.items()}
            return replace(batch, features=features)
        if self.direct is None:
            return batch
        text = batch.features["text"][..., : -self.direct.count]
        return replace(batch, features={**batch.features, "text": text})

    def _with_extra_heads(self, answers: Answers, batch: Conversations) -> Answers:
        """The network's outputs, combined with those of the projector and the direct head."""
        if self.project is not None:
            shared, specific = self.project(answers.encoded, answers.specific)
            answers = replace(answers, shared=shared, specific=specific)
        if self.direct is None or (self.training and self.architecture.own_answers):
            return answers
        count = answers.final.shape[1]
        batch = batch.map_tensors(lambda x: x[:, -count:])
        direct = self.direct(batch)
        final = answers.final
        if not self.training:
            mixture = torch.stack([final, direct]).log_softmax(-1).logsumexp(0)
            final = mixture.where(batch.present[..., self.modalities.index("text"), None], final)
        return replace(answers, final=final, direct=direct)

    def _clean(self, batch: Conversations) -> Conversations:
        """Features standardised, zero where missing and on padding; speakers in range."""
        present = batch.present & batch.valid[..., None]
        features = {}
        for index, m in enumerate(self.modalities):
            x = batch.features[m]
            standardised = self.standardise[m](x) if self.STANDARDISES else x
            if m == "text" and self.architecture.own_answers:
                count = self.architecture.direct
                standardised = torch.cat([standardised[..., :-count], x[..., -count:]], -1)
            features[m] = standardised.masked_fill(~present[..., index, None], 0)
        speakers = batch.speakers.clamp(0, self.architecture.speakers - 1)
        return Conversations(features, present, speakers, batch.valid)


#: The project's networks, and those that other packages add by entry point.
_NETWORKS: registry.Registry[Network] = registry.Registry(
    "network", Network, NETWORKS, "gscon_live.networks"
)


def network_class(name: str) -> type[Network]:
    """The class of a network by name. Raises `InputError` for an unknown name, or for a class of
    another package that cannot be used."""
    return _NETWORKS.get(name)


def options(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a network: the values given, and the defaults of the others.

    Raises:
        InputError: unknown network, option or value.
    """
    options_class = network_class(name).OPTIONS
    checked = registry.settings(f"network {name!r}: options", values, options_class, "options")
    all_options: dict[str, Any] = msgspec.to_builtins(checked)
    return all_options


def build(architecture: Architecture) -> Network:
    """Builds a network with initial weights.

    Raises:
        InputError: unknown network, or a size or option that it cannot have.
    """
    architecture.check()
    cls = network_class(architecture.network)
    options(architecture.network, architecture.options)
    if architecture.projector and cls.SHARES:
        raise InputError(
            f"network {architecture.network!r}: it has a shared encoder of its own; leave the "
            "projector out"
        )
    return cls(architecture)
