"""DMD's graph distillation (Li et al. 2023, arXiv 2303.13802, equations 7 to 9): modalities teach
each other, as much as learned edges between them say.

Edges of the homogeneous graph are read from the common parts themselves. The released code has a
loss more, by which edges of the heterogeneous graph push representations apart; the paper has not.
"""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Annotated, Literal

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.networks.network import Network
from gscon_live.train.balance.plugin import Plugin, StepContext

AtLeast0 = Annotated[float, msgspec.Meta(ge=0, le=1e6)]

#: The edges that the released code prefers, by graph, as (teacher, student).
PREFERRED: dict[str, tuple[tuple[str, str], ...]] = {
    "homogeneous": (("text", "audio"), ("text", "visual")),
    "heterogeneous": (("text", "audio"), ("text", "visual"), ("visual", "audio")),
}


class GraphSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`weight` is the distillation's in the objective, `size` the length of what edges are read
    from. The weights of edges are a softmax over the `incoming` ones of a student, as the paper
    has it, or over `all`, as the released code has. With the `released` prior, that code's
    preferences are added to the edges, which a loss of weight 10 also draws to them: the paper
    tells of learned edges only (`none`). As these are preferences among all edges, it needs `all`.

    Of two modalities, each has one teacher: without a prior, nothing is left to be learned of the
    edges, which weigh 1 if `incoming` and 1 together if `all`."""

    weight: AtLeast0 = 0.05
    size: Annotated[int, msgspec.Meta(ge=1)] = 16
    edges: Literal["incoming", "all"] = "incoming"
    prior: Literal["none", "released"] = "none"

    def __post_init__(self) -> None:
        if self.prior == "released" and self.edges != "all":
            raise ValueError("the released prior is one among all edges; give edges=all")


class GraphDistillation(Plugin):
    """A graph of the modalities for the opinions on their common parts, where a network has these
    (homogeneous), and one for their own opinions (heterogeneous).

    A student's probabilities come nearer to a teacher's, as much as the edge between them weighs.
    The distance does not move the teacher; the edges, which are read from both, move what they are
    read from. An edge needs both modalities.
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
        material = {
            "homogeneous": (answers.homogeneous, answers.shared),
            "heterogeneous": (answers.specific, answers.encoded),
        }
        lost = {}
        for name, graph in self.graphs.items():
            logits, vectors = (
                {m: context.rows(x) for m, x in given.items()} for given in material[name]
            )
            each = graph(logits, vectors, context.targets.present)
            lost[f"graph_{name}"] = self.settings.weight * each.sum() / context.step.count
        return lost


class Edges(nn.Module):
    """The edges of one graph, and what is lost along them."""

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
        """What is lost for each utterance, [n]; logits [n, C] and vectors [n, d] by modality,
        `present` bool [n, M]. The prior draws the mean edges of those that have all."""
        weights = self.weights(logits, vectors, present)
        place = {m: number for number, m in enumerate(self.modalities)}
        lost = []
        for number, (teacher, student) in enumerate(self._pairs):
            taught, teaches = (logits[m].softmax(-1) for m in (student, teacher))
            apart = (taught - teaches.detach()).abs().sum(-1)
            both = present[:, place[teacher]] & present[:, place[student]]
            lost.append(weights[:, number] * apart * both)
        total = torch.stack(lost).sum(0)
        if isinstance(self.prior, Tensor) and (complete := present.all(1)).any():
            learned = (weights - self.prior)[complete].mean(0)
            total = total + 10 * (learned - self.prior).square().sum()
        return total

    def weights(
        self, logits: Mapping[str, Tensor], vectors: Mapping[str, Tensor], present: Tensor
    ) -> Tensor:
        """The edges' weights, [n, edges], in the order of `pairs`; those of an utterance's missing
        modalities are 0. With a prior, it is added."""
        place = {m: number for number, m in enumerate(self.modalities)}
        nodes = {
            m: torch.cat([self.from_logits(logits[m]), self.from_vectors(vectors[m])], -1)
            for m in self.modalities
        }
        raw, there = [], []
        for teacher, student in self._pairs:
            raw.append(self.edge(torch.cat([nodes[student], nodes[teacher]], -1))[:, 0])
            there.append(present[:, place[teacher]] & present[:, place[student]])
        # The released code's sharpness of the softmax.
        scores, mask = torch.stack(raw, 1) / 8, torch.stack(there, 1)
        groups = [list(range(len(self._pairs)))]
        if self._incoming:
            groups = [
                [n for n, (_, student) in enumerate(self._pairs) if student == m]
                for m in self.modalities
            ]
        weights = torch.zeros_like(scores)
        for group in groups:
            some = scores[:, group].masked_fill(~mask[:, group], torch.finfo(scores.dtype).min)
            weights[:, group] = some.softmax(-1) * mask[:, group]
        return weights + self.prior if isinstance(self.prior, Tensor) else weights


def pairs(modalities: Sequence[str]) -> list[tuple[str, str]]:
    """All edges, as (teacher, student)."""
    return list(permutations(modalities, 2))


def prior(graph: str, modalities: Sequence[str]) -> Tensor:
    """The released code's preferences among the edges: softmax of 4 for those that it prefers and
    0 for the others."""
    preferred = torch.tensor([float(pair in PREFERRED[graph]) for pair in pairs(modalities)])
    return functional.softmax(preferred / 0.25, 0)
