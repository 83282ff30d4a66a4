"""GSCon in the setting it was published for: the sentiment of single utterances, a number each.

Shi et al. 2025, doi 10.1109/TIP.2025.3608664, after the authors' released code: an utterance is a
sequence per modality, the map that the shared encoder reads is of time steps by features, the
losses are absolute errors. It stands here so that the losses of
`model.networks.consistency_losses` can be checked in that setting, number by number; conversations
are `model.networks.gscon`'s.

One thing differs on purpose: the released encoders attend over the samples of a batch, these over
time steps. So a sample's estimate depends on that sample only, and a batch may hold one.

Shapes: B utterances, T time steps after the projection, d width, modalities in the order of
`model.labels.MODALITIES`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.labels import MODALITIES
from gscon_live.model.networks.consistency_losses import disagreement, ssc
from gscon_live.model.networks.layers.shared_encoder import SharedEncoder, Sharing


class Sizes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The size of the network; the defaults are those for MOSI.

    `dims` and `steps` are the lengths of the feature vectors and of the sequences, by modality,
    `kernels` the time steps that the projections read: all sequences must come out equally long.
    `layers` are those of each of the three stages of an encoder. `dropout` acts on the text
    features, `embedding_dropout` at the entrance of a stage, `attention_dropout` in its attention,
    `output_dropout` in the heads.
    """

    dims: dict[str, int] = msgspec.field(
        default_factory=lambda: {"text": 768, "audio": 5, "visual": 20}
    )
    steps: dict[str, int] = msgspec.field(
        default_factory=lambda: {"text": 50, "audio": 50, "visual": 50}
    )
    kernels: dict[str, int] = msgspec.field(
        default_factory=lambda: {"text": 5, "audio": 5, "visual": 5}
    )
    width: int = 50
    heads: int = 10
    layers: int = 4
    dropout: float = 0.5
    embedding_dropout: float = 0.2
    attention_dropout: dict[str, float] = msgspec.field(
        default_factory=lambda: {"text": 0.3, "audio": 0.2, "visual": 0.0}
    )
    output_dropout: float = 0.5


@dataclass(frozen=True)
class Estimates:
    """The sentiments [B] that the six heads estimate: `final` (in the released code LVAC) is the
    answer; `auxiliary` (LVA), `common` and `specific[m]` serve training. `sharing` is the pass of
    the shared encoder."""

    final: Tensor
    auxiliary: Tensor
    common: Tensor
    specific: dict[str, Tensor]
    sharing: Sharing


