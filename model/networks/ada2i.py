"""Ada2I for emotion recognition in conversations (Nguyen et al. 2024, arXiv 2408.12895).

Two layers weigh the features of each modality by what the other modalities say in the conversation
(adaptive feature weighting, AFW); a classifier of cosines weighs the modalities (adaptive modality
weighting, AMW). The file reads in that order. The modulation of gradients by the disparity ratio
belongs to training.

Each modality is followed over the conversation by the encoders that GSCon has, with the speakers,
which the released code does not read. Where that code differs from what is meant, this is what is
meant: the classifier's weights are normalised for each class and their cosines have a scale, the
attention is what is learned by the mapping network, and padding does not count. Each modality's
opinion has a cross-entropy in the objective, the paper's L_modal, which that code leaves out.

Shapes: B conversations or windows, N utterances, M modalities, d width, R rank, C emotions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, cast

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.networks.layers.blocks import visible
from gscon_live.model.networks.layers.sequence_encoders import ENCODERS, ModalityEncoder
from gscon_live.model.networks.network import Answers, Architecture, Conversations, Network


class Ada2IOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`rank` of the tensor ring's cores and `residual`, how much of a feature passes unweighed
    (beta); published are 11 and 0.012 on IEMOCAP, 6 and 0.55 on MELD. `weightings` is the number
    of AFW layers, `scale` what the cosines are multiplied by at the start of training."""

    rank: Annotated[int, msgspec.Meta(ge=1)] = 6
    residual: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 0.55
    weightings: Annotated[int, msgspec.Meta(ge=1)] = 2
    scale: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 7.0


@dataclass(frozen=True)
class Ada2IMemory:
    """What is remembered between utterances: the `past` of the encoders; for each AFW layer the
    `sums` of the cores so far, [M, 1, R, R], and how many utterances they are of."""

    past: Any
    sums: tuple[Tensor, ...]
    count: Tensor


class Ada2I(Network):
    """The network: an encoder per modality, AFW layers, and a classifier whose addends are the
    modalities' own opinions.

    In mode `causal` the mean over the conversation is that of the utterances so far. `fused` is
    the mean of the modalities' weighed features.
    """

    OPTIONS = Ada2IOptions
    options: Ada2IOptions

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        a = architecture
        self.encode = nn.ModuleDict({m: ENCODERS[a.encoder](a, a.read[m]) for m in self.modalities})
        self.weigh = nn.ModuleList(
            [FeatureWeighting(a, self.options) for _ in range(self.options.weightings)]
        )
        self.final = nn.ModuleDict(
            {m: nn.Linear(a.width, a.classes, bias=False) for m in self.modalities}
        )
        self.bias = nn.Parameter(torch.zeros(a.classes))
        self.scale = nn.Parameter(torch.tensor(self.options.scale))

    def _groups(self) -> dict[str, list[nn.Parameter]]:
        """`fusion` are AFW and AMW; `heads` are the mapping networks, of use in training only."""
        parts = {f"enc.{m}": list(self.encode[m].parameters()) for m in self.modalities}
        parts |= {
            "shared": [],
            "heads": [p for one in self._layers for p in one.mapping.parameters()],
        }
        return {**parts, "fusion": self._remaining_parameters(parts.values())}

    def _answer(self, batch: Conversations, last: bool) -> Answers:
        seen = visible(self.architecture, batch.valid)
        states = []
        for place, (m, encoder) in enumerate(zip(self.modalities, self._encoders, strict=True)):
            entered = encoder.enter(batch, m, place)
            states.append(encoder.encode(entered, batch, seen) * batch.valid[..., None])
        mean = _mean_of_all if self.architecture.mode == "full" else _mean_so_far
        apart = torch.zeros_like(batch.valid, dtype=states[0].dtype)
        for layer in self._layers:
            sides = layer.sides(states)
            states, missed = layer(states, sides, mean(_cores(*sides), batch.valid))
            apart = apart + missed
        answers = self._answers(states, apart)
        return answers.last() if last else answers

    def _start(self) -> Ada2IMemory:
        encoders = self._encoders
        rank, count = self.options.rank, len(encoders)
        nothing = self.bias.new_zeros(count, 1, rank, rank)
        return Ada2IMemory(
            encoders[0].start(encoders), (nothing,) * len(self._layers), self.bias.new_zeros(())
        )

    def _step(self, memory: Any, turn: Conversations) -> tuple[Answers, Ada2IMemory]:
        encoders = self._encoders
        named = zip(encoders, self.modalities, strict=True)
        entered = [one.enter(turn, m, i) for i, (one, m) in enumerate(named)]
        state, past = encoders[0].step(encoders, torch.cat(entered), turn, memory.past)
        states, sums, count = list(state[:, None]), [], memory.count + turn.valid.sum()
        for layer, before in zip(self._layers, memory.sums, strict=True):
            sides = layer.sides(states)
            sums.append(before + _cores(*sides)[:, :, 0] * turn.valid[0, 0])
            means = (sums[-1] / count.clamp(min=1))[:, :, None]
            states, _ = layer(states, sides, means)
        return self._answers(states), Ada2IMemory(past, tuple(sums), count)

    @property
    def _encoders(self) -> list[ModalityEncoder]:
        return [cast(ModalityEncoder, self.encode[m]) for m in self.modalities]

    @property
    def _layers(self) -> list["FeatureWeighting"]:
        return cast(list[FeatureWeighting], list(self.weigh))

    def _answers(self, states: Sequence[Tensor], apart: Tensor | None = None) -> Answers:
        """AMW: cosines of features and weights, so that no modality is heard for its length."""
        encoded = dict(zip(self.modalities, states, strict=True))
        share = self.bias / len(encoded)
        specific = {}
        for m, x in encoded.items():
            weight = functional.normalize(cast(nn.Linear, self.final[m]).weight, dim=1)
            cosines = functional.linear(functional.normalize(x, dim=-1), weight)
            specific[m] = self.scale * cosines + share
        return Answers(
            final=torch.stack(list(specific.values())).sum(0),
            specific=specific,
            encoded=encoded,
            fused=torch.stack(list(states)).mean(0),
            own={"feature": apart} if self.training and apart is not None else {},
        )


