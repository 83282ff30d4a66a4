"""A calibrated product of experts.

Each modality's encoder ends in an expert: log-probabilities of the emotions. Divided by the
expert's prior they are likelihoods, and likelihoods of independent evidence multiply (Hinton 2002,
Training Products of Experts by Minimizing Contrastive Divergence). Real evidence is not
independent, and some experts err more than others. So each likelihood has an exponent, its trust,
for each set of modalities that are there together, and for each emotion:

    log p(e | S) = log prior(e) + sum over m in S of trust[S, m, e] * likelihood[m, e] + bias[S, e]

up to a constant. Exponents are above 0: more evidence for an emotion never makes it less probable.
A modality that comes alone has exponent 1 and no bias: its expert's answer stands.
"""

import math
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.common.errors import InputError
from gscon_live.model.networks.network import Answers, Architecture, Conversations, Network

#: Likelihoods below the largest by more than this count as this: no expert can forbid an emotion.
FLOOR = 8.0
#: The exponents before training.
_TRUST = 0.7


class ProductOfExperts(Network):
    """Reads the last C features of each modality: an expert's log-probabilities.

    It has no context of its own: the encoders have it. `encoded` are the likelihoods [B, N, C].
    """

    STANDARDISES = False
    READS_EXPERTS = True

    prior: Tensor
    expert_priors: Tensor

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
        #: By set of modalities that are there together: before the softplus, the trust in each of
        #: them, [modalities of the set, C]; and the bias, [C].
        self.trust, self.bias = nn.ParameterDict(), nn.ParameterDict()
        begin = math.log(math.expm1(_TRUST))
        for members in self._sets():
            name = "+".join(self.modalities[index] for index in members)
            self.trust[name] = nn.Parameter(torch.full((len(members), a.classes), begin))
            self.bias[name] = nn.Parameter(torch.zeros(a.classes))

    def _sets(self) -> list[tuple[int, ...]]:
        """The sets of several modalities, by their places in the masks."""
        count = len(self.modalities)
        return [s for size in range(2, count + 1) for s in combinations(range(count), size)]

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
            "fusion": [*self.trust.parameters(), *self.bias.parameters()],
            "heads": [],
        }

    def _answer(self, batch: Conversations, last: bool) -> Answers:
        answers = self._products(batch)
        return answers.last() if last else answers

    def _products(self, batch: Conversations) -> Answers:
        likelihoods = {
            m: self._likelihood(batch.features[m], index).where(batch.present[..., index, None], 0)
            for index, m in enumerate(self.modalities)
        }
        fused = torch.stack(list(likelihoods.values())).sum(0)
        for members, (trust, bias) in zip(
            self._sets(), zip(self.trust.values(), self.bias.values(), strict=True), strict=True
        ):
            expected = torch.zeros_like(batch.present[0, 0])
            expected[list(members)] = True
            exactly = (batch.present == expected).all(-1, keepdim=True)
            trusted = functional.softplus(trust)
            product = sum(
                trusted[row] * likelihoods[self.modalities[index]]
                for row, index in enumerate(members)
            )
            fused = torch.where(exactly, product + bias, fused)
        return Answers(
            final=self.prior + fused,
            specific={m: self.prior + x for m, x in likelihoods.items()},
            encoded=likelihoods,
            fused=fused,
        )

    def _likelihood(self, features: Tensor, index: int) -> Tensor:
        """Log-likelihoods [B, N, C] of an expert, the largest 0."""
        log = features[..., -self.architecture.classes :] - self.expert_priors[index]
        return (log - log.amax(-1, keepdim=True)).clamp(min=-FLOOR)

    def _start(self) -> None:
        return None

    def _step(self, memory: Any, turn: Conversations) -> tuple[Answers, None]:
        return self._products(turn), None
