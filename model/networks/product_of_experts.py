"""A calibrated product of experts, for people who do not show everything in every way.

Each modality's encoder ends in an expert: log-probabilities of the emotions. Divided by the
expert's prior they are likelihoods, and likelihoods of independent evidence multiply (Hinton 2002,
Training Products of Experts by Minimizing Contrastive Divergence). But people who are angry may say
neutral words, or keep a neutral face. So each modality that is there shows the emotion or stays
neutral, in one of several ways z with learned probabilities:

    p(e) ~ prior(e) * sum over z of p(z) * product over m of likelihood(m, z shows m ? e : neutral)

At least one modality that is there shows the emotion. So a modality that comes alone answers by its
expert, moved to the prior. With several modalities, each likelihood has an exponent, its trust:
experts err, and are not independent. More evidence for an emotion never makes it less probable.
"""

import math
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.common.errors import InputError
from gscon_live.model.labels import EMOTIONS
from gscon_live.model.networks.network import Answers, Architecture, Conversations, Network

#: Log-likelihoods below the largest by more than this count as this: no expert can forbid an
#: emotion.
FLOOR = 8.0
#: The exponents before training.
_TRUST = 0.7
_NEUTRAL = EMOTIONS.index("neutral")


class ProductOfExperts(Network):
    """Reads the last C features of each modality, an expert's log-probabilities; the first emotion
    is neutral.

    It has no context of its own: the encoders have it. `encoded` are the log-likelihoods [B, N, C].
    """

    STANDARDISES = False
    READS_EXPERTS = True

    prior: Tensor
    expert_priors: Tensor
    _shows: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        a = architecture
        for m, dim in a.dims.items():
            if dim < a.classes:
                raise InputError(
                    f"network {a.network!r}: {dim} {m} features, fewer than the {a.classes} "
                    "log-probabilities that it reads; take another network"
                )
        flat = -math.log(a.classes)
        #: Log of how frequent each emotion is in training, [C].
        self.register_buffer("prior", torch.full((a.classes,), flat))
        #: Log of each expert's own prior, [M, C].
        self.register_buffer("expert_priors", torch.full((len(a.dims), a.classes), flat))
        ways = [way for way in product((False, True), repeat=len(a.dims)) if any(way)]
        #: Which modalities show the emotion, by way, [Z, M].
        self.register_buffer("_shows", torch.tensor(ways), persistent=False)
        #: The ways' probabilities before the softmax, [Z].
        self.ways = nn.Parameter(torch.zeros(len(ways)))
        #: The exponents before the softplus, [M].
        self.trust = nn.Parameter(torch.full((len(a.dims),), math.log(math.expm1(_TRUST))))

    @property
    def receptive_field(self) -> int | None:
        """The utterance itself."""
        return 1

    @property
    def classifier(self) -> nn.Module:
        """There is no layer that gives the final logits. Raises `TypeError`."""
        raise TypeError("a product of experts has no classifier")

    def set_priors(self, prior: Tensor, expert_priors: dict[str, Tensor]) -> None:
        """Sets how frequent the emotions are in training, [C], and for each expert in its own
        training, [C] by modality; all above 0."""
        self.prior.copy_((prior / prior.sum()).log())
        for row, m in zip(self.expert_priors, self.modalities, strict=True):
            row.copy_((expert_priors[m] / expert_priors[m].sum()).log())

    def _groups(self) -> dict[str, list[nn.Parameter]]:
        return {
            **{f"enc.{m}": [] for m in self.modalities},
            "shared": [],
            "fusion": [self.ways, self.trust],
            "heads": [],
        }

    def _answer(self, batch: Conversations, last: bool) -> Answers:
        answers = self._products(batch)
        return answers.last() if last else answers

    def _products(self, batch: Conversations) -> Answers:
        present = batch.present[..., None]
        likelihoods = torch.stack(
            [self._likelihood(batch.features[m], row) for row, m in enumerate(self.modalities)], -2
        ).where(present, 0)
        several = (batch.present.sum(-1) > 1)[..., None, None]
        trust = functional.softplus(self.trust)[:, None].where(several, 1)
        shown = trust * likelihoods
        quiet = shown[..., _NEUTRAL, None].expand_as(shown)
        by_way = torch.where(
            self._shows[..., None], shown[..., None, :, :], quiet[..., None, :, :]
        ).sum(-2)
        fused = (self._log_ways(batch.present)[..., None] + by_way).logsumexp(-2)
        return Answers(
            final=self.prior + fused,
            specific={
                m: self.prior + likelihoods[..., row, :] for row, m in enumerate(self.modalities)
            },
            encoded=dict(zip(self.modalities, likelihoods.unbind(-2), strict=True)),
            fused=fused,
        )

    def _log_ways(self, present: Tensor) -> Tensor:
        """The log-probabilities [B, N, Z] of the ways in which a modality that is there shows the
        emotion; of all ways where none is there."""
        seen = (self._shows & present[..., None, :]).any(-1)
        seen = seen | ~present.any(-1, keepdim=True)
        return self.ways.expand_as(seen).masked_fill(~seen, -torch.inf).log_softmax(-1)

    def _likelihood(self, features: Tensor, row: int) -> Tensor:
        """Log-likelihoods [B, N, C] of an expert, the largest 0."""
        log = features[..., -self.architecture.classes :] - self.expert_priors[row]
        return (log - log.amax(-1, keepdim=True)).clamp(min=-FLOOR)

    def _start(self) -> None:
        return None

    def _step(self, memory: Any, turn: Conversations) -> tuple[Answers, None]:
        return self._products(turn), None
