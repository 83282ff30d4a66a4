"""FAGM: fine-grained adaptive gradient modulation (Unlocking the Power of Multimodal Learning for
Emotion Recognition in Conversation, ACM Multimedia 2023, doi 10.1145/3581783.3613846).

What depends on a single modality learns slower the more that modality dominates; in what depends
on several, this is decided neuron by neuron. Dominance is what erasing a modality costs. The file
reads in that order; its equations are those of the released code, since the paper's are not open.

Differences from that code are meant: losses and activations with and without a modality are both
those of evaluation, without dropout, and the loss is the plain cross-entropy of the final answer,
without weights of classes, smoothing and soft labels; activations of every call of a module count;
the matrices with which recurrent networks read their input are modulated too. To erase a modality
is, here, to mark it as missing, which the networks know. Parameters that are in no module of their
own, and embeddings, follow the encoder that they belong to. What evaluation never calls (what CMATH
draws its samples and reconstructs with, DMD's decoders, Ada2I's mapping networks) and what is read
without being called (GSCon's shared convolutions) is not modulated. Of what answers, only the
classifier is left alone; a direct head is modules like others.

Shapes: J inputs of a module, "tokens" are whatever else its input has.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated, NamedTuple, cast

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.networks.layers.blocks import Standardise
from gscon_live.model.networks.network import Conversations, Network
from gscon_live.train.balance.plugin import Plugin, StepContext
from gscon_live.train.engine.gradient_scaling import Scaling

#: The matrices with which a module reads its input begin with one of these.
_READING = ("weight_ih", "weight")
#: Activations that differ by less are the same.
_SAME = 1e-7


class FAGMSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`gamma` is the power of a modality's lead: small ones freeze all but the weakest (published:
    from 0.5 to 0.0001); `beta` the share of a modality's own neurons that are modulated; every so
    many steps of an epoch (`every`) the factors are made anew."""

    gamma: Annotated[float, msgspec.Meta(gt=0, le=100)] = 0.5
    beta: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    every: Annotated[int, msgspec.Meta(ge=1)] = 1


@dataclass(frozen=True)
class Types:
    """The parameters of what depends on one modality (`specific`, by modality), and the modules
    that depend on several."""

    specific: dict[str, list[nn.Parameter]]
    general: list[nn.Module]


class FAGM(Plugin):
    """The plug-in; it runs the network once for all and once more for each modality, in a step."""

    SETTINGS = FAGMSettings
    settings: FAGMSettings
    SCALES = True

    def __init__(self, network: Network, settings: msgspec.Struct) -> None:
        super().__init__(network, settings)
        self._types: Types | None = None
        self._made: Scaling | None = None
        self._epoch, self._steps = -1, 0

    def scaling(self, step: Sequence[StepContext], epoch: int) -> Scaling | None:
        if epoch != self._epoch:
            self._epoch, self._steps = epoch, 0
        if self._made is None or self._steps % self.settings.every == 0:
            if self._types is None:
                self._types = types(self.network)
            self._made = self._scaling(step, self._types)
        self._steps += 1
        return self._made

    def _scaling(self, step: Sequence[StepContext], found: Types) -> Scaling:
        there = [
            m
            for place, m in enumerate(self.modalities)
            if any(bool(context.targets.present[:, place].any()) for context in step)
        ]
        lost = dict.fromkeys(there, 0.0)
        moved: dict[nn.Module, dict[str, list[Moved]]] = {
            one: {m: [] for m in there} for one in found.general
        }
        whole = 0.0
        for context in step:
            given = context.conversations, context.last
            final, before = _run(self.network, *given, self.modalities, found.general)
            whole += _lost(context, final)
            for m in there:
                rest = [other for other in self.modalities if other != m]
                final, after = _run(self.network, *given, rest, found.general)
                lost[m] += _lost(context, final)
                for one in found.general:
                    moved[one][m] += differences(before[one], after[one], given[0].valid)
        leads = lead({m: lost[m] - whole for m in there}, self.settings.gamma)
        factors = []
        for m, parameters in found.specific.items():
            slower = torch.tensor(1 - leads.get(m, 0.0))
            factors += [(p, slower.to(p)) for p in parameters]
        for one, moved_by in moved.items():
            sensitive = {m: sensitivity(parts) for m, parts in moved_by.items() if parts}
            if sensitive:
                kept = penalties(sensitive, leads, self.settings.beta)
                factors += [(p, kept) for p in _reading(one, len(kept))]
        told = {f"factor_{m}": 1 - x for m, x in leads.items()}
        return Scaling(factors, figures=told)


def lead(gaps: Mapping[str, float], gamma: float) -> dict[str, float]:
    """I_m, how far each modality leads, in [0, 1): (r_m - min r) ** gamma with r the softmax of a
    tenth of the gaps, which are what erasing a modality costs. The weakest has 0."""
    if not gaps:
        return {}
    names, values = list(gaps), torch.tensor(list(gaps.values()), dtype=torch.float64)
    shares = (0.1 * values).softmax(0)
    return dict(zip(names, ((shares - shares.min()) ** gamma).tolist(), strict=True))


def penalties(sensitive: Mapping[str, Tensor], leads: Mapping[str, float], beta: float) -> Tensor:
    """What the columns of a general module's matrix are scaled by, [J].

    A neuron is endemic to a modality as far as it is more sensitive to it than to any other. Of
    those that are so at all, the share `beta` with the highest values is slowed by the modality's
    lead: those above the value at that place, so one fewer.

    Args:
        sensitive: the sensitivity of the inputs to each modality, [J] each.
        leads: see `lead`.
        beta: from 0 to 1.
    """
    kept = torch.ones_like(next(iter(sensitive.values())))
    for m, mine in sensitive.items():
        others = [x for other, x in sensitive.items() if other != m]
        if not others:
            continue
        endemic = mine - torch.stack(others).amax(0)
        positive = int((endemic > 0).sum())
        place = max(int(positive * beta) - 1, 0)
        threshold = endemic.sort(descending=True).values[place]
        kept = kept - (endemic > threshold) * leads.get(m, 0.0)
    return kept


