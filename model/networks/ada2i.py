"""Ada2I for emotion recognition in conversations (Nguyen et al. 2024, arXiv 2408.12895).

Layers of adaptive feature weighting (AFW) weigh the features of each modality by the other
modalities' features in the conversation. A cosine classifier weighs the modalities (adaptive
modality weighting, AMW). The modulation of gradients by the disparity ratio belongs to training.

The sequence encoders of the modalities are those of GSCon. They read the speakers, which the
released code does not. Where the released code differs from the paper, this follows the paper: the
classifier's weights are normalised for each class, and the cosines have a scale; the attention is
the mapping network's target, and both learn; padding does not count. Each modality's head has a
cross-entropy in the objective, the paper's L_modal, which the released code leaves out.

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
    """Options of Ada2I.

    `rank` is the rank of the tensor ring's cores, and `residual` (beta) the share of a feature that
    passes unweighted; the paper has 11 and 0.012 on IEMOCAP, 6 and 0.55 on MELD. `weightings` is
    the number of AFW layers, `scale` the initial factor of the cosines.
    """

    rank: Annotated[int, msgspec.Meta(ge=1)] = 6
    residual: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 0.55
    weightings: Annotated[int, msgspec.Meta(ge=1)] = 2
    scale: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 7.0


@dataclass(frozen=True)
class Ada2IMemory:
    """What is remembered between utterances: the `past` of the encoders; for each AFW layer the
    `sums` of the past cores, [M, 1, R, R], and the `count` of their utterances."""

    past: Any
    sums: tuple[Tensor, ...]
    count: Tensor


class Ada2I(Network):
    """The network: a sequence encoder for each modality, AFW layers, and AMW. The final logits are
    the sum of the modalities' own logits.

    In mode `causal` means over the conversation are over the utterances so far. `fused` is the mean
    of the modalities' weighted features.
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
        """`fusion` are AFW and AMW; `heads` are the mapping networks, used in training only."""
        parts = {f"enc.{m}": list(self.encode[m].parameters()) for m in self.modalities}
        parts |= {
            "shared": [],
            "heads": [p for layer in self._layers for p in layer.mapping.parameters()],
        }
        return {**parts, "fusion": self._remaining_parameters(parts.values())}

    def _answer(self, batch: Conversations, last: bool) -> Answers:
        mask = visible(self.architecture, batch.valid)
        states = []
        for index, (m, encoder) in enumerate(zip(self.modalities, self._encoders, strict=True)):
            entered = encoder.enter(batch, m, index)
            states.append(encoder.encode(entered, batch, mask) * batch.valid[..., None])
        mean = _mean_of_all if self.architecture.mode == "full" else _mean_so_far
        mapping_error = torch.zeros_like(batch.valid, dtype=states[0].dtype)
        for layer in self._layers:
            factors = layer.factors(states)
            states, layer_error = layer(states, factors, mean(_cores(*factors), batch.valid))
            mapping_error = mapping_error + layer_error
        answers = self._answers(states, mapping_error)
        return answers.last() if last else answers

    def _start(self) -> Ada2IMemory:
        encoders = self._encoders
        rank, count = self.options.rank, len(encoders)
        zeros = self.bias.new_zeros(count, 1, rank, rank)
        return Ada2IMemory(
            encoders[0].start(encoders), (zeros,) * len(self._layers), self.bias.new_zeros(())
        )

    def _step(self, memory: Any, turn: Conversations) -> tuple[Answers, Ada2IMemory]:
        encoders = self._encoders
        encoders_and_names = zip(encoders, self.modalities, strict=True)
        entered = [encoder.enter(turn, m, i) for i, (encoder, m) in enumerate(encoders_and_names)]
        state, past = encoders[0].step(encoders, torch.cat(entered), turn, memory.past)
        states, sums, count = list(state[:, None]), [], memory.count + turn.valid.sum()
        for layer, past_sum in zip(self._layers, memory.sums, strict=True):
            factors = layer.factors(states)
            sums.append(past_sum + _cores(*factors)[:, :, 0] * turn.valid[0, 0])
            means = (sums[-1] / count.clamp(min=1))[:, :, None]
            states, _ = layer(states, factors, means)
        return self._answers(states), Ada2IMemory(past, tuple(sums), count)

    @property
    def _encoders(self) -> list[ModalityEncoder]:
        return [cast(ModalityEncoder, self.encode[m]) for m in self.modalities]

    @property
    def _layers(self) -> list["FeatureWeighting"]:
        return cast(list[FeatureWeighting], list(self.weigh))

    def _answers(
        self, modality_states: Sequence[Tensor], mapping_error: Tensor | None = None
    ) -> Answers:
        """AMW: cosines of features and weights, so that the norm of a modality's features has no
        influence."""
        encoded = dict(zip(self.modalities, modality_states, strict=True))
        bias = self.bias / len(encoded)
        specific = {}
        for m, state in encoded.items():
            weight = functional.normalize(cast(nn.Linear, self.final[m]).weight, dim=1)
            cosines = functional.linear(functional.normalize(state, dim=-1), weight)
            specific[m] = self.scale * cosines + bias
        return Answers(
            final=torch.stack(list(specific.values())).sum(0),
            specific=specific,
            encoded=encoded,
            fused=torch.stack(list(modality_states)).mean(0),
            own={"feature": mapping_error} if self.training and mapping_error is not None else {},
        )