class Original(nn.Module):
    """The network: a projection and an encoder per modality, the shared encoder, six heads.

    Raises:
        ValueError: the sequences of the modalities do not come out equally long.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        s = sizes
        lengths = {s.steps[m] - s.kernels[m] + 1 for m in MODALITIES}
        if len(lengths) > 1:
            raise ValueError(f"sequences of {sorted(lengths)} steps after the projections")
        whole = lengths.pop() * s.width
        self.drop_text = nn.Dropout(s.dropout)
        self.project = nn.ModuleDict(
            {m: nn.Conv1d(s.dims[m], s.width, s.kernels[m], bias=False) for m in MODALITIES}
        )
        self.encode = nn.ModuleDict(
            {m: nn.Sequential(*[Stage(s, s.attention_dropout[m]) for _ in range(3)])
             for m in MODALITIES}
        )  # fmt: skip
        self.share = SharedEncoder(both_sides=True)
        self.specific = nn.ModuleDict({m: _head(2 * whole, s) for m in MODALITIES})
        self.common = _head(whole, s)
        self.auxiliary = _head(len(MODALITIES) * s.width, s, squash=True)
        self.final = _head((len(MODALITIES) + 1) * s.width, s)

    def forward(self, features: Mapping[str, Tensor]) -> Estimates:
        """The estimates for `features[m]`, [B, steps of m, dim of m]."""
        encoded = {}
        for m in MODALITIES:
            sequence = self.drop_text(features[m]) if m == "text" else features[m]
            encoded[m] = self.encode[m](self.project[m](sequence.transpose(1, 2)).transpose(1, 2))
        states = list(encoded.values())
        sharing = self.share.encode(states, states[0].new_ones(states[0].shape[:2]).bool())
        common, last = sharing.mean, [state[:, -1] for state in states]
        return Estimates(
            final=self.final(torch.cat([*last, common[:, -1]], 1))[:, 0],
            auxiliary=self.auxiliary(torch.cat(last, 1))[:, 0],
            common=self.common(common.flatten(1))[:, 0],
            specific={
                m: self.specific[m](torch.cat([state, common], 2).flatten(1))[:, 0]
                for m, state in encoded.items()
            },
            sharing=sharing,
        )


class Stage(nn.Module):
    """One of the three stages of an encoder: positions, pre-norm transformer layers that see no
    later time step, and a norm; [B, T, d] to [B, T, d]."""

    def __init__(self, sizes: Sizes, attention_dropout: float) -> None:
        super().__init__()
        s = sizes
        self.drop = nn.Dropout(s.embedding_dropout)
        self.layers = nn.ModuleList()
        for _ in range(s.layers):
            layer = nn.TransformerEncoderLayer(
                s.width, s.heads, 4 * s.width, dropout=0.0, batch_first=True, norm_first=True
            )
            layer.self_attn.dropout = attention_dropout
            self.layers.append(layer)
        self.norm = nn.LayerNorm(s.width)

    def forward(self, state: Tensor) -> Tensor:
        steps, width = state.shape[1:]
        state = self.drop(math.sqrt(width) * state + _positions(steps, width).to(state))
        later = torch.ones(steps, steps, dtype=torch.bool, device=state.device).triu(1)
        for layer in self.layers:
            state = layer(state, src_mask=later)
        normed: Tensor = self.norm(state)
        return normed


def objective(estimates: Estimates, target: Tensor, tau: float = 0.07) -> dict[str, Tensor]:
    """The terms of the loss, and under `total` what is minimised.

    L = L_final + L_auxiliary + L_text + L_audio + L_visual + L_common + 1.0 L_SSC + 0.5 L_GDC,
    where the first six are mean absolute errors, SSC compares the utterances of the batch, and GDC
    the gradients of the modalities' own losses. The value of SSC depends on B: independent random
    parts of d = 50 give about 1.6 at B = 16 and 0.55 at B = 128.

    Args:
        estimates: of the network, in training.
        target: the sentiments, [B].
        tau: temperature of SSC: in the released code 0.07 for MOSI, 0.08 for MOSEI, 0.06 for SIMS.
    """
    terms = {
        "final": functional.l1_loss(estimates.final, target),
        "auxiliary": functional.l1_loss(estimates.auxiliary, target),
        "common": functional.l1_loss(estimates.common, target),
    }
    own = {m: functional.l1_loss(one, target) for m, one in estimates.specific.items()}
    terms |= own
    parts = [part.flatten(1) for part in estimates.sharing.common]
    terms["ssc"] = ssc(parts, torch.arange(len(target), device=target.device), tau)
    terms["gdc"] = disagreement(estimates.sharing.gradients(list(own.values())))
    weights = {"gdc": 0.5}
    total = torch.stack([weights.get(name, 1.0) * term for name, term in terms.items()]).sum()
    return {**terms, "total": total}


def _positions(steps: int, width: int) -> Tensor:
    """Sines and cosines of the position, [T, d], in turn, of wavelengths from 2 pi to 20000 pi."""
    places = torch.arange(0, width, 2, dtype=torch.float64)
    angle = torch.arange(steps)[:, None] / 10_000 ** (places / width)
    return torch.stack([angle.sin(), angle.cos()], 2).flatten(1)[:, :width]


def _head(inside: int, sizes: Sizes, squash: bool = False) -> nn.Sequential:
    """Two linear layers and the estimate; the auxiliary head squashes before the last one."""
    return nn.Sequential(
        nn.Linear(inside, inside),
        nn.ReLU(),
        nn.Dropout(sizes.output_dropout),
        nn.Linear(inside, inside),
        nn.Sigmoid() if squash else nn.Identity(),
        nn.Linear(inside, 1),
    )