class Moved(NamedTuple):
    """The absolute differences of a module's inputs in a call, summed over tokens, [J], and how
    many tokens these are."""

    total: Tensor
    tokens: float


def sensitivity(moved: Sequence[Moved]) -> Tensor:
    """The mean absolute difference of a module's inputs over the tokens of all calls of a step,
    however it is split, [J]."""
    total = sum((one.total for one in moved[1:]), moved[0].total)
    return total / max(sum(one.tokens for one in moved), 1.0)


def differences(before: Sequence[Tensor], after: Sequence[Tensor], valid: Tensor) -> list[Moved]:
    """What a module's inputs differ by, in each call. Where the tokens are the places of the
    conversations, padding does not count."""
    found = []
    for one, other in zip(before, after, strict=True):
        apart = (one - other).abs()
        tokens = float(apart[..., 0].numel())
        if apart.shape[-3:-1] == valid.shape:
            apart = apart * valid[..., None]
            tokens = float(valid.sum()) * (tokens / valid.numel())
        found.append(Moved(apart.flatten(0, -2).sum(0), tokens))
    return found


def types(network: Network) -> Types:
    """Tells modules apart by their inputs: those of a modality's own are the same whatever of the
    others is there. The classifier is in neither, and what is never called, embeddings among it, is
    where it is part of a modality's encoder.

    The conversations are made up, as far from the mean as those of training and with nothing
    missing: what a batch happens to hold shall decide nothing, nor when a training is continued.
    """
    modules, given = list(_modules(network)), _made_up(network)
    everything = _run(network, given, False, network.modalities, modules)[1]
    alone = {m: _run(network, given, False, [m], modules)[1] for m in network.modalities}
    specific: dict[str, list[nn.Parameter]] = {m: [] for m in network.modalities}
    general = []
    told = {id(p) for p in network.classifier.parameters()}
    for one in modules:
        if not everything[one]:
            continue
        own = list(one.parameters(recurse=False))
        same = [m for m in network.modalities if _same(everything[one], alone[m][one])]
        told |= {id(p) for p in own}
        if len(same) == 1:
            specific[same[0]] += own
        elif not same:
            general.append(one)
    for m in network.modalities:
        specific[m] += [p for p in network.groups()[f"enc.{m}"] if id(p) not in told]
    return Types(specific, general)


def _modules(network: Network) -> Iterator[nn.Module]:
    """The modules without parts that have parameters, but for embeddings and the classifier."""
    without = {id(one) for one in network.classifier.modules()}
    for one in network.modules():
        leaf = not any(True for _ in one.children())
        has = any(True for _ in one.parameters(recurse=False))
        if leaf and has and id(one) not in without and not isinstance(one, nn.Embedding):
            yield one


def _same(one: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    return all(
        float((a - b).abs().amax()) < _SAME for a, b in zip(one, other, strict=True) if a.numel()
    )


def _reading(module: nn.Module, width: int) -> list[nn.Parameter]:
    """The matrices with which a module reads inputs of that number."""
    recurrent = isinstance(module, nn.RNNBase | nn.RNNCellBase)
    return [
        p
        for name, p in module.named_parameters(recurse=False)
        if name.startswith(_READING[0] if recurrent else _READING[1])
        and p.dim() > 1
        and p.shape[1] == width
    ]


def _made_up(network: Network) -> Conversations:
    random, places = torch.Generator().manual_seed(0), (2, 8)
    like = next(network.parameters())
    features = {}
    for m in network.modalities:
        layer = cast(Standardise, network.standardise[m])
        drawn = torch.randn(*places, network.architecture.dims[m], generator=random).to(like)
        features[m] = layer.mean + layer.deviation * drawn
    return Conversations(
        features,
        torch.ones(*places, len(features), dtype=torch.bool, device=like.device),
        torch.randint(2, places, generator=random).to(like.device),
        torch.ones(*places, dtype=torch.bool, device=like.device),
    )


def _lost(context: StepContext, final: Tensor) -> float:
    """The loss of the final logits [B, N, C], over all utterances of the step."""
    rows, labels = context.rows(final), context.targets.labels
    return float(functional.cross_entropy(rows, labels, reduction="sum")) / context.step.count


def _run(
    network: Network,
    conversations: Conversations,
    last: bool,
    keep: Sequence[str],
    modules: Sequence[nn.Module],
) -> tuple[Tensor, dict[nn.Module, list[Tensor]]]:
    """The final logits in evaluation with these modalities, and what the modules read."""
    kept = torch.tensor([m in keep for m in network.modalities], device=conversations.valid.device)
    conversations = replace(conversations, present=conversations.present & kept)
    learning = network.training
    network.eval()
    try:
        with torch.no_grad(), _inputs(modules) as read:
            return network(conversations, last).final, read
    finally:
        network.train(learning)


@contextmanager
def _inputs(modules: Sequence[nn.Module]) -> Iterator[dict[nn.Module, list[Tensor]]]:
    """Within it, the inputs of these modules are kept, of all calls."""
    read: dict[nn.Module, list[Tensor]] = {one: [] for one in modules}

    def keep(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        read[module].append(given[0].detach())

    hooks = [one.register_forward_pre_hook(keep) for one in modules]
    try:
        yield read
    finally:
        for hook in hooks:
            hook.remove()