class FeatureWeighting(nn.Module):
    """One AFW layer.

    Each utterance has a core for each modality, the elementwise product of two outer products. It
    is multiplied by the other modalities' mean cores. A linear map of the product is the attention
    to the modality's features.
    """

    def __init__(self, a: Architecture, options: Ada2IOptions) -> None:
        super().__init__()
        self.residual, rank = options.residual, options.rank

        def maps(dim: int, out_dim: int) -> nn.ModuleDict:
            return nn.ModuleDict({m: nn.Linear(dim, out_dim) for m in a.modalities})

        self.query_rows, self.query_columns = maps(a.width, rank), maps(a.width, rank)
        self.key_rows, self.key_columns = maps(a.width, rank), maps(a.width, rank)
        self.attend = maps(rank * rank, a.width)
        self.mapping = maps(a.width, a.width)
        self.drop = nn.Dropout(a.dropout)

    def factors(self, states: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The two vectors, [M, B, N, R] each, whose outer product is the core. (The elementwise
        product of outer products is the outer product of elementwise products.)"""
        first, second = (
            torch.stack([query(x) * key(x) for query, key, x in zip(*maps, states, strict=True)])
            for maps in (
                (self.query_rows.values(), self.key_rows.values()),
                (self.query_columns.values(), self.key_columns.values()),
            )
        )
        return first, second

    def forward(
        self, states: Sequence[Tensor], factors: tuple[Tensor, Tensor], means: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """The weighted features [B, N, d] of each modality; in training also the mean absolute
        error of the mapping network's attention, [B, N].

        Args:
            states: the features of each modality.
            factors: their `factors`.
            means: the mean cores for each utterance, [M, B, N or 1, R, R].
        """
        names, (first, second) = list(self.attend), factors
        weighted, errors = [], []
        for index, (m, state) in enumerate(zip(names, states, strict=True)):
            row = second[index][..., None, :]
            for other in range(len(names)):
                if other != index:
                    row = row @ means[other]
            product = first[index][..., :, None] * row
            attention = self.attend[m](product.flatten(-2))
            if self.training:
                errors.append((self.mapping[m](state) - attention).abs().mean(-1))
            weighted.append(self.drop((attention + self.residual) * state))
        return weighted, torch.stack(errors).mean(0) if errors else states[0].new_zeros(())


def _cores(rows: Tensor, columns: Tensor) -> Tensor:
    """The cores [M, B, N, R, R]."""
    return rows[..., :, None] * columns[..., None, :]


def _mean_of_all(cores: Tensor, valid: Tensor) -> Tensor:
    """The mean [M, B, 1, R, R] over all utterances of the conversation."""
    mask = valid[..., None, None]
    total: Tensor = (cores * mask).sum(2, keepdim=True)
    return total / mask.sum(1, keepdim=True).clamp(min=1)


def _mean_so_far(cores: Tensor, valid: Tensor) -> Tensor:
    """The means [M, B, N, R, R] over each utterance and all earlier ones."""
    mask = valid[..., None, None]
    total: Tensor = (cores * mask).cumsum(2)
    return total / mask.cumsum(1).clamp(min=1)
