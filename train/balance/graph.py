"""DMD's graph distillation (Li et al. 2023, arXiv 2303.13802, equations 7 to 9): knowledge
distillation between modalities, weighted by learned edges.

Edges of the homogeneous graph are computed from the common parts themselves. The released code has
one more loss, by which edges of the heterogeneous graph push representations apart; the paper does
not have it.
"""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Literal

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.networks.network import Network
from gscon_live.train.balance.plugin import Plugin, StepContext
from gscon_live.train.bounds import AtLeast0, Positive

#: The preferred edges of the released code, by graph, as (teacher, student).
PREFERRED: dict[str, tuple[tuple[str, str], ...]] = {
    "homogeneous": (("text", "audio"), ("text", "visual")),
    "heterogeneous": (("text", "audio"), ("text", "visual"), ("visual", "audio")),
}


class GraphSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`weight` is the weight of the distillation in the objective, `size` the length of the
    projections from which edges are computed. The weights of `edges` are a softmax over the
    `incoming` edges of a student (paper) or over `all` (released code). The paper has learned edges
    only (`prior` `none`). With the `released` prior, the preferences of that code are added to the
    edges, and a loss of weight 10 draws the edges to them. It needs `all`.

    With two modalities, each has one teacher. Then without a prior the edges learn nothing: each
    has weight 1 if `incoming`, and both together if `all`."""

    weight: AtLeast0 = 0.05
    size: Positive = 16
    edges: Literal["incoming", "all"] = "incoming"
    prior: Literal["none", "released"] = "none"

    def __post_init__(self) -> None:
        if self.prior == "released" and self.edges != "all":
            raise ValueError("the released prior is one among all edges; give edges=all")


class GraphDistillation(Plugin):
    """A graph for the logits of the modalities' common parts, where a network has these
    (homogeneous), and one for the logits of each modality (heterogeneous).

    The loss of an edge is its weight times the distance between the student's and the teacher's
    probabilities. The distance has no gradient to the teacher; the weights have gradients to the
    vectors and logits of both. An edge needs both modalities.
    """

    SETTINGS = GraphSettings
    settings: GraphSettings

    def __init__(self, network: Network, settings: msgspec.Struct) -> None:
        super().__init__(network, settings)
        a, settings = network.architecture, self.settings
        graphs = ("homogeneous", "heterogeneous") if network.OPINIONS else ("heterogeneous",)
        self.graphs = nn.ModuleDict(
            {
                name: Edges(a.classes, a.width, self.modalities, prior(name, self.modalities)
                            if settings.prior == "released" else None, settings)
                for name in graphs
            }
        )  # fmt: skip

    def losses(self, context: StepContext, random: torch.Generator) -> dict[str, Tensor]:
        answers = context.answers
        inputs = {
            "homogeneous": (answers.homogeneous, answers.shared),
            "heterogeneous": (answers.specific, answers.encoded),
        }
        losses = {}
        for name, graph in self.graphs.items():
            logits, vectors = (
                {m: context.rows(x) for m, x in by_modality.items()} for by_modality in inputs[name]
            )
            per_utterance = graph(logits, vectors, context.targets.present)
            losses[f"graph_{name}"] = (
                self.settings.weight * per_utterance.sum() / context.step.count
            )
        return losses


class Edges(nn.Module):
    """The edges of a graph, and their losses."""

    def __init__(
        self,
        classes: int,
        width: int,
        modalities: Sequence[str],
        prior: Tensor | None,
        settings: GraphSettings,
    ) -> None:
        super().__init__()
        self.modalities, self._incoming = modalities, settings.edges == "incoming"
        self._pairs = pairs(modalities)
        self.from_logits = nn.Linear(classes, settings.size)
        self.from_vectors = nn.Linear(width, settings.size)
        self.edge = nn.Linear(4 * settings.size, 1)
        self.register_buffer("prior", prior, persistent=False)

    def forward(
        self, logits: Mapping[str, Tensor], vectors: Mapping[str, Tensor], present: Tensor
    ) -> Tensor:
        """The loss of each utterance, [n]; logits [n, C] and vectors [n, d] by modality, `present`
        bool [n, M]. The prior applies to the mean edges of utterances with all modalities."""
        weights = self.weights(logits, vectors, present)
        place = {m: number for number, m in enumerate(self.modalities)}
        losses = []
        for number, (teacher, student) in enumerate(self._pairs):
            student_probabilities, teacher_probabilities = (
                logits[m].softmax(-1) for m in (student, teacher)
            )
            distance = (student_probabilities - teacher_probabilities.detach()).abs().sum(-1)
            both_present = present[:, place[teacher]] & present[:, place[student]]
            losses.append(weights[:, number] * distance * both_present)
        total = torch.stack(losses).sum(0)
        if isinstance(self.prior, Tensor) and (complete := present.all(1)).any():
            learned = (weights - self.prior)[complete].mean(0)
            total = total + 10 * (learned - self.prior).square().sum()
        return total

    def weights(
        self, logits: Mapping[str, Tensor], vectors: Mapping[str, Tensor], present: Tensor
    ) -> Tensor:
        """The weights of the edges, [n, edges], in the order of `pairs`; 0 where an utterance lacks
        one of the modalities. A prior is added."""
        place = {m: number for number, m in enumerate(self.modalities)}
        nodes = {
            m: torch.cat([self.from_logits(logits[m]), self.from_vectors(vectors[m])], -1)
            for m in self.modalities
        }
        raw, both_present = [], []
        for teacher, student in self._pairs:
            raw.append(self.edge(torch.cat([nodes[student], nodes[teacher]], -1))[:, 0])
            both_present.append(present[:, place[teacher]] & present[:, place[student]])
        # The temperature of the softmax in the released code.
        scores, mask = torch.stack(raw, 1) / 8, torch.stack(both_present, 1)
        groups = [list(range(len(self._pairs)))]
        if self._incoming:
            groups = [
                [n for n, (_, student) in enumerate(self._pairs) if student == m]
                for m in self.modalities
            ]
        weights = torch.zeros_like(scores)
        for group in groups:
            masked = scores[:, group].masked_fill(~mask[:, group], torch.finfo(scores.dtype).min)
            weights[:, group] = masked.softmax(-1) * mask[:, group]
        return weights + self.prior if isinstance(self.prior, Tensor) else weights


def pairs(modalities: Sequence[str]) -> list[tuple[str, str]]:
    """All edges, as (teacher, student)."""
    return list(permutations(modalities, 2))


def prior(graph: str, modalities: Sequence[str]) -> Tensor:
    """The preferences of the released code: a softmax of 4 for preferred edges and 0 for others."""
    preferred = torch.tensor([float(pair in PREFERRED[graph]) for pair in pairs(modalities)])
    return functional.softmax(preferred / 0.25, 0)