class FeatureWeighting(nn.Module):
    """One AFW layer.

    Of each utterance and modality a core is made, the elementwise product of two outer products;
    it is multiplied by the other modalities' mean cores, and the product becomes the attention to
    each of the modality's features.
    """

    def __init__(self, a: Architecture, options: Ada2IOptions) -> None:
        super().__init__()
        self.residual, rank = options.residual, options.rank

        def maps(inside: int, outside: int) -> nn.ModuleDict:
            return nn.ModuleDict({m: nn.Linear(inside, outside) for m in a.modalities})

        self.query_rows, self.query_columns = maps(a.width, rank), maps(a.width, rank)
        self.key_rows, self.key_columns = maps(a.width, rank), maps(a.width, rank)
        self.attend = maps(rank * rank, a.width)
        self.mapping = maps(a.width, a.width)
        self.drop = nn.Dropout(a.dropout)

    def sides(self, states: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Two vectors for each utterance and modality, [M, B, N, R] each, whose outer product is
        its core: that of elementwise products is the elementwise product of outer products."""
        first, second = (
            torch.stack([query(x) * key(x) for query, key, x in zip(*maps, states, strict=True)])
            for maps in (
                (self.query_rows.values(), self.key_rows.values()),
                (self.query_columns.values(), self.key_columns.values()),
            )
        )
        return first, second

    def forward(
        self, states: Sequence[Tensor], sides: tuple[Tensor, Tensor], means: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """The features [B, N, d] weighed; and, for training, how far the mapping network's
        attention is from the layer's, [B, N].

        Args:
            states: the features of each modality.
            sides: what `sides` makes of them.
            means: the mean cores that each utterance knows of, [M, B, N or 1, R, R].
        """
        names, (first, second) = list(self.attend), sides
        made, missed = [], []
        for place, (m, x) in enumerate(zip(names, states, strict=True)):
            row = second[place][..., None, :]
            for other in range(len(names)):
                if other != place:
                    row = row @ means[other]
            product = first[place][..., :, None] * row
            attention = self.attend[m](product.flatten(-2))
            if self.training:
                missed.append((self.mapping[m](x) - attention.detach()).abs().mean(-1))
            made.append(self.drop((attention + self.residual) * x))
        return made, torch.stack(missed).mean(0) if missed else states[0].new_zeros(())


def _cores(rows: Tensor, columns: Tensor) -> Tensor:
    """The cores [M, B, N, R, R] of their sides."""
    return rows[..., :, None] * columns[..., None, :]


def _mean_of_all(cores: Tensor, valid: Tensor) -> Tensor:
    """The mean [M, B, 1, R, R] over the utterances of the conversation."""
    here = valid[..., None, None]
    total: Tensor = (cores * here).sum(2, keepdim=True)
    return total / here.sum(1, keepdim=True).clamp(min=1)


def _mean_so_far(cores: Tensor, valid: Tensor) -> Tensor:
    """The means [M, B, N, R, R] over each utterance and those before."""
    here = valid[..., None, None]
    total: Tensor = (cores * here).cumsum(2)
    return total / here.cumsum(1).clamp(min=1)
